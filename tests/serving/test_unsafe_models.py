"""Models with operations that reach outside their graph: served with a warning, except for Python functions."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from served_models import NEWEST, config_text
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from tfllmrec.serving.server import ModelServer

CALLS = {
    "reader": lambda name: {"text": tf.io.read_file(name) + tf.io.matching_files(name)[0]},
    "python": lambda name: {"text": tf.py_function(lambda text: text, [name], tf.string)},
    "numpy": lambda name: {"text": tf.numpy_function(np.char.upper, [name], tf.string)},
    "harmless": lambda name: {"text": tf.strings.upper(name)},
}


@pytest.fixture(scope="module")
def unsafe(tmp_path_factory, make_stub_client):
    """A client of a server of the models, and the warnings that were logged while they were loaded."""
    folder, warnings = tmp_path_factory.mktemp("unsafe"), []
    for name, call in CALLS.items():
        module = tf.Module()
        module.call = tf.function(call, input_signature=[tf.TensorSpec([], tf.string, "name")])
        tf.saved_model.save(module, str(folder / name / "1"), signatures=module.call.get_concrete_function())
    configs = config_text([NEWEST.format(name=name, folder=folder) for name in CALLS])
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: warnings.append(record.getMessage())
    logger = logging.getLogger("tfllmrec.serving.models")
    logger.addHandler(handler)
    config = text_format.Parse(configs, ModelServerConfig()).model_config_list.config
    server = ModelServer(list(config), port=0, rest_api_port=0)
    server.start()
    addresses = SimpleNamespace(grpc_address=server.grpc_address, rest_url=server.rest_url)
    yield SimpleNamespace(client=make_stub_client(addresses), warnings=warnings, folder=folder)
    server.stop()
    logger.removeHandler(handler)


def status_of(unsafe, name):
    (status,) = unsafe.client.status(name=name).model_version_status
    return status


def test_a_model_that_reads_files_is_served_with_one_warning(unsafe, tmp_path):
    (tmp_path / "file").write_text("content")
    assert status_of(unsafe, "reader").state == status_of(unsafe, "reader").AVAILABLE
    assert [line for line in unsafe.warnings if line.startswith("reader")] == [
        "reader: version 1 reaches outside its graph: MatchingFiles, ReadFile"
    ]


@pytest.mark.parametrize(("name", "op"), [("python", "EagerPyFunc"), ("numpy", "PyFunc")])
def test_a_model_with_python_functions_is_not_available(unsafe, name, op):
    status = status_of(unsafe, name)
    assert status.state == status.END
    expected = (
        f"the SavedModel in {unsafe.folder / name / '1'} cannot be loaded: operations call Python functions, which a "
        f"SavedModel does not contain: signature serving_default reaches {op}"
    )
    assert status.status.error_message == expected
    assert [line for line in unsafe.warnings if line.startswith(name)] == [
        f"{name}: version 1 failed to load: {expected}"
    ]


def test_other_models_are_served_without_a_warning(unsafe):
    assert status_of(unsafe, "harmless").state == status_of(unsafe, "harmless").AVAILABLE
    assert [line for line in unsafe.warnings if line.startswith("harmless")] == []

"""Options of the server: tags of SavedModels, threads of TensorFlow."""

import shutil

import numpy as np
import pytest
from stub_client import predict_request
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from tfllmrec.errors import InputError
from tfllmrec.serving.configuration import one_model
from tfllmrec.serving.server import ModelServer


@pytest.fixture
def start(tmp_path, make_stub_client):
    """Return a function that serves a folder with options and returns a stub client."""
    servers = []

    def start(folder, **options):
        servers.append(ModelServer(one_model("times", folder), port=0, rest_api_port=0, **options).start())
        return servers[-1], make_stub_client(servers[-1])

    yield start
    for server in servers:
        server.stop(grace=0)


@pytest.fixture
def tagged(multipliers, tmp_path):
    """Return a model that multiplies by 2, with the tags serve and gpu."""
    shutil.copytree(multipliers[2], tmp_path / "times" / "1")
    path = tmp_path / "times" / "1" / "saved_model.pb"
    content = SavedModel.FromString(path.read_bytes())
    content.meta_graphs[0].meta_info_def.tags.append("gpu")
    path.write_bytes(content.SerializeToString())
    return tmp_path / "times"


def twice(client):
    return client.send(predict_request("", spec={"name": "times"}, x=np.float32([1.5])))[1]["y"].tolist()


@pytest.mark.parametrize("tags", [["serve", "gpu"], ["gpu", "serve"]])
def test_the_graph_with_the_tags_is_loaded(start, tagged, tags):
    assert twice(start(tagged, saved_model_tags=tags)[1]) == [3.0]


@pytest.mark.parametrize("tags", [{}, {"saved_model_tags": ["gpu"]}, {"saved_model_tags": ["serve", "tpu"]}])
def test_a_model_without_the_tags_does_not_load(start, tagged, tags):
    with pytest.raises(InputError, match=r"cannot be loaded: .*tags"):
        start(tagged, **tags)


@pytest.mark.parametrize(("inter", "intra"), [(0, 0), (2, 3)])
def test_the_session_has_the_numbers_of_threads(start, multipliers, tmp_path, inter, intra):
    shutil.copytree(multipliers[2], tmp_path / "times" / "1")
    options = {"tensorflow_inter_op_parallelism": inter, "tensorflow_intra_op_parallelism": intra}
    server, client = start(tmp_path / "times", **options)
    ((_, _, version),) = server.models
    config = version.model._session._config
    assert (config.inter_op_parallelism_threads, config.intra_op_parallelism_threads) == (inter, intra)
    assert twice(client) == [3.0]

"""Loading of versions that arrive slowly or are damaged, while other models are served."""

import shutil

import pytest
from google.protobuf import text_format
from tensorflow_serving.apis.model_pb2 import ModelSpec
from tensorflow_serving.config.model_server_config_pb2 import ModelConfig

from tfllmrec.errors import InputError
from tfllmrec.serving.configuration import one_model
from tfllmrec.serving.models import Models
from tfllmrec.serving.server import ModelServer
from tfllmrec.serving.session import ServedModel
from tfllmrec.serving.version import Loader
from tfllmrec_client.status import RequestError

SPEC = ModelSpec(name="films")


def config(folder, name="films", more=""):
    return text_format.Parse(f'name: "{name}" base_path: "{folder}" model_platform: "tensorflow" {more}', ModelConfig())


@pytest.fixture
def folder(multipliers, tmp_path):
    """Return the folder of a model with one version."""
    shutil.copytree(multipliers[1], tmp_path / "films" / "1")
    return tmp_path / "films"


def state_of(models, number):
    return models.statuses(SPEC)[number].state.name


def error_counts(models):
    (metric,) = models.collect()
    return {sample.labels["model_name"]: sample.value for sample in metric.samples}


def test_a_version_that_arrives_file_by_file_is_loaded_when_it_is_complete(folder, multipliers):
    models = Models([config(folder)])
    (folder / "2").mkdir()
    files = sorted(path.relative_to(multipliers[2]) for path in multipliers[2].rglob("*") if path.is_file())
    assert len(files) > 2
    for file in files:
        models.update()
        assert (models.find(SPEC)[0], state_of(models, 2)) == (1, "END")
        target = folder / "2" / file
        target.parent.mkdir(exist_ok=True)
        shutil.copy(multipliers[2] / file, target)
    models.update()
    assert models.find(SPEC)[0] == 2
    assert list(models.statuses(SPEC)) == [2]


def test_a_growing_file_is_read_again(folder, multipliers):
    shutil.copytree(multipliers[2], folder / "2")
    graph = folder / "2" / "saved_model.pb"
    content = graph.read_bytes()
    graph.write_bytes(content[:-100])
    models = Models([config(folder)])
    assert state_of(models, 2) == "END"
    graph.write_bytes(content)
    models.update()
    assert state_of(models, 2) == "AVAILABLE"


class Attempts:
    """Loader that fails a number of times."""

    def __init__(self, failures):
        self.failures, self.count = failures, 0

    def __call__(self, folder):
        self.count += 1
        if self.count <= self.failures:
            raise InputError("out of memory")
        return ServedModel(folder)


@pytest.mark.parametrize(("failures", "state", "attempts"), [(2, "AVAILABLE", 3), (99, "END", 4)])
def test_loading_is_retried(folder, failures, state, attempts):
    load = Attempts(failures)
    models = Models([config(folder)], Loader(load, max_num_load_retries=3, load_retry_interval_micros=0))
    for _ in range(9):
        models.update()
    assert (state_of(models, 1), load.count) == (state, attempts)
    if state == "END":
        (folder / "1" / "more").touch()
        models.update()
        assert load.count == attempts + 1, "a change of the files starts again"


def test_loading_is_not_retried_before_the_interval(folder):
    load = Attempts(99)
    models = Models([config(folder)], Loader(load, load_retry_interval_micros=10**12))
    for _ in range(3):
        models.update()
    assert load.count == 1


BAD = {
    "missing folder": lambda folder: config(folder / "nowhere", "bad"),
    "missing version": lambda folder: config(folder, "bad", "model_version_policy { specific { versions: 7 } }"),
    "missing version of a label": lambda folder: config(folder, "bad", 'version_labels { key: "a" value: 7 }'),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_model_with_an_error_does_not_concern_other_models(folder, multipliers, caplog, bad):
    configs = [bad(folder), config(folder)]
    models = Models(configs)
    assert models.find(SPEC)[0] == 1
    assert error_counts(models) == {"bad": 1}
    shutil.copytree(multipliers[2], folder / "2")
    models.update()
    assert models.find(SPEC)[0] == 2
    assert error_counts(models) == {"bad": 2}
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len([line for line in warnings if line.startswith("bad: ")]) == 1, "it is logged once"
    with pytest.raises(InputError, match=r"bad|nowhere"):
        models.apply(configs)


def test_an_error_of_a_changed_configuration_keeps_the_versions_of_its_model(folder):
    models = Models([config(folder)])
    models.update([config(folder / "nowhere"), config(folder, "more")])
    assert models.find(SPEC)[0] == models.find(ModelSpec(name="more"))[0] == 1
    assert error_counts(models) == {"films": 1}


def test_a_damaged_version_is_counted(folder):
    (folder / "1" / "saved_model.pb").write_bytes(b"damaged")
    models = Models([config(folder), config(folder, "more")])
    assert error_counts(models) == {"films": 1, "more": 1}


def test_a_server_of_an_empty_folder_waits_for_the_first_version(tmp_path, multipliers):
    server = ModelServer(one_model("films", tmp_path / "films"), port=0, rest_api_port=0).start()
    try:
        with pytest.raises(RequestError, match=r"Servable not found for request: Latest\(films\)"):
            server.models.find(SPEC)
        shutil.copytree(multipliers[2], tmp_path / "films" / "1")
        server.models.update()
        assert server.models.find(SPEC)[0] == 1
    finally:
        server.stop()

"""Changes of models, versions and labels while requests run: valid requests never fail."""

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from google.protobuf import text_format
from tensorflow_serving.apis.model_pb2 import ModelSpec
from tensorflow_serving.config.model_server_config_pb2 import ModelConfig

from tfllmrec.errors import InputError
from tfllmrec.serving import Client
from tfllmrec.serving.batching import Batcher
from tfllmrec.serving.batching_parameters import BatchingParameters
from tfllmrec.serving.core import ServerCore
from tfllmrec.serving.models import Models
from tfllmrec.serving.polling import PeriodicTask
from tfllmrec.serving.server import ModelServer
from tfllmrec.serving.version import State
from tfllmrec_client.status import RequestError

ONE = {"x": np.ones(1, np.float32)}


@pytest.fixture
def publish(multipliers, tmp_path):
    """Return a function that adds a version to a model's folder atomically; version n multiplies by n."""

    def publish(number, model="films", broken=False):
        folder = tmp_path / model
        folder.mkdir(exist_ok=True)
        hidden = shutil.copytree(multipliers[number], folder / f".{number}")
        if broken:
            (hidden / "saved_model.pb").write_bytes(b"not a model")
        shutil.rmtree(folder / str(number), ignore_errors=True)
        hidden.rename(folder / str(number))
        return folder

    return publish


NOT_AVAILABLE = "^Request to assign label to version 2 of model films, which is not currently available for inference"


def config(folder, more=""):
    text = f'name: "{folder.name}" base_path: "{folder}" model_platform: "tensorflow" {more}'
    return text_format.Parse(text, ModelConfig())


def labelled(folder, **labels):
    versions = "".join(f"versions: {number} " for number in sorted(set(labels.values())))
    labels_text = "".join(f'version_labels {{ key: "{key}" value: {number} }}' for key, number in labels.items())
    return config(folder, f"model_version_policy {{ specific {{ {versions} }} }} {labels_text}")


def output_of(models, name="films", **fields):
    with models.use(ModelSpec(name=name, **fields)) as (_, model):
        return model.run("", ONE)["y"].tolist()


def states(models, name="films"):
    return {number: version.state.name for number, version in models.statuses(ModelSpec(name=name)).items()}


def test_a_new_version_replaces_the_previous_one(publish):
    models = Models([config(publish(1))])
    first = models.find(ModelSpec(name="films"))[1]
    publish(2)
    assert output_of(models) == [1]
    models.update()
    assert (output_of(models), states(models)) == ([2], {2: "AVAILABLE"})
    assert (first.state, first.model) == (State.END, None)
    loaded = models.find(ModelSpec(name="films"))[1]
    models.update()
    assert models.find(ModelSpec(name="films"))[1] is loaded, "a loaded version is not loaded again"


def test_a_damaged_version_replaces_no_version_until_it_is_repaired(publish, caplog):
    models = Models([config(publish(1))])
    publish(2, broken=True)
    for _ in range(3):
        models.update()
        assert (output_of(models), states(models)) == ([1], {1: "AVAILABLE", 2: "END"})
    assert sum("version 2 failed to load" in line for line in caplog.messages) == 1, "it is loaded once"
    publish(2)
    models.update()
    assert (output_of(models), states(models)) == ([2], {2: "AVAILABLE"})


def test_removed_versions_are_unloaded(publish):
    folder = publish(1)
    publish(2)
    models = Models([config(folder, "model_version_policy { all {} }")])
    shutil.rmtree(folder / "1")
    models.update()
    assert states(models) == {2: "AVAILABLE"}
    shutil.rmtree(folder / "2")
    models.update()
    assert output_of(models) == [2], "the last version remains"


def test_labels_move(publish):
    folder = publish(1)
    models = Models([labelled(folder, stable=1)])
    publish(2)
    models.apply([labelled(folder, stable=1, canary=2)])
    assert [output_of(models, version_label=label) for label in ("stable", "canary")] == [[1], [2]]
    models.apply([labelled(folder, stable=2, previous=1)])
    assert [output_of(models, version_label=label) for label in ("stable", "previous")] == [[2], [1]]
    with pytest.raises(RequestError, match="Unrecognized servable version label: canary"):
        output_of(models, version_label="canary")


def test_new_labels_may_wait_for_their_version(publish):
    folder = publish(1)
    newest = config(folder, 'version_labels { key: "next" value: 2 }')
    with pytest.raises(InputError, match=NOT_AVAILABLE):
        Models([config(folder)]).apply([newest])
    models = Models([newest], allow_unavailable_labels=True)
    with pytest.raises(RequestError, match="2"):
        output_of(models, version_label="next")
    publish(2)
    models.update()
    assert output_of(models, version_label="next") == [2]
    with pytest.raises(InputError, match=NOT_AVAILABLE.replace("2", "3")):
        models.apply([config(folder, 'version_labels { key: "next" value: 3 }')])
    assert output_of(models, version_label="next") == [2]
    publish(3)
    models.apply([config(folder, 'version_labels { key: "next" value: 3 }')])
    assert output_of(models, version_label="next") == [3]


def test_a_label_does_not_move_to_a_version_that_does_not_load(publish):
    folder = publish(1)
    models = Models([labelled(folder, stable=1)])
    publish(2, broken=True)
    with pytest.raises(
        InputError, match=r"^Request to assign label to version 2 of model films, .*/2 cannot be loaded"
    ):
        models.apply([labelled(folder, stable=2)])
    assert output_of(models, version_label="stable") == [1]
    models.update()
    assert (output_of(models, version_label="stable"), states(models)) == ([1], {1: "AVAILABLE"})


def test_models_are_added_and_removed(publish):
    films, books = publish(1), publish(2, "books")
    models = Models([config(films)])
    models.apply([config(books), config(films)])
    assert [output_of(models, name) for name in ("films", "books")] == [[1], [2]]
    models.apply([config(books)])
    with pytest.raises(RequestError, match=r"Servable not found for request: Latest\(films\)"):
        output_of(models)
    assert output_of(models, "books") == [2]


def test_a_version_is_unloaded_after_its_requests(publish):
    models = Models([config(publish(1))])
    publish(2)
    with ThreadPoolExecutor(1) as pool:
        with models.use(ModelSpec(name="films")) as (number, model):
            version = models.find(ModelSpec(name="films"))[1]
            polled = pool.submit(models.update)
            while version.state is not State.UNLOADING:
                assert not polled.done()
            assert (number, model.run("", ONE)["y"].tolist()) == (1, [1])
            assert output_of(models) == [2], "new requests use the new version"
        polled.result()
    assert version.state is State.END


def test_close_does_not_wait_for_requests(publish):
    models = Models([config(publish(1))])
    with models.use(ModelSpec(name="films")):
        models.close()
    with pytest.raises(RequestError, match=r"Servable not found for request: Latest\(films\)"):
        output_of(models)


@pytest.mark.parametrize("batching", [None, BatchingParameters(max_batch_size=8)], ids=["alone", "batching"])
def test_no_request_fails_during_changes(publish, batching):
    folder, more = publish(1), publish(3, "more")
    publish(2)
    core = ServerCore(Models([labelled(folder, stable=1)]), Batcher(batching) if batching else None)
    ended, started = threading.Event(), threading.Barrier(5)

    def send_requests():
        outputs = set()
        started.wait()
        while not ended.is_set():
            outputs.add(core.predict(ModelSpec(name="films", version_label="stable"), ONE)[1]["y"].item())
        return outputs

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(send_requests) for _ in range(4)]
        started.wait()
        for turn in range(20):
            core.models.apply([labelled(folder, stable=turn % 2 + 1), *([config(more)] if turn % 3 else [])])
        ended.set()
        assert {output for future in futures for output in future.result()} <= {1.0, 2.0}
    core.close()


def test_polling_finds_versions_and_a_new_configuration(publish, tmp_path):
    folder = publish(1)
    path = tmp_path / "models.config"

    def write(*configs):
        lines = "".join(f"config {{ {text_format.MessageToString(each)} }}" for each in configs)
        (tmp_path / "new").write_text(f"model_config_list {{ {lines} }}", encoding="utf-8")
        (tmp_path / "new").rename(path)

    def wait_for(expected, **options):
        with Client(server.grpc_address, "films", **options) as client:
            while client.predict("", {"x": ONE["x"]})["y"].tolist() != expected:
                pass

    write(config(folder))
    polls = {"file_system_poll_wait_seconds": 0.01, "model_config_file_poll_wait_seconds": 0.01}
    server = ModelServer([config(folder)], port=0, rest_api_port=0, model_config_file=path, **polls).start()
    try:
        publish(2)
        wait_for([2])
        write(labelled(folder, stable=1))
        wait_for([1])
        wait_for([1], label="stable")
        path.write_text("nonsense", encoding="utf-8")
        wait_for([1])
    finally:
        server.stop()


def test_a_repeated_error_is_logged_once(caplog):
    messages, done = iter("aab"), threading.Event()

    def fail():
        message = next(messages, None)
        if message is None:
            done.set()
            return
        raise InputError(message)

    task = PeriodicTask(0.001, fail)
    task.start()
    done.wait()
    task.stop()
    assert caplog.messages == ["a", "b"]

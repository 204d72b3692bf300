"""Models, versions and labels change while requests run: nobody is refused who was answered before and is after."""

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
from tfllmrec.serving.polling import Repeating
from tfllmrec.serving.server import ModelServer
from tfllmrec.serving.version import State
from tfllmrec_client.status import RequestError

ONE = {"x": np.ones(1, np.float32)}


@pytest.fixture
def shop(saved, tmp_path):
    """Puts versions into models' folders, as a whole: version n multiplies by n."""

    def put(number, model="films", broken=False):
        folder = tmp_path / model
        folder.mkdir(exist_ok=True)
        hidden = shutil.copytree(saved[number], folder / f".{number}")
        if broken:
            (hidden / "saved_model.pb").write_bytes(b"no model")
        shutil.rmtree(folder / str(number), ignore_errors=True)
        hidden.rename(folder / str(number))
        return folder

    return put


def config(folder, more=""):
    text = f'name: "{folder.name}" base_path: "{folder}" model_platform: "tensorflow" {more}'
    return text_format.Parse(text, ModelConfig())


def labelled(folder, **labels):
    versions = "".join(f"versions: {number} " for number in sorted(set(labels.values())))
    told = "".join(f'version_labels {{ key: "{key}" value: {number} }}' for key, number in labels.items())
    return config(folder, f"model_version_policy {{ specific {{ {versions} }} }} {told}")


def answer(models, name="films", **asked):
    with models.asked(ModelSpec(name=name, **asked)) as (_, model):
        return model.run("", ONE)["y"].tolist()


def states(models, name="films"):
    return {number: version.state.name for number, version in models.statuses(ModelSpec(name=name)).items()}


def test_a_new_version_takes_over(shop):
    models = Models([config(shop(1))])
    first = models.find(ModelSpec(name="films"))[1]
    shop(2)
    assert answer(models) == [1]
    models.poll()
    assert (answer(models), states(models)) == ([2], {2: "AVAILABLE"})
    assert (first.state, first.model) == (State.END, None)
    loaded = models.find(ModelSpec(name="films"))[1]
    models.poll()
    assert models.find(ModelSpec(name="films"))[1] is loaded, "what is loaded is not loaded again"


def test_a_broken_version_takes_over_from_nobody_until_it_is_mended(shop, caplog):
    models = Models([config(shop(1))])
    shop(2, broken=True)
    for _ in range(3):
        models.poll()
        assert (answer(models), states(models)) == ([1], {1: "AVAILABLE", 2: "END"})
    assert sum("version 2 is not served" in line for line in caplog.messages) == 1, "it is tried once"
    shop(2)
    models.poll()
    assert (answer(models), states(models)) == ([2], {2: "AVAILABLE"})


def test_versions_that_are_removed_are_served_no_longer(shop):
    folder = shop(1)
    shop(2)
    models = Models([config(folder, "model_version_policy { all {} }")])
    shutil.rmtree(folder / "1")
    models.poll()
    assert states(models) == {2: "AVAILABLE"}
    shutil.rmtree(folder / "2")
    with pytest.raises(InputError, match="is no export"):
        models.poll()
    assert answer(models) == [2], "the last one stays"


def test_labels_move(shop):
    folder = shop(1)
    models = Models([labelled(folder, stable=1)])
    shop(2)
    models.apply([labelled(folder, stable=1, canary=2)])
    assert [answer(models, version_label=label) for label in ("stable", "canary")] == [[1], [2]]
    models.apply([labelled(folder, stable=2, previous=1)])
    assert [answer(models, version_label=label) for label in ("stable", "previous")] == [[2], [1]]
    with pytest.raises(RequestError, match="no version label 'canary'"):
        answer(models, version_label="canary")


def test_a_label_does_not_move_to_what_does_not_load(shop):
    folder = shop(1)
    models = Models([labelled(folder, stable=1)])
    shop(2, broken=True)
    with pytest.raises(InputError, match=r"label stable stays where it is: .*/2 holds no SavedModel"):
        models.apply([labelled(folder, stable=2)])
    assert answer(models, version_label="stable") == [1]
    models.poll()
    assert (answer(models, version_label="stable"), states(models)) == ([1], {1: "AVAILABLE"})


def test_models_come_and_go(shop):
    films, books = shop(1), shop(2, "books")
    models = Models([config(films)])
    models.apply([config(books), config(films)])
    assert [answer(models, name) for name in ("films", "books")] == [[1], [2]]
    models.apply([config(books)])
    with pytest.raises(RequestError, match="there is no model 'films' here"):
        answer(models)
    assert answer(models, "books") == [2]


def test_a_version_ends_after_its_requests(shop):
    models = Models([config(shop(1))])
    shop(2)
    with ThreadPoolExecutor(1) as pool:
        with models.asked(ModelSpec(name="films")) as (number, model):
            version = models.find(ModelSpec(name="films"))[1]
            polled = pool.submit(models.poll)
            while version.state is not State.UNLOADING:
                assert not polled.done()
            assert (number, model.run("", ONE)["y"].tolist()) == (1, [1])
            assert answer(models) == [2], "new requests are answered by the new one"
        polled.result()
    assert version.state is State.END


def test_the_end_of_all_waits_for_nobody(shop):
    models = Models([config(shop(1))])
    with models.asked(ModelSpec(name="films")):
        models.close()
    with pytest.raises(RequestError, match="no version of model 'films' is served"):
        answer(models)


@pytest.mark.parametrize("batching", [None, BatchingParameters(max_batch_size=8)], ids=["alone", "batching"])
def test_no_request_fails_while_everything_changes(shop, batching):
    folder, more = shop(1), shop(3, "more")
    shop(2)
    core = ServerCore(Models([labelled(folder, stable=1)]), Batcher(batching) if batching else None)
    ended, asking = threading.Event(), threading.Barrier(5)

    def ask():
        found = set()
        asking.wait()
        while not ended.is_set():
            found.add(core.predict(ModelSpec(name="films", version_label="stable"), ONE)[1]["y"].item())
        return found

    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(ask) for _ in range(4)]
        asking.wait()
        for turn in range(40):
            core.models.apply([labelled(folder, stable=turn % 2 + 1), *([config(more)] if turn % 3 else [])])
        ended.set()
        assert {answer for one in asked for answer in one.result()} <= {1.0, 2.0}
    core.close()


def test_polling(shop, tmp_path):
    """A server finds versions, and a new configuration, by itself."""
    folder = shop(1)
    path = tmp_path / "models.config"

    def write(*configs):
        lines = "".join(f"config {{ {text_format.MessageToString(one)} }}" for one in configs)
        (tmp_path / "new").write_text(f"model_config_list {{ {lines} }}", encoding="utf-8")
        (tmp_path / "new").rename(path)

    def wait_for(expected, **asked):
        with Client(server.grpc_address, "films", **asked) as client:
            while client.predict("", {"x": ONE["x"]})["y"].tolist() != expected:
                pass

    write(config(folder))
    polls = {"file_system_poll_wait_seconds": 0.01, "model_config_file_poll_wait_seconds": 0.01}
    server = ModelServer([config(folder)], port=0, rest_api_port=0, model_config_file=path, **polls).start()
    try:
        shop(2)
        wait_for([2])
        write(labelled(folder, stable=1))
        wait_for([1])
        wait_for([1], label="stable")
        path.write_text("nonsense", encoding="utf-8")
        wait_for([1])
    finally:
        server.stop()


def test_what_goes_wrong_again_and_again_is_told_once(caplog):
    times, done = iter("aab"), threading.Event()

    def fail():
        message = next(times, None)
        if message is None:
            done.set()
            return
        raise InputError(message)

    repeating = Repeating(0.001, fail)
    repeating.start()
    done.wait()
    repeating.stop()
    assert caplog.messages == ["a", "b"]

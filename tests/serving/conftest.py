"""Exports of two versions, served by processes of their own, and what the recommenders say in this one."""

import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf
from clients import CLIENTS
from made_data import ITEMS, made_data
from made_up_batches import desks
from stub_client import TIMEOUT, StubClient, predict_request
from tensorflow_serving.apis.model_service_pb2_grpc import ModelServiceStub
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

from tfllmrec.errors import InputError
from tfllmrec.export import export
from tfllmrec.models.registry import model_class
from tfllmrec.serving import ServerProcess
from tfllmrec.serving.session import ServedModel

K = 10
"""Places in an answer of every export."""
OPTIONS = {"dim": 8, "hidden_units": 8, "epochs": 1, "history_length": 4, "user_vectors": True}
NEXT = {"dim": 8, "units": 6, "pooling_heads": 2, "epochs": 1, "history_length": 4}
CONFIG = """
model_config_list {{
  config {{
    name: "films"
    base_path: "{folder}/films"
    model_platform: "tensorflow"
    model_version_policy {{ all {{}} }}
    version_labels {{ key: "stable" value: 1 }}
    version_labels {{ key: "canary" value: 2 }}
  }}
  config {{ name: "popular" base_path: "{folder}/popular" model_platform: "tensorflow" }}
  config {{ name: "next" base_path: "{folder}/next" model_platform: "tensorflow" }}
  config {{ name: "broken" base_path: "{folder}/broken" model_platform: "tensorflow" }}
}}
"""
BATCHING = """
max_batch_size {{ value: {rows} }}
batch_timeout_micros {{ value: {micros} }}
max_enqueued_batches {{ value: {waiting} }}
pad_variable_length_inputs: true
"""


@dataclass
class Models:
    """What is on disk, and the same recommenders in this process.

    `recommenders` and `in_process` are by (model, version).
    """

    folder: Path
    recommenders: dict
    in_process: dict

    def recommended(self, users=None, histories=None, *, exclude=None, k=K, model="films", version=2):
        """Rows of (item_id, title, score), best first."""
        recommender = self.recommenders[model, version]
        table = recommender.recommend(users, histories, k, exclude=exclude)
        count = len(histories if users is None else users)
        rows = (table[table["row"] == row] for row in range(count))
        return [list(zip(row["item_id"], row["title"], row["score"], strict=True)) for row in rows]

    def all_scores(self, users=None, histories=None, *, exclude=None):
        """What every item that may come back scores, row by row."""
        rows = self.recommended(users, histories, exclude=exclude, k=len(ITEMS))
        return [{item: score for item, _, score in row} for row in rows]


class Times(tf.Module):
    """Multiplies x by a number, which gives y."""

    def __init__(self, factor):
        super().__init__()
        self.factor = tf.Variable(factor, dtype=tf.float32)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def __call__(self, x):
        return {"y": self.factor * x}


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
    """SavedModels that multiply by 1, 2, 3."""
    paths = {factor: tmp_path_factory.mktemp("saved") for factor in (1, 2, 3)}
    for factor, path in paths.items():
        module = Times(factor)
        tf.saved_model.save(module, str(path), signatures={"serving_default": module.__call__})
    return paths


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    data = made_data()
    fitted = {
        ("films", 1): model_class("two_tower")(**OPTIONS, seed=1).fit(data, verbose=0),
        ("films", 2): model_class("two_tower")(**OPTIONS, seed=2).fit(data, verbose=0),
        ("popular", 1): model_class("popularity")(history_length=4).fit(data, verbose=0),
        ("next", 1): model_class("next_item")(**NEXT).fit(data, verbose=0),
    }
    paths = {key: export(recommender, folder / key[0], top_k=K) for key, recommender in fitted.items()}
    shutil.copytree(paths["popular", 1], folder / "broken" / "1")
    graph = folder / "broken" / "1" / "saved_model.pb"
    graph.write_bytes(graph.read_bytes()[: graph.stat().st_size // 2])
    (folder / "models.config").write_text(CONFIG.format(folder=folder), encoding="utf-8")
    return Models(folder, fitted, {key: ServedModel(path) for key, path in paths.items()})


@pytest.fixture(scope="session")
def config_file(models):
    return models.folder / "models.config"


@pytest.fixture(scope="session")
def batching_file(models):
    """Makes the file that `--batching_parameters_file` names."""

    def write(*, rows, micros, waiting, sizes=()):
        text = BATCHING.format(rows=rows, micros=micros, waiting=waiting)
        text += "".join(f"allowed_batch_sizes: {size}\n" for size in sizes)
        path = models.folder / f"batching-{rows}-{micros}-{waiting}.txt"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def asking():
    """Makes an `Asking` of a server."""
    channels = []

    def ask(process):
        channels.append(grpc.insecure_channel(process.grpc_address, options=[("grpc.max_receive_message_length", -1)]))
        return StubClient(process, PredictionServiceStub(channels[-1]), ModelServiceStub(channels[-1]))

    yield ask
    for channel in channels:
        channel.close()


@pytest.fixture(scope="session")
def server(config_file, asking):
    """Batching off, all models."""
    with ServerProcess("--model_config_file", config_file) as process:
        yield asking(process)


@pytest.fixture(params=CLIENTS.values(), ids=CLIENTS)
def client_class(request):
    """Both clients, one after the other: a test that asks for this runs with either."""
    return request.param


@pytest.fixture
def connect(server, client_class):
    """Makes a client of the server."""
    made = []

    def connect(model="films", **options):
        made.append(client_class(server.process.grpc_address, model, **{"timeout": TIMEOUT} | options))
        return made[-1]

    yield connect
    for one in made:
        one.close()


@pytest.fixture
def unserved_address():
    """The address of a port that somebody holds and nobody serves."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"


@pytest.fixture(scope="session")
def batching(models, batching_file, asking):
    """Batching on, the films."""
    path = batching_file(rows=8, micros=2000, waiting=1000, sizes=(1, 2, 4, 8))
    arguments = ("--enable_batching", "--batching_parameters_file", path)
    with ServerProcess(models.folder / "films", *arguments) as process:
        yield asking(process)


@pytest.fixture
def desk(monkeypatch):
    """Makes desks: batchers that are asked from threads of their own."""
    with desks(monkeypatch) as make:
        yield make


@pytest.fixture(scope="session")
def request_for():
    """Makes a PredictRequest: (signature, output_filter, spec, **inputs)."""
    return predict_request


@pytest.fixture
def refused(server, models):
    """Checks that a call is refused with a code and one line, and that the server answers afterwards."""

    def check(code, call, *words):
        with pytest.raises(grpc.RpcError) as refusal:
            call()
        sentence = refusal.value.details()
        assert (refusal.value.code(), len(sentence.splitlines())) == (code, 1), repr(sentence[:500])
        assert not [word for word in words if word not in sentence], sentence
        assert_well(server, models)

    return check


@pytest.fixture
def well(server, models):
    """Checks that the server answers a good request."""
    return lambda: assert_well(server, models)


def assert_well(server, models):
    answer = server.predict(user_id=["用户3"], history=[["item1"]], exclude_item_ids=[["item2"]])
    expected = models.recommended(["用户3"], [["item1"]], exclude=[["item2"]])[0]
    found = [item.decode() for item in answer["item_ids"][0] if item]
    assert found == [item for item, *_ in expected]
    np.testing.assert_allclose(answer["scores"][0, : len(found)], [score for *_, score in expected], 1e-4, 1e-5)


@pytest.fixture
def assert_same_error():
    """Checks that a client refuses a question in the words in which the recommender does."""

    def check(asked, recommend, arguments):
        with pytest.raises(InputError) as refusal:
            asked(**arguments)
        with pytest.raises(InputError) as expected:
            recommend(**arguments)
        assert str(refusal.value) == str(expected.value)

    return check

"""Servers of the tests, and the exports that they serve."""

import socket
from types import SimpleNamespace

import grpc
import numpy as np
import pytest
import tensorflow as tf
from batcher_harness import harnesses
from clients import CLIENTS
from google.protobuf import text_format
from served_models import FILMS, NEWEST, K, Multiplier, config_text, export_models
from stub_client import TIMEOUT, StubClient
from tensorflow_serving.apis import model_management_pb2
from tensorflow_serving.apis.model_service_pb2_grpc import ModelServiceStub
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub
from tensorflow_serving.config import model_server_config_pb2

from tfllmrec.errors import InputError
from tfllmrec.export import export
from tfllmrec.serving import ServerProcess
from tfllmrec.serving.batching_parameters import BatchingParameters
from tfllmrec.serving.configuration import one_model
from tfllmrec.serving.server import ModelServer


@pytest.fixture(scope="session")
def multipliers(tmp_path_factory):
    """Return SavedModels that multiply by 1, 2 and 3, by factor."""
    paths = {factor: tmp_path_factory.mktemp("multiplier") for factor in (1, 2, 3)}
    for factor, path in paths.items():
        module = Multiplier(factor)
        tf.saved_model.save(module, str(path), signatures={"serving_default": module.__call__})
    return paths


@pytest.fixture(scope="session")
def models(tmp_path_factory, shared_fits):
    return export_models(tmp_path_factory.mktemp("served"), shared_fits)


@pytest.fixture(scope="session")
def films_config(models):
    """Return the configuration of the films: both versions, with the labels stable and canary."""
    return FILMS.format(folder=models.folder)


@pytest.fixture(scope="session")
def server_config(models, films_config):
    """Return the configurations of the models of the shared server, a list that `serve_model` extends."""
    return [films_config, *(NEWEST.format(name=name, folder=models.folder) for name in ("popular", "next", "broken"))]


@pytest.fixture(scope="session")
def write_config(models):
    """Return a function that writes a `--model_config_file` with configurations of models."""

    def write(name, configs):
        path = models.folder / name
        path.write_text(config_text(configs), encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def make_stub_client():
    """Return a function that makes a `StubClient` of a server."""
    channels = []

    def make(process):
        channels.append(grpc.insecure_channel(process.grpc_address, options=[("grpc.max_receive_message_length", -1)]))
        return StubClient(process, PredictionServiceStub(channels[-1]), ModelServiceStub(channels[-1]))

    yield make
    for channel in channels:
        channel.close()


@pytest.fixture(scope="session")
def server(server_config, write_config, make_stub_client):
    """Start the shared server process, without batching."""
    with ServerProcess("--model_config_file", write_config("models.config", server_config)) as process:
        yield make_stub_client(process)


@pytest.fixture(scope="session")
def reload_config(server):
    """Return a function that sends the text of a ModelServerConfig to the shared server."""

    def reload(text):
        config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
        request = model_management_pb2.ReloadConfigRequest(config=config)
        server.models.HandleReloadConfigRequest(request, timeout=TIMEOUT)

    return reload


@pytest.fixture(scope="session")
def serve_model(models, server_config, reload_config):
    """Return a function that exports a recommender and adds it to the models of the shared server."""

    def serve(name, recommender, top_k=K):
        export(recommender, models.folder / name, top_k=top_k)
        server_config.append(NEWEST.format(name=name, folder=models.folder))
        reload_config(config_text(server_config))
        return recommender

    return serve


@pytest.fixture(scope="session")
def batching_server(models, make_stub_client):
    """Start a server of the films in this process, with batching."""
    batching = BatchingParameters(
        max_batch_size=8,
        batch_timeout_micros=2000,
        max_enqueued_batches=1000,
        allowed_batch_sizes=(1, 2, 4, 8),
        pad_variable_length_inputs=True,
    )
    server = ModelServer(one_model("films", models.folder / "films"), port=0, rest_api_port=0, batching=batching)
    server.start()
    yield make_stub_client(SimpleNamespace(grpc_address=server.grpc_address, rest_url=server.rest_url))
    server.stop()


@pytest.fixture(params=CLIENTS.values(), ids=CLIENTS)
def client_class(request):
    """Return each of the two clients; a test with this fixture runs once per client."""
    return request.param


@pytest.fixture
def connect(server, client_class):
    """Return a function that makes a client of the shared server."""
    clients = []

    def connect(model="films", **options):
        clients.append(client_class(server.process.grpc_address, model, **{"timeout": TIMEOUT} | options))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def unserved_address():
    """Return the address of a port that is bound but not served."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"


@pytest.fixture
def make_harness(monkeypatch):
    """Return a function that makes a `BatcherHarness`."""
    with harnesses(monkeypatch) as make:
        yield make


@pytest.fixture
def assert_serves(server, models):
    """Return a function that checks that the shared server responds to a valid request."""

    def check():
        outputs = server.predict(user_id=["用户3"], history=[["item1"]], exclude_item_ids=[["item2"]])
        expected = models.recommended(["用户3"], [["item1"]], exclude=[["item2"]])[0]
        items = [item.decode() for item in outputs["item_ids"][0] if item]
        assert items == [item for item, *_ in expected]
        scores = outputs["scores"][0, : len(items)]
        np.testing.assert_allclose(scores, [score for *_, score in expected], 1e-4, 1e-5)

    return check


@pytest.fixture
def assert_refused(assert_serves):
    """Return a function that checks that a call is refused with a code and one line, and that the server goes on."""

    def check(code, call, *words):
        with pytest.raises(grpc.RpcError) as error:
            call()
        sentence = error.value.details()
        assert (error.value.code(), len(sentence.splitlines())) == (code, 1), repr(sentence[:500])
        assert not [word for word in words if word not in sentence], sentence
        assert_serves()

    return check


@pytest.fixture
def assert_same_error():
    """Return a function that checks that a client raises the error of the recommender for the same arguments."""

    def check(client_call, recommender_call, arguments):
        with pytest.raises(InputError) as error:
            client_call(**arguments)
        with pytest.raises(InputError) as expected:
            recommender_call(**arguments)
        assert str(error.value) == str(expected.value)

    return check

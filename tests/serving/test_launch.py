"""The server as a process: output, signals, shutdown after running requests, and failures to start."""

import gc
import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
import trustme
from batcher_harness import wait_until
from stub_client import TIMEOUT, predict_request

from tfllmrec.errors import InputError
from tfllmrec.serving import Client, ServerProcess, serve
from tfllmrec.serving.batching_parameters import BatchingParameters
from tfllmrec.serving.configuration import one_model, read_config
from tfllmrec.serving.server import ModelServer

SIGNAL_TO_ANOTHER_THREAD = """
import signal, threading
from tfllmrec.serving.signals import wait_for_signal
wait = wait_for_signal()
threading.Timer(0.1, lambda: signal.pthread_kill(threading.get_ident(), signal.SIGTERM)).start()
wait()
"""
SLOW_BATCHING = """
max_batch_size { value: 2 }
batch_timeout_micros { value: 3000000 }
max_enqueued_batches { value: 1 }
"""
"""A request of 1 row waits for 3 seconds; only one batch may wait, so that a request of 2 rows is refused meanwhile."""
ROW = {"user_id": "用户3", "history": ["item1"], "exclude_item_ids": ["item2"]}


@pytest.fixture
def multiplier(multipliers, tmp_path):
    """Return the folder of a model that multiplies by 2."""
    shutil.copytree(multipliers[2], tmp_path / "twice" / "1")
    return tmp_path / "twice"


# ---- a process


def waiting_request(stub, request):
    """Return the future of a request of 1 row that the server has received and not answered."""
    probe = predict_request("retrieve", **{name: [value] * 2 for name, value in ROW.items()})
    future = stub.Predict.future(request, timeout=TIMEOUT)
    for _ in range(10_000):
        try:
            stub.Predict(probe, timeout=6)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
            if not future.done():
                return future
        if future.done():  # the probe was received first, so the request itself was refused
            future = stub.Predict.future(request, timeout=TIMEOUT)
    pytest.fail("no request of 1 row is waiting")


@pytest.fixture(scope="module")
def stopped(models, tmp_path_factory, make_stub_client):
    """Return a stopped server process: address, stderr, exit statuses, and the outputs of a running request."""
    batching_file = tmp_path_factory.mktemp("batching") / "batching.config"
    batching_file.write_text(SLOW_BATCHING, encoding="utf-8")
    arguments = ("--enable_batching", "--batching_parameters_file", batching_file)
    with ServerProcess(models.folder / "films", *arguments) as process:
        stub = make_stub_client(process).predictions
        running = waiting_request(stub, predict_request("retrieve", **{name: [value] for name, value in ROW.items()}))
        process._process.terminate()
        outputs = running.result().outputs
        process._process.wait()
        errors = process.errors()
        statuses = [process.stop(), process.stop()]
    return process.grpc_address, errors, [*statuses, process.stop()], outputs


def test_the_process_stops_after_running_requests(stopped, models):
    outputs = stopped[3]
    expected = models.recommended([ROW["user_id"]], [ROW["history"]], exclude=[ROW["exclude_item_ids"]])[0]
    assert [item.decode() for item in outputs["item_ids"].string_val if item] == [item for item, *_ in expected]


def test_the_process_exits_with_0_and_can_be_stopped_repeatedly(stopped):
    address, _, statuses, _ = stopped
    assert statuses == [0, 0, 0]
    with Client(address, "films") as client, pytest.raises(InputError, match=address):
        client.status()


def test_the_process_writes_only_progress_to_stderr(stopped):
    assert [line for line in stopped[1] if not line.startswith("Loading TensorFlow (")] == []


def test_a_process_that_does_not_start_is_one_sentence():
    with pytest.raises(InputError) as error:
        ServerProcess("a_folder", "--model_base_path", "another_folder")
    assert str(error.value).startswith("the model server did not start: serve: give either ")
    assert len(str(error.value).splitlines()) == 1


def test_a_process_that_does_not_respond_is_reported():
    with pytest.raises(InputError, match=r"^the model server did not start: it did not respond in time$"):
        ServerProcess("a_folder", timeout=0.01)


# ---- output and signals, in this process


@pytest.fixture
def restore_process():
    """Restore the signal handlers, log handlers and garbage collection that `serve` changes."""
    signals = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    logger = logging.getLogger("tfllmrec")
    handlers, level = logger.handlers[:], logger.level
    yield
    for number, handler in signals.items():
        signal.signal(number, handler)
    logger.handlers[:] = handlers
    logger.setLevel(level)
    gc.unfreeze()


@pytest.fixture
def serve_until(monkeypatch, restore_process, capsys):
    """Return a function that serves configurations and sends a signal as soon as the server prints its addresses.

    It returns the printed lines.
    """
    monkeypatch.setattr("tfllmrec.serving.session.disable_xla", lambda: None)

    def run(number, configs, **options):
        def print_and_send(line, **options):
            print(line, **options)
            if line.startswith("REST"):
                os.kill(os.getpid(), number)

        monkeypatch.setattr(serve, "print", print_and_send, raising=False)
        serve.serve(configs, port=0, rest_api_port=0, **options)
        return capsys.readouterr().out.splitlines()

    return run


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_may_arrive_as_soon_as_the_addresses_are_printed(serve_until, multiplier, number):
    addresses = serve_until(number, one_model("twice", multiplier))[-2:]
    assert addresses[0].startswith("gRPC on 127.0.0.1:")
    assert addresses[1].startswith("REST on http://127.0.0.1:")


@pytest.mark.parametrize("encrypted", [False, True])
def test_unencrypted_rest_beside_encrypted_grpc_is_reported(serve_until, multiplier, encrypted):
    certificate = trustme.CA().issue_cert("localhost")
    pair = (certificate.private_key_pem.bytes(), certificate.cert_chain_pems[0].bytes())
    credentials = grpc.ssl_server_credentials([pair]) if encrypted else None
    lines = serve_until(signal.SIGTERM, one_model("twice", multiplier), credentials=credentials)
    assert ("--ssl_config_file encrypts gRPC only: REST is unencrypted" in lines) == encrypted


def test_loaded_versions_and_addresses_are_printed(serve_until, server_config, write_config):
    lines = serve_until(signal.SIGTERM, read_config(write_config("printed.config", server_config[:4])))
    assert [line.split(": ")[0] for line in lines[:5]] == ["films", "films", "popular", "next", "broken"]
    assert [("version 1 ready" in lines[0]), ("version 2 ready" in lines[1])] == [True, True]
    assert ["version 1 ready" in line for line in lines[2:4]] == [True, True]
    assert "version 1 failed to load" in lines[4]
    assert "saved_model.pb" in lines[4]
    assert lines[5].startswith("gRPC on 127.0.0.1:")
    assert lines[6].startswith("REST on http://127.0.0.1:")
    assert len(lines) == 7


def test_a_signal_to_another_thread_ends_the_process():
    subprocess.run([sys.executable, "-c", SIGNAL_TO_ANOTHER_THREAD], check=True, timeout=60)


def test_a_server_stops_after_running_requests_of_both_interfaces(multiplier, make_stub_client):
    batching = BatchingParameters(max_batch_size=4, batch_timeout_micros=300_000)
    server = ModelServer(one_model("twice", multiplier), port=0, rest_api_port=0, batching=batching).start()
    client = make_stub_client(server)
    request = predict_request("serving_default", spec={"name": "twice"}, x=np.float32([1.5]))
    body = json.dumps({"inputs": [2.5]}).encode()

    def post():
        with urllib.request.urlopen(f"{server.rest_url}/v1/models/twice:predict", body, timeout=TIMEOUT) as response:
            return json.loads(response.read())

    queues = server._core._batcher._queues
    with ThreadPoolExecutor(2) as pool:
        over_grpc = pool.submit(client.send, request)
        over_rest = pool.submit(post)
        wait_until(lambda: sum(batch.rows for queue in [*queues.values()] for batch in [*queue.batches]) == 2)
        server.stop()
        assert over_grpc.result()[1]["y"].tolist() == [3]
        assert over_rest.result() == {"outputs": [5.0]}


# ---- failures to start


def test_a_model_that_does_not_load_is_one_sentence(run, models):
    status, output, errors = run("serve", models.folder / "broken", "--port", 0, "--rest_api_port", 0)
    assert (status, output.count("\n"), errors.count("\n")) == (2, 1, 1)
    assert f"the SavedModel in {models.folder / 'broken' / '1'} cannot be loaded" in errors


@pytest.mark.parametrize("option", ["port", "rest_api_port"])
def test_a_port_in_use_is_refused(models, option):
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
        ports = {"port": 0, "rest_api_port": 0} | {option: port}
        with pytest.raises(InputError, match=f"{port}.*--{option}"):
            ModelServer(one_model("films", models.folder / "films"), **ports)


@pytest.mark.parametrize("option", ["--port", "--rest_api_port"])
def test_a_port_beyond_65535_is_refused(run, models, option):
    status, _, errors = run("serve", models.folder / "films", option, 99999)
    assert status == 2
    assert "65535" in errors


def test_a_version_instead_of_its_model_is_refused(models):
    films = models.folder / "films"
    with pytest.raises(InputError, match=f"{films / '1'} .*{films}$"):
        ModelServer(one_model("films", films / "1"), port=0, rest_api_port=0)

"""The server as a process: how it starts, what it says, how it ends."""

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

from tfllmrec.errors import InputError
from tfllmrec.serving import Client, ServerProcess
from tfllmrec.serving.configuration import one_model
from tfllmrec.serving.server import ModelServer

FULL = grpc.StatusCode.UNAVAILABLE
TOLD_ELSEWHERE = """
import signal, threading
from tfllmrec.serving.signals import wait_for_signal
until_told = wait_for_signal()
threading.Timer(0.1, lambda: signal.pthread_kill(threading.get_ident(), signal.SIGTERM)).start()
until_told()
"""
ROW = {"user_id": "用户3", "history": ["item1"], "exclude_item_ids": ["item2"]}


@pytest.fixture(scope="module")
def slow(batching_file):
    """A batch is of 2 rows, or waits for 3 seconds; only one may wait.

    So it can be known, without a clock, that a request of 1 row waits: one of 2 rows is turned down meanwhile.
    """
    return ("--enable_batching", "--batching_parameters_file", batching_file(rows=2, micros=3_000_000, waiting=1))


def waiting(send, stub, request_for):
    """The future of a request of 1 row, from `send`, that the server has and has not answered."""
    probe = request_for("retrieve", **{name: [value] * 2 for name, value in ROW.items()})
    future = send()
    for _ in range(10_000):
        try:
            stub.Predict(probe, timeout=6)
        except grpc.RpcError as error:
            if error.code() is not FULL:
                raise
            if not future.done():
                return future
        if future.done():  # the probe was there first, and it was turned down itself
            future = send()
    pytest.fail("no request of 1 row came to wait")


def best(models):
    return [
        [item for item, *_ in row]
        for row in models.recommended([ROW["user_id"]], [ROW["history"]], exclude=[ROW["exclude_item_ids"]])
    ]


@pytest.fixture(scope="module")
def started(config_file, slow):
    """A server in a shell's way, which has not said anything yet; killed if it does not end by itself."""
    command = [sys.executable, "-m", "tfllmrec", "serve", "--model_config_file", config_file, *slow]
    ports = ["--port", "0", "--rest_api_port", "0"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "encoding": "utf-8"}
    with subprocess.Popen([*map(str, command), *ports], **pipes) as process:
        yield process
        process.kill()


# ---- how it ends


def test_a_signal_that_another_thread_is_given_ends_it_too():
    subprocess.run([sys.executable, "-c", TOLD_ELSEWHERE], check=True, timeout=60)


def test_it_stops_after_the_requests_that_run(started, models, slow, request_for):
    assert started.pid  # two start at a time
    with ServerProcess(models.folder / "films", *slow) as process:
        channel = grpc.insecure_channel(process.grpc_address)
        stub = PredictionServiceStub(channel)
        request = request_for("retrieve", **{name: [value] for name, value in ROW.items()})
        running = waiting(lambda: stub.Predict.future(request, timeout=60), stub, request_for)
        assert process.stop() == 0
        answer = running.result()
        channel.close()
        assert [[item.decode() for item in answer.outputs["item_ids"].string_val if item]] == best(models)
        assert process.stop() == 0  # once more does no harm
        with Client(process.grpc_address, "films") as client, pytest.raises(InputError, match=process.grpc_address):
            client.status()
    assert process.stop() == 0


@pytest.fixture(scope="module")
def told(started, request_for):
    """A server that is interrupted while it answers: (stdout, stderr, exit status, the answer)."""
    lines = []
    while not lines or not lines[-1].startswith("REST"):
        lines.append(started.stdout.readline())
        assert lines[-1], started.stderr.read()
    grpc_address, rest_url = (line.split()[-1] for line in lines[-2:])
    with grpc.insecure_channel(grpc_address) as channel, ThreadPoolExecutor(1) as pool:
        running = waiting(lambda: pool.submit(post, rest_url), PredictionServiceStub(channel), request_for)
        started.send_signal(signal.SIGINT)
        failed = running.exception()
    stdout, stderr = started.communicate(timeout=300)
    return "".join(lines) + stdout, stderr, started.returncode, failed or running.result()


def post(rest_url):
    body = json.dumps({"signature_name": "retrieve", "instances": [ROW]}).encode()
    with urllib.request.urlopen(f"{rest_url}/v1/models/films:predict", body, timeout=60) as answer:
        return json.loads(answer.read())


def test_an_interrupt_ends_it_as_well_after_the_requests_that_run(told, models):
    _, _, status, answer = told
    assert isinstance(answer, dict), answer
    assert [[item for item in row["item_ids"] if item] for row in answer["predictions"]] == best(models)
    assert status == 0


def test_it_says_where_it_is_and_what_it_serves(told):
    said = told[0]
    lines = said.splitlines()
    assert [line.split(": ")[0] for line in lines[:5]] == ["films", "films", "popular", "next", "broken"]
    assert [("version 1 ready" in lines[0]), ("version 2 ready" in lines[1])] == [True, True]
    assert ["version 1 ready" in line for line in lines[2:4]] == [True, True]
    assert "version 1 is not served" in lines[4]
    assert "saved_model.pb" in lines[4]
    assert lines[5].startswith("gRPC on 127.0.0.1:")
    assert lines[6].startswith("REST on http://127.0.0.1:")
    assert len(lines) == 7


def test_it_says_nothing_else(told):
    assert told[1] == ""


def test_it_can_be_stopped_as_soon_as_it_is_there(models):
    ended = at_once(models)
    assert "REST on" in ended.stdout
    assert (ended.returncode, ended.stderr) == (0, "")


TOLD_AT_ONCE = """
import os, signal, sys
from tfllmrec.serving import serve

def say(line, **options):
    print(line, **options)
    if line.startswith("REST"):
        os.kill(os.getpid(), signal.SIGTERM)

serve.print = say
from tfllmrec.cli import main
main()
"""
"""A server that is told to end in the moment that it says it is there, which is when `ServerProcess` returns."""


def at_once(models):
    command = [sys.executable, "-c", TOLD_AT_ONCE, "serve", models.folder / "films"]
    ports = ["--port", "0", "--rest_api_port", "0"]
    return subprocess.run(
        [*map(str, command), *ports], capture_output=True, text=True, encoding="utf-8", timeout=300, check=False
    )


# ---- how it does not start


@pytest.fixture(scope="module")
def corrupt(models):
    """What a process says that has nothing to serve."""
    with pytest.raises(InputError) as refusal:
        ServerProcess(models.folder / "broken")
    return str(refusal.value)


def test_a_model_that_does_not_load(corrupt, models):
    assert str(models.folder / "broken" / "1") in corrupt
    assert "SavedModel" in corrupt


def test_a_refusal_is_one_sentence(corrupt):
    assert len(corrupt.splitlines()) == 1
    assert "Traceback" not in corrupt


@pytest.mark.parametrize("option", ["port", "rest_api_port"])
def test_a_port_in_use(models, option):
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        ports = {"port": 0, "rest_api_port": 0} | {option: port}
        with pytest.raises(InputError, match=f"{port}.*--{option}"):
            ModelServer(one_model("films", models.folder / "films"), **ports)


@pytest.mark.parametrize("option", ["--port", "--rest_api_port"])
def test_a_port_beyond_all_ports(run, models, option):
    status, _, said = run("serve", models.folder / "films", option, 99999)
    assert status == 2
    assert "65535" in said


def test_a_folder_that_is_no_export(tmp_path):
    with pytest.raises(InputError, match=f"{tmp_path}.*no export"):
        ModelServer(one_model("empty", tmp_path), port=0, rest_api_port=0)


def test_a_version_in_place_of_its_model(models):
    films = models.folder / "films"
    with pytest.raises(InputError, match=f"{films / '1'} .*{films}$"):
        ModelServer(one_model("films", films / "1"), port=0, rest_api_port=0)

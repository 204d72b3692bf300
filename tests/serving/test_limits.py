"""Bounds of a server: how large requests are, how many at once, how slow."""

import http.client
import json
import select
import shutil
import socket
import time

import grpc
import pytest

from tfllmrec.errors import InputError
from tfllmrec.serving.batching_parameters import BatchingParameters
from tfllmrec.serving.configuration import one_model
from tfllmrec.serving.limits import Limits, channel_arguments
from tfllmrec.serving.server import ModelServer
from tfllmrec_client.messages import PredictRequest, PredictResponse

EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
LARGEST = 2000
PATIENCE = 60
PATH = "/v1/models/times:predict"
BODY = json.dumps({"inputs": [1.5]}).encode()
HEADERS = f"POST {PATH} HTTP/1.1\r\nHost: here\r\n".encode()


class Asked:
    """A server of "times", which doubles, in this process, so that its queues can be looked at."""

    def __init__(self, folder, batching=None, **limits):
        self.server = ModelServer(
            one_model("times", folder), port=0, rest_api_port=0, batching=batching, limits=Limits(**limits)
        ).start()
        self.channel = grpc.insecure_channel(self.server.grpc_address)
        grpc.channel_ready_future(self.channel).result(PATIENCE)  # what waits for a connection may change its order
        self.rest = self.server._rest._server.requests
        self.connections = []

    def grpc(self, size=0):
        """The future answer to one row, in a message of at least so many bytes."""
        call = self.channel.unary_unary(
            "/tensorflow.serving.PredictionService/Predict",
            request_serializer=PredictRequest.SerializeToString,
            response_deserializer=PredictResponse.FromString,
        )
        request = PredictRequest(model_spec={"name": "times", "version": {"value": 1}, "signature_name": "x" * size})
        tensor = request.inputs["x"]
        tensor.dtype, tensor.float_val[:] = 1, [1.5]
        tensor.tensor_shape.dim.add(size=1)
        return call.future(request, timeout=PATIENCE)

    def send(self, *pieces):
        """A connection on which these bytes were sent."""
        connection = socket.create_connection(("127.0.0.1", self.server._rest.port), timeout=PATIENCE)
        self.connections.append(connection)
        for piece in pieces:
            connection.sendall(piece)
        return connection

    def post(self, body=BODY):
        """A connection on which a body was sent."""
        return self.send(HEADERS, f"Content-Length: {len(body)}\r\n\r\n".encode(), body)

    def close(self):
        for connection in self.connections:
            connection.close()
        self.channel.close()
        self.server.stop(0)


def read(connection):
    """(status, what the JSON says)."""
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    assert answer.getheader("Content-Type") == "application/json"
    return answer.status, json.loads(answer.read())


def until(happened):
    """Wait for what another thread is about to do."""
    while not happened():
        time.sleep(0)


def doubled(call):
    return list(call.result().outputs["y"].float_val)


@pytest.fixture(scope="module")
def folder(saved, tmp_path_factory):
    folder = tmp_path_factory.mktemp("times")
    shutil.copytree(saved[2], folder / "1")
    return folder


@pytest.fixture(scope="module")
def small(folder):
    """Takes messages and bodies of 2000 bytes, within a second."""
    options = {"grpc.max_receive_message_length": LARGEST}
    one = Asked(folder, grpc_channel_arguments=options, rest_api_max_body_bytes=LARGEST, rest_api_timeout_in_ms=1000)
    yield one
    one.close()


@pytest.fixture
def busy(folder):
    """One thread for each interface, and room for one more request; a row waits until another makes a batch of two."""
    never = BatchingParameters(max_batch_size=2, batch_timeout_micros=3600 * 10**6)
    one = Asked(folder, never, grpc_max_threads=1, rest_api_num_threads=1, max_waiting_requests=1)
    yield one
    one.close()


def test_a_message_that_is_too_large(small):
    assert doubled(small.grpc()) == [3]
    refusal = small.grpc(LARGEST).exception()
    assert refusal.code() is EXHAUSTED
    assert str(LARGEST) in refusal.details()
    assert small.grpc(LARGEST // 2).code() is grpc.StatusCode.FAILED_PRECONDITION


def chunked(size, count=1):
    return (
        HEADERS,
        b"Transfer-Encoding: chunked\r\n\r\n",
        f"{size:x}\r\n{' ' * size}\r\n".encode() * count,
        b"0\r\n\r\n",
    )


TOO_LARGE = {
    "as announced": (HEADERS, f"Content-Length: {LARGEST + 1}\r\n\r\n".encode()),
    "sent as well": (HEADERS, f"Content-Length: {10**6}\r\n\r\n".encode(), b" " * 10**6),
    "far beyond memory": (HEADERS, f"Content-Length: {10**30}\r\n\r\n".encode()),
    "a chunk": chunked(LARGEST + 1),
    "chunks": chunked(LARGEST // 4, 5),
    "a chunk beyond memory": (HEADERS, b"Transfer-Encoding: chunked\r\n\r\n", b"ffffffffffff\r\n"),
    "a chunk's length without end": (HEADERS, b"Transfer-Encoding: chunked\r\n\r\n", b"0" * 200_000),
    "headers": (HEADERS, b"X: " + b"x" * 100_000),
    "asked with GET": (HEADERS.replace(b"POST", b"GET"), f"Content-Length: {10**9}\r\n\r\n".encode()),
}


@pytest.mark.parametrize("pieces", TOO_LARGE.values(), ids=TOO_LARGE)
def test_a_body_that_is_too_large(small, pieces):
    status, said = read(small.send(*pieces))
    assert (status, said.keys()) == (413, {"error"})
    assert str(LARGEST) in said["error"]
    assert read(small.post()) == (200, {"outputs": [3.0]})


def test_a_body_as_large_as_may_be(small):
    assert read(small.post(BODY.ljust(LARGEST))) == (200, {"outputs": [3.0]})
    assert read(small.post(BODY.ljust(LARGEST + 1)))[0] == 413


@pytest.mark.parametrize("length", [-1, -5])
def test_a_length_below_zero_is_none(small, length):
    assert read(small.send(HEADERS, f"Content-Length: {length}\r\n\r\n".encode()))[0] == 400


@pytest.mark.parametrize("line", [b"nonsense\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\r\n\r\n"])
def test_what_is_no_http_is_refused_in_json(small, line):
    status, said = read(small.send(line))
    assert (status // 100, said.keys()) in ((4, {"error"}), (5, {"error"}))


def test_a_request_that_does_not_come_in_time(small):
    stops = [(HEADERS,), (HEADERS, b"Content-Length: 20\r\n\r\n", b"{"), chunked(5)[:2]]
    connections = [small.send(*pieces) for pieces in stops]
    trickling = small.send(HEADERS, b"X: ")
    while not select.select([trickling], [], [], 0.01)[0]:
        trickling.sendall(b"x")
    for connection in (*connections, trickling):
        status, said = read(connection)
        assert status == 408
        assert "--rest_api_timeout_in_ms" in said["error"]


def test_silent_connections_hold_no_thread(busy):
    for _ in range(20):
        busy.send()
    held = [busy.post(), busy.grpc()]
    assert doubled(held[1]) == [3]
    assert read(held[0])[0] == 200


def test_one_message_too_many_is_refused_at_once(busy):
    running, waiting, refused = busy.grpc(), busy.grpc(), busy.grpc()
    assert refused.code() is EXHAUSTED
    assert refused.details() == "Concurrent RPC limit exceeded!"
    assert not running.done()
    assert not waiting.done()
    for _ in range(2):
        assert read(busy.post())[0] == 200  # the other row of a batch
    assert doubled(running) == doubled(waiting) == [3]


def test_one_body_too_many_is_refused_at_once(busy):
    queues = busy.server._core._batcher._queues
    running = busy.post()
    until(lambda: queues)
    waiting = busy.post()
    until(lambda: busy.rest.qsize)
    for body in (BODY, b" " * 10**7):  # the client is not cut off while it sends
        status, said = read(busy.post(body))
        assert (status, said.keys()) == (429, {"error"})
        assert "try again" in said["error"]
    for held in (running, waiting):
        assert doubled(busy.grpc()) == [3]
        assert read(held) == (200, {"outputs": [3.0]})
    connection = busy.post()
    assert doubled(busy.grpc()) == [3]
    assert read(connection)[0] == 200


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ("grpc.max_receive_message_length=-1", {"grpc.max_receive_message_length": -1}),
        ("a=1, b=x=y,", {"a": 1, "b": "x=y"}),
    ],
)
def test_channel_arguments(text, found):
    assert channel_arguments(text) == found


@pytest.mark.parametrize("text", ["a", "a=", "=1", "a=1,,b"])
def test_channel_arguments_that_are_none(text):
    with pytest.raises(InputError, match="--grpc_channel_arguments"):
        channel_arguments(text)

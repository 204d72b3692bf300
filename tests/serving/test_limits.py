"""Limits of a server: size, number and duration of requests."""

import http.client
import json
import select
import shutil
import socket

import grpc
import pytest
from batcher_harness import NEVER, wait_until

from tfllmrec.errors import InputError
from tfllmrec.serving.batching_parameters import BatchingParameters
from tfllmrec.serving.configuration import one_model
from tfllmrec.serving.limits import Limits, channel_arguments
from tfllmrec.serving.server import ModelServer
from tfllmrec_client.messages import PredictRequest, PredictResponse

EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
MAX_BYTES = 2000
TIMEOUT = 60
PATH = "/v1/models/times:predict"
BODY = json.dumps({"inputs": [1.5]}).encode()
HEADERS = f"POST {PATH} HTTP/1.1\r\nHost: here\r\n".encode()


class LimitedServer:
    """Server in this process, so that a test can observe its queues. Its model "times" multiplies by 2."""

    def __init__(self, folder, batching=None, **limits):
        self.server = ModelServer(
            one_model("times", folder), port=0, rest_api_port=0, batching=batching, limits=Limits(**limits)
        ).start()
        self.channel = grpc.insecure_channel(self.server.grpc_address)
        grpc.channel_ready_future(self.channel).result(
            TIMEOUT
        )  # requests that wait for a connection may change their order
        self.rest = self.server._rest._application
        self.connections = []

    def grpc(self, size=0):
        """Return the future of a request of one row, in a message of at least `size` bytes."""
        call = self.channel.unary_unary(
            "/tensorflow.serving.PredictionService/Predict",
            request_serializer=PredictRequest.SerializeToString,
            response_deserializer=PredictResponse.FromString,
        )
        request = PredictRequest(model_spec={"name": "times", "version": {"value": 1}, "signature_name": "x" * size})
        tensor = request.inputs["x"]
        tensor.dtype, tensor.float_val[:] = 1, [1.5]
        tensor.tensor_shape.dim.add(size=1)
        return call.future(request, timeout=TIMEOUT)

    def send(self, *pieces):
        """Return a connection on which these bytes were sent."""
        connection = socket.create_connection(("127.0.0.1", self.server._rest.port), timeout=TIMEOUT)
        self.connections.append(connection)
        for piece in pieces:
            connection.sendall(piece)
        return connection

    def post(self, body=BODY):
        """Return a connection on which a body was sent."""
        return self.send(HEADERS, f"Content-Length: {len(body)}\r\n\r\n".encode(), body)

    def close(self):
        for connection in self.connections:
            connection.close()
        self.channel.close()
        self.server.stop(0)


def read(connection):
    """Return the status and the JSON of the response."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    assert response.getheader("Content-Type") == "application/json"
    return response.status, json.loads(response.read())


def output_of(call):
    return list(call.result().outputs["y"].float_val)


@pytest.fixture(scope="module")
def folder(multipliers, tmp_path_factory):
    folder = tmp_path_factory.mktemp("times")
    shutil.copytree(multipliers[2], folder / "1")
    return folder


@pytest.fixture(scope="module")
def small(folder):
    """Start a server that accepts messages and bodies of 2000 bytes within a second."""
    options = {"grpc.max_receive_message_length": MAX_BYTES}
    server = LimitedServer(
        folder, grpc_channel_arguments=options, rest_api_max_body_bytes=MAX_BYTES, rest_api_timeout_in_ms=1000
    )
    yield server
    server.close()


@pytest.fixture
def busy(folder):
    """Start a server with one thread and one waiting request per interface. A row waits for the second of its batch."""
    batching = BatchingParameters(max_batch_size=2, batch_timeout_micros=NEVER)
    server = LimitedServer(folder, batching, grpc_max_threads=1, rest_api_num_threads=1, max_waiting_requests=1)
    yield server
    server.close()


def test_a_message_beyond_the_limit_is_refused(small):
    assert output_of(small.grpc()) == [3]
    refusal = small.grpc(MAX_BYTES).exception()
    assert refusal.code() is EXHAUSTED
    assert str(MAX_BYTES) in refusal.details()
    assert small.grpc(MAX_BYTES // 2).code() is grpc.StatusCode.FAILED_PRECONDITION


def chunked(size, count=1):
    return (
        HEADERS,
        b"Transfer-Encoding: chunked\r\n\r\n",
        f"{size:x}\r\n{' ' * size}\r\n".encode() * count,
        b"0\r\n\r\n",
    )


TOO_LARGE = {
    "announced": (HEADERS, f"Content-Length: {MAX_BYTES + 1}\r\n\r\n".encode()),
    "announced and sent": (HEADERS, f"Content-Length: {10**6}\r\n\r\n".encode(), b" " * 10**6),
    "larger than the memory": (HEADERS, f"Content-Length: {10**18}\r\n\r\n".encode()),
    "a chunk": chunked(MAX_BYTES + 1),
    "chunks": chunked(MAX_BYTES // 4, 5),
    "a chunk larger than the memory": (
        HEADERS,
        b"Transfer-Encoding: chunked\r\n\r\n",
        b"ffffffffffff\r\n",
        b" " * (MAX_BYTES + 1),
    ),
    "an endless chunk length": (HEADERS, b"Transfer-Encoding: chunked\r\n\r\n", b"0" * 1_000_000),
    "small chunks": chunked(1, 200_000),
    "in a GET request": (HEADERS.replace(b"POST", b"GET"), f"Content-Length: {10**9}\r\n\r\n".encode()),
}


@pytest.mark.parametrize("pieces", TOO_LARGE.values(), ids=TOO_LARGE)
def test_a_body_beyond_the_limit_is_refused(small, pieces):
    status, content = read(small.send(*pieces))
    assert (status, content.keys()) == (413, {"error"})
    assert str(MAX_BYTES) in content["error"]
    assert read(small.post()) == (200, {"outputs": [3.0]})


@pytest.mark.parametrize("endless", [b"X: " + b"x" * 10**6, b"X: x\r\n" * 10**5, b"X: " + b"x" * 2**16 + b"\r\n\r\n"])
def test_endless_headers_are_refused(small, endless):
    status, content = read(small.send(HEADERS, endless))
    assert (status, content) == (431, {"error": "the path and the headers may have at most 65536 bytes"})


def test_a_body_of_the_maximum_size_is_accepted(small):
    assert read(small.post(BODY.ljust(MAX_BYTES))) == (200, {"outputs": [3.0]})
    assert read(small.post(BODY.ljust(MAX_BYTES + 1)))[0] == 413


@pytest.mark.parametrize("length", [-1, -5])
def test_a_negative_length_is_refused(small, length):
    assert read(small.send(HEADERS, f"Content-Length: {length}\r\n\r\n".encode()))[0] == 400


@pytest.mark.parametrize("line", [b"nonsense\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\r\n\r\n"])
def test_invalid_http_is_refused_in_json(small, line):
    status, content = read(small.send(line))
    assert (status // 100, content.keys()) in ((4, {"error"}), (5, {"error"}))


def test_an_incomplete_request_times_out(small):
    incomplete = [(HEADERS,), (HEADERS, b"Content-Length: 20\r\n\r\n", b"{"), chunked(5)[:2]]
    connections = [small.send(*pieces) for pieces in incomplete]
    trickling = small.send(HEADERS, b"X: ")
    while not select.select([trickling], [], [], 0.01)[0]:
        trickling.sendall(b"x")
    for connection in (*connections, trickling):
        status, content = read(connection)
        assert status == 408
        assert "--rest_api_timeout_in_ms" in content["error"]


def test_a_response_that_is_not_read_ends_its_connection(folder):
    server = LimitedServer(folder, rest_api_timeout_in_ms=1000)
    body = json.dumps({"inputs": [0.5] * 10**6}).encode()
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", server.server._rest.port))
    connection.sendall(HEADERS + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
    connections = server.server._rest._server.server_state.connections
    wait_until(lambda: [each for each in connections if each.flow.write_paused])
    wait_until(lambda: not connections)
    assert read(server.post()) == (200, {"outputs": [3.0]})
    connection.close()
    server.close()


def test_idle_connections_do_not_occupy_threads(busy):
    for _ in range(20):
        busy.send()
    over_rest, over_grpc = busy.post(), busy.grpc()
    assert output_of(over_grpc) == [3]
    assert read(over_rest)[0] == 200


def test_a_message_beyond_the_queue_is_refused_at_once(busy):
    running, waiting, refused = busy.grpc(), busy.grpc(), busy.grpc()
    assert refused.code() is EXHAUSTED
    assert refused.details() == "Concurrent RPC limit exceeded!"
    assert not running.done()
    assert not waiting.done()
    for _ in range(2):
        assert read(busy.post())[0] == 200  # the second row of a batch
    assert output_of(running) == output_of(waiting) == [3]


def test_a_body_beyond_the_queue_is_refused_at_once(busy):
    queues = busy.server._core._batcher._queues
    running = busy.post()
    wait_until(lambda: queues)
    waiting = busy.post()
    wait_until(lambda: busy.rest._requests == 2)
    for body in (BODY, b" " * 10**7):  # a client that is still sending receives the response
        status, content = read(busy.post(body))
        assert (status, content.keys()) == (429, {"error"})
        assert "try again" in content["error"]
    for connection in (running, waiting):
        assert output_of(busy.grpc()) == [3]
        assert read(connection) == (200, {"outputs": [3.0]})
    connection = busy.post()
    assert output_of(busy.grpc()) == [3]
    assert read(connection)[0] == 200


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("", {}),
        ("grpc.max_receive_message_length=-1", {"grpc.max_receive_message_length": -1}),
        ("a=1, b=x=y,", {"a": 1, "b": "x=y"}),
    ],
)
def test_channel_arguments_are_parsed(text, arguments):
    assert channel_arguments(text) == arguments


@pytest.mark.parametrize("text", ["a", "a=", "=1", "a=1,,b"])
def test_invalid_channel_arguments_are_refused(text):
    with pytest.raises(InputError, match="--grpc_channel_arguments"):
        channel_arguments(text)

"""Made-up bytes: messages that are none, and connections that do not speak HTTP to the end."""

import http.client
import json
import socket
from urllib.parse import urlsplit

import grpc
import pytest
from film_requests import PREDICT, ROWS
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from made_up_inputs import good_inputs, many
from stub_client import predict_request
from tensorflow_serving.apis import predict_pb2

UNREADABLE = grpc.StatusCode.INTERNAL
REFUSED = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION}
METHOD = "/tensorflow.serving.PredictionService/Predict"
BODY = json.dumps({"instances": ROWS}).encode()
HEADERS = f"POST {PREDICT} HTTP/1.1\r\nHost: here\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()


@pytest.fixture(scope="module")
def ask(server):
    """Sends bytes to a method: the code, and what comes as bytes or as a sentence."""
    with grpc.insecure_channel(server.process.grpc_address) as channel:

        def send(content, method=METHOD):
            try:
                return grpc.StatusCode.OK, channel.unary_unary(method)(content, timeout=60)
            except grpc.RpcError as error:
                return error.code(), error.details()

        yield send


@st.composite
def broken_messages(draw):
    """Good messages that are cut, or have some bytes changed; and noise."""
    signature, inputs = draw(good_inputs())
    content = bytearray(predict_request(signature, **inputs).SerializeToString())
    place = draw(st.integers(0, len(content)))
    match draw(st.sampled_from(["cut", "changed", "noise"])):
        case "cut":
            return bytes(content[:place])
        case "changed":
            new = draw(st.binary(min_size=1, max_size=4))
            content[place : place + len(new)] = new
            return bytes(content)
    return draw(st.binary(max_size=200))


@many(150)
@given(broken_messages())
def test_a_broken_message_is_unreadable_or_judged_by_what_it_says(ask, content):
    code, said = ask(content)
    try:
        predict_pb2.PredictRequest.FromString(content)
    except DecodeError:
        assert code is UNREADABLE, said
        assert "cannot be read" in said
    else:
        assert code in {grpc.StatusCode.OK, *REFUSED}, said
    assert code is grpc.StatusCode.OK or len(said.splitlines()) == 1


@pytest.mark.parametrize("name", [b"\xff", b"\xed\xa0\x80", b"a\x80"])
def test_a_name_that_is_no_text_is_unreadable(ask, name):
    good = predict_request(spec={"name": "N" * len(name)}).SerializeToString()
    assert ask(good)[0] is grpc.StatusCode.NOT_FOUND
    assert ask(good.replace(b"N" * len(name), name))[0] is UNREADABLE


@pytest.mark.parametrize("method", ["/tensorflow.serving.PredictionService/Ask", "/Predict", f"{METHOD}/"])
def test_a_method_that_is_not_there(ask, method):
    assert ask(b"", method)[0] is grpc.StatusCode.UNIMPLEMENTED


@st.composite
def broken_requests(draw):
    """A good request that is cut, or has some bytes put into its headers."""
    request, place = HEADERS + BODY, draw(st.integers(0, len(HEADERS)))
    if draw(st.booleans()):
        return request[: place + draw(st.integers(0, len(BODY) - 1))]
    return request[:place] + draw(st.binary(min_size=1, max_size=8)) + request[place:]


@many(150)
@given(broken_requests(), st.booleans())
def test_a_broken_request_is_refused_or_forgotten(server, content, leaves):
    where = urlsplit(server.url)
    with socket.create_connection((where.hostname, where.port), timeout=60) as connection:
        connection.sendall(content)
        if leaves:
            return
        connection.shutdown(socket.SHUT_WR)
        answer = http.client.HTTPResponse(connection)
        try:
            answer.begin()
        except http.client.RemoteDisconnected:
            assert b"\r\n" not in content.strip(b"\r\n")  # nothing was asked: the first line never ended
            return
        said = json.loads(answer.read())
        assert answer.getheader("Content-Type") == "application/json"
        assert answer.status == 200 or (answer.status // 100 in (4, 5) and said.keys() == {"error"})
        assert answer.status < 500 or answer.status in (501, 505), said


def test_the_server_is_well_after_all_of_this(server, well):
    well()
    assert server.process.errors() == []

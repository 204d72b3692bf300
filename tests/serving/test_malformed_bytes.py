"""Malformed messages and HTTP requests, generated from valid ones: refused, and the server goes on."""

import http.client
import json
import socket
from urllib.parse import urlsplit

import grpc
import pytest
from film_requests import PREDICT, ROWS
from generated_inputs import example_count, valid_inputs
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from stub_client import predict_request
from tensorflow_serving.apis import predict_pb2

UNPARSABLE = grpc.StatusCode.INTERNAL
REFUSED = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION}
METHOD = "/tensorflow.serving.PredictionService/Predict"
BODY = json.dumps({"instances": ROWS}).encode()
HEADERS = f"POST {PREDICT} HTTP/1.1\r\nHost: here\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()


@pytest.fixture(scope="module")
def send(server):
    """Return a function that sends bytes to a method; it returns the code, and the response or the error sentence."""
    with grpc.insecure_channel(server.process.grpc_address) as channel:

        def send(content, method=METHOD):
            try:
                return grpc.StatusCode.OK, channel.unary_unary(method)(content, timeout=60)
            except grpc.RpcError as error:
                return error.code(), error.details()

        yield send


@st.composite
def malformed_messages(draw):
    """Draw a truncated message, a message with changed bytes, or random bytes."""
    signature, inputs = draw(valid_inputs())
    content = bytearray(predict_request(signature, **inputs).SerializeToString())
    position = draw(st.integers(0, len(content)))
    match draw(st.sampled_from(["truncated", "changed", "random"])):
        case "truncated":
            return bytes(content[:position])
        case "changed":
            new = draw(st.binary(min_size=1, max_size=4))
            content[position : position + len(new)] = new
            return bytes(content)
    return draw(st.binary(max_size=200))


@example_count(150)
@given(malformed_messages())
def test_a_malformed_message_is_internal_or_judged_by_its_content(send, content):
    code, result = send(content)
    try:
        predict_pb2.PredictRequest.FromString(content)
    except DecodeError:
        assert code is UNPARSABLE, result
        assert "cannot be parsed" in result
    else:
        assert code in {grpc.StatusCode.OK, *REFUSED}, result
    assert code is grpc.StatusCode.OK or len(result.splitlines()) == 1


@pytest.mark.parametrize("name", [b"\xff", b"\xed\xa0\x80", b"a\x80"])
def test_a_name_that_is_not_utf8_is_internal(send, name):
    valid = predict_request(spec={"name": "N" * len(name)}).SerializeToString()
    assert send(valid)[0] is grpc.StatusCode.NOT_FOUND
    assert send(valid.replace(b"N" * len(name), name))[0] is UNPARSABLE


@pytest.mark.parametrize("method", ["/tensorflow.serving.PredictionService/Ask", "/Predict", f"{METHOD}/"])
def test_an_unknown_method_is_unimplemented(send, method):
    assert send(b"", method)[0] is grpc.StatusCode.UNIMPLEMENTED


@st.composite
def malformed_requests(draw):
    """Draw a truncated request, or a request with inserted bytes in its headers."""
    request, position = HEADERS + BODY, draw(st.integers(0, len(HEADERS)))
    if draw(st.booleans()):
        return request[: position + draw(st.integers(0, len(BODY) - 1))]
    return request[:position] + draw(st.binary(min_size=1, max_size=8)) + request[position:]


@example_count(150)
@given(malformed_requests(), st.booleans())
def test_a_malformed_request_is_refused_or_dropped(server, content, disconnects):
    url = urlsplit(server.url)
    with socket.create_connection((url.hostname, url.port), timeout=60) as connection:
        connection.sendall(content)
        if disconnects:
            return
        connection.shutdown(socket.SHUT_WR)
        response = http.client.HTTPResponse(connection)
        try:
            response.begin()
        except http.client.RemoteDisconnected:
            assert not content.strip(b"\r\n")  # nothing but empty lines
            return
        content = json.loads(response.read())
        assert response.getheader("Content-Type") == "application/json"
        assert response.status == 200 or (response.status // 100 in (4, 5) and content.keys() == {"error"})
        assert response.status < 500 or response.status in (501, 505), content


def test_the_server_still_serves_and_wrote_no_errors(server, assert_serves):
    assert_serves()
    assert [line for line in server.process.errors() if not line.startswith("Loading TensorFlow (")] == []

"""Framing of HTTP requests over raw sockets: a request with an uncertain end is refused, and the connection closed."""

import http.client
import json
import socket
from urllib.parse import urlsplit

import pytest
from film_requests import PREDICT, ROWS

BODY = json.dumps({"instances": ROWS}).encode()
SIZE = len(BODY)
CHUNKED = b"Transfer-Encoding: chunked"
LAST = b"\r\n0\r\n\r\n"
CHUNKS = b"%x\r\n" % SIZE + BODY + LAST
POST = f"POST {PREDICT} HTTP/1.1".encode()
LAST_REQUEST = b"GET /v1/models/films HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
NEXT = b"GET /v1/models/films HTTP/1.1\r\nHost: here\r\n\r\n"


def request(headers, body=BODY, line=POST, host=b"Host: here\r\n"):
    return line + b"\r\n" + host + headers + b"\r\n\r\n" + body


def with_length(text):
    return request(b"Content-Length: " + text)


def with_chunks(body):
    return request(CHUNKED, body)


LENGTH = b"Content-Length: %d" % SIZE
REFUSED = {
    "length and chunks": request(LENGTH + b"\r\n" + CHUNKED, CHUNKS),
    "chunks and length": request(CHUNKED + b"\r\n" + LENGTH, CHUNKS),
    "length 0 and chunks": request(b"Content-Length: 0\r\n" + CHUNKED, CHUNKS),
    "two lengths": request(LENGTH + b"\r\nContent-Length: 5"),
    "one length twice": request(LENGTH + b"\r\n" + LENGTH),
    "list of lengths": with_length(b"%d, 5" % SIZE),
    "list of one length": with_length(b"%d, %d" % (SIZE, SIZE)),
    "length with plus": with_length(b"+%d" % SIZE),
    "length with underscore": with_length(b"1_9"),
    "negative length": with_length(b"-1"),
    "hexadecimal length": with_length(b"0x13"),
    "empty length": with_length(b""),
    "fraction as length": with_length(b"%d.0" % SIZE),
    "length with space": with_length(b"1 9"),
    "length beyond 64 bits": with_length(b"9" * 30),
    "length in other digits": with_length("١٩".encode()),
    "space before colon": request(b"Content-Length : %d" % SIZE),
    "chunk size with 0x": with_chunks(b"0x%x\r\n" % SIZE + BODY + LAST),
    "negative chunk size": with_chunks(b"-%x\r\n" % SIZE + BODY + LAST),
    "chunk size with plus": with_chunks(b"+%x\r\n" % SIZE + BODY + LAST),
    "chunk size with underscore": with_chunks(b"1_3\r\n" + BODY + LAST),
    "no chunk size": with_chunks(b"\r\n" + BODY + LAST),
    "word as chunk size": with_chunks(b"size\r\n" + BODY + LAST),
    "space before chunk size": with_chunks(b" %x\r\n" % SIZE + BODY + LAST),
    "space after chunk size": with_chunks(b"%x \r\n" % SIZE + BODY + LAST),
    "chunk size too large": with_chunks(b"%x\r\n" % (SIZE + 1) + BODY + LAST),
    "chunk size too small": with_chunks(b"%x\r\n" % (SIZE - 1) + BODY + LAST),
    "chunk without end of line": with_chunks(b"%x\r\n" % SIZE + BODY + b"0\r\n\r\n"),
    "chunk size with bare line feed": with_chunks(b"%x\n" % SIZE + BODY + LAST),
    "chunk extension with line feed": with_chunks(b"%x;a\nb\r\n" % SIZE + BODY + LAST),
    "chunk size beyond 64 bits": with_chunks(b"f" * 20 + b"\r\n" + BODY + LAST),
    "chunk size modulo 2 ** 64": with_chunks(b"%x\r\n" % (2**64 + SIZE) + BODY + LAST),
    "invalid trailer": with_chunks(b"%x\r\n" % SIZE + BODY + b"\r\n0\r\ninvalid trailer\r\n\r\n"),
    "unknown coding": request(b"Transfer-Encoding: xchunked", CHUNKS),
    "identity coding": request(b"Transfer-Encoding: identity", CHUNKS),
    "chunked before another coding": request(b"Transfer-Encoding: chunked, identity", CHUNKS),
    "another coding before chunked": request(b"Transfer-Encoding: gzip, chunked", CHUNKS),
    "two codings": request(CHUNKED + b"\r\n" + CHUNKED, CHUNKS),
    "coding after vertical tab": request(b"Transfer-Encoding:\x0bchunked", CHUNKS),
    "coding on a folded line": request(b"Transfer-Encoding:\r\n chunked", CHUNKS),
    "coding before colon and space": request(b"Transfer-Encoding : chunked", CHUNKS),
    "chunks in HTTP/1.0": request(CHUNKED, CHUNKS, line=f"POST {PREDICT} HTTP/1.0".encode()),
    "no host": request(LENGTH, host=b""),
    "two hosts": request(b"Host: there\r\n" + LENGTH),
    "folded header": request(b"X: a\r\n b\r\n" + LENGTH),
    "carriage return in header": request(b"X: a\rb\r\n" + LENGTH),
    "zero byte in header": request(b"X: a\x00b\r\n" + LENGTH),
    "header without colon": request(b"nonsense\r\n" + LENGTH),
    "header without name": request(b": x\r\n" + LENGTH),
    "space in header name": request(b"a b: x\r\n" + LENGTH),
    "bare line feeds": request(LENGTH).replace(b"\r\n", b"\n"),
    "space before first header": request(LENGTH, host=b" Host: here\r\n"),
    "upgrade with length and chunks": request(
        b"Connection: Upgrade\r\nUpgrade: h2c\r\n%b\r\n%b" % (LENGTH, CHUNKED), CHUNKS
    ),
    "version 0.9": b"GET /v1/models/films\r\n\r\n",
    "version 2.0": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "version 3.0": request(LENGTH, line=f"POST {PREDICT} HTTP/3.0".encode()),
    "no version": request(LENGTH, line=f"POST {PREDICT} ".encode()),
    "version in lower case": request(LENGTH, line=f"POST {PREDICT} http/1.1".encode()),
    "unknown method": request(LENGTH, line=f"P@ST {PREDICT} HTTP/1.1".encode()),
    "method in lower case": request(LENGTH, line=f"post {PREDICT} HTTP/1.1".encode()),
    "tunnel": b"CONNECT here:1 HTTP/1.1\r\nHost: here\r\n\r\n",
    "TLS": bytes.fromhex("16030100c4010000c0") + b"x" * 60,
}
ACCEPTED = {
    "length": request(LENGTH),
    "chunks": request(CHUNKED, CHUNKS),
    "header names in lower case": request(b"transfer-encoding: Chunked", CHUNKS),
    "chunk size with zeros": with_chunks(b"000%X\r\n" % SIZE + BODY + LAST),
    "two chunks": with_chunks(b"1\r\n" + BODY[:1] + b"\r\n%x\r\n" % (SIZE - 1) + BODY[1:] + LAST),
    "chunk extension": with_chunks(b"%x;a=b\r\n" % SIZE + BODY + LAST),
    "trailer": with_chunks(b"%x\r\n" % SIZE + BODY + b"\r\n0\r\nX: y\r\n\r\n"),
    "empty lines before": b"\r\n\r\n" + request(LENGTH),
    "offer of HTTP/2": request(
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAM\r\n" + LENGTH
    ),
    "offer of HTTP/2 with chunks": request(b"Connection: Upgrade\r\nUpgrade: h2c\r\n" + CHUNKED, CHUNKS),
    "whole URL": request(LENGTH, line=f"POST http://here{PREDICT} HTTP/1.1".encode()),
}


@pytest.fixture
def connect(server):
    """Return a function that opens a connection on which bytes were sent."""
    url, connections = urlsplit(server.url), []

    def open_connection(*pieces):
        connections.append(socket.create_connection((url.hostname, url.port), timeout=60))
        for piece in pieces:
            connections[-1].sendall(piece)
        return connections[-1]

    yield open_connection
    for connection in connections:
        connection.close()


def read(connection, method="POST"):
    """Return the status and the content of the next response."""
    response = http.client.HTTPResponse(connection, method=method)
    response.begin()
    assert response.getheader("Content-Type") == "application/json"
    return response.status, json.loads(response.read())


def read_all(connection):
    """Return the statuses and the contents of all responses until the server closes the connection."""
    responses = b"".join(iter(lambda: connection.recv(2**16), b"")).split(b"HTTP/1.1 ")[1:]
    return [(int(response[:3]), json.loads(response.partition(b"\r\n\r\n")[2])) for response in responses]


def is_closed(connection):
    """Return whether the server ends the connection without sending anything more."""
    return connection.recv(1) == b""


@pytest.mark.parametrize("content", REFUSED.values(), ids=REFUSED)
def test_a_request_without_a_certain_end_is_refused(connect, content):
    connection = connect(content, NEXT)
    status, response = read(connection)
    assert (status, response.keys()) == (400, {"error"})
    assert len(response["error"].splitlines()) == 1
    assert is_closed(connection)


@pytest.mark.parametrize("content", ACCEPTED.values(), ids=ACCEPTED)
def test_a_valid_request_leaves_nothing_on_the_connection(server, connect, content):
    connection = connect(content)
    assert read(connection) == server.http(PREDICT, {"instances": ROWS})
    connection.sendall(NEXT)
    assert read(connection) == server.http("/v1/models/films")


@pytest.mark.parametrize("content", ACCEPTED.values(), ids=ACCEPTED)
def test_a_request_may_arrive_byte_by_byte(server, connect, content):
    connection = connect(*(content[start : start + 1] for start in range(len(content))))
    assert read(connection) == server.http(PREDICT, {"instances": ROWS})


@pytest.mark.parametrize(
    ("line", "status"), [(b"POST /v1/models/films:regress", 400), (b"PUT /v1/models/films", 400), (b"GET /", 404)]
)
@pytest.mark.parametrize("framing", [LENGTH, CHUNKED])
def test_the_body_of_a_refused_request_is_not_a_request(server, connect, line, status, framing):
    hidden = NEXT.ljust(SIZE)
    body = b"%x\r\n" % SIZE + hidden + LAST if framing == CHUNKED else hidden
    refused, last = read_all(connect(request(framing, body, line + b" HTTP/1.1"), LAST_REQUEST))
    assert refused[0] == status
    assert last == server.http("/v1/models/films")


def test_pipelined_requests_are_answered_in_order(server, connect):
    connection = connect(NEXT + request(LENGTH) + request(CHUNKED, CHUNKS) + LAST_REQUEST)
    status, predictions = server.http("/v1/models/films"), server.http(PREDICT, {"instances": ROWS})
    assert read_all(connection) == [status, predictions, predictions, status]


@pytest.mark.parametrize("ends", [False, True])
@pytest.mark.parametrize("invalid", [with_length(b"+1"), with_chunks(b"size\r\n"), with_chunks(b"1\r\na\r\n?")])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_responses_before_an_invalid_request_are_sent(server, connect, ends, invalid, count):
    connection = connect(request(LENGTH) * count + invalid)
    if ends:
        connection.shutdown(socket.SHUT_WR)
    assert read_all(connection) == [server.http(PREDICT, {"instances": ROWS})] * count


def test_a_client_may_end_its_side(server, connect):
    connection = connect(request(LENGTH))
    connection.shutdown(socket.SHUT_WR)
    assert read(connection) == server.http(PREDICT, {"instances": ROWS})
    assert is_closed(connection)


@pytest.mark.parametrize("content", [request(LENGTH)[:-1], NEXT[:-2], NEXT[:8]])
def test_an_incomplete_request_is_refused_at_its_end(connect, content):
    connection = connect(content)
    connection.shutdown(socket.SHUT_WR)
    assert read(connection) == (400, {"error": "the request is incomplete"})
    assert is_closed(connection)


def test_a_client_is_asked_for_the_body_that_it_announces(server, connect):
    connection = connect(request(b"Expect: 100-continue\r\n" + LENGTH, b""))
    assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.sendall(BODY)
    assert read(connection) == server.http(PREDICT, {"instances": ROWS})

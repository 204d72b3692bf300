"""Methods, encodings and clients of the REST interface."""

import gzip
import http.client
import json
import subprocess
import zlib
from urllib.parse import urlsplit

import pytest
from film_requests import PREDICT, ROWS
from require import require_program

from tfllmrec.serving.configuration import one_model
from tfllmrec.serving.limits import Limits
from tfllmrec.serving.server import ModelServer

BODY = json.dumps({"instances": ROWS}).encode()
STATUS = "/v1/models/films"
MAX_BYTES = 10_000
MODEL_METHODS, INFERENCE_METHODS = "GET, HEAD, OPTIONS", "POST, OPTIONS"
ORIGIN = {"Origin": "https://here", "Access-Control-Request-Method": "POST"}


def send(url, method, path, body=None, headers=None):
    """Return the status, the headers by lowercase name, and the body of a response."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    connection.request(method, path, body, headers or {})
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, {name.lower(): value for name, value in response.getheaders()}, content


@pytest.fixture(scope="module")
def small(models):
    """Start a server that accepts bodies of 10,000 bytes, and pages of other origins."""
    server = ModelServer(
        one_model("films", models.folder / "films"),
        port=0,
        rest_api_port=0,
        metrics_path="/metrics",
        rest_api_enable_cors_support=True,
        limits=Limits(rest_api_max_body_bytes=MAX_BYTES),
    ).start()
    yield server.rest_url
    server.stop(0)


@pytest.mark.parametrize(
    "path", [STATUS, f"{STATUS}/versions/2", f"{STATUS}/metadata", "/v1/models/filmz", "/nonsense"]
)
def test_head_returns_the_headers_of_get(server, path):
    status, headers, content = send(server.url, "HEAD", path)
    expected_status, expected_headers, expected_content = send(server.url, "GET", path)
    assert (status, content) == (expected_status, b"")
    assert headers["content-length"] == expected_headers["content-length"] == str(len(expected_content))


@pytest.mark.parametrize(
    ("path", "status", "methods"),
    [
        (STATUS, 200, MODEL_METHODS),
        (f"{STATUS}/metadata", 200, MODEL_METHODS),
        (PREDICT, 200, INFERENCE_METHODS),
        ("/v1/models/films/versions/1:regress", 200, INFERENCE_METHODS),
        ("/v1/models/films:recommend", 400, None),
        ("/nonsense", 404, None),
    ],
)
@pytest.mark.parametrize("headers", [{}, ORIGIN])
def test_options_returns_the_methods_of_a_path(server, path, status, methods, headers):
    response = send(server.url, "OPTIONS", path, headers=headers)
    assert (response[0], response[1].get("allow")) == (status, methods)
    assert not [name for name in response[1] if name.startswith("access-control")]


def test_pages_of_other_origins_are_accepted_if_enabled(small):
    for method, path, status in [("OPTIONS", PREDICT, 200), ("POST", PREDICT, 400), ("GET", "/metrics", 200)]:
        response = send(small, method, path, headers=ORIGIN)
        assert response[0] == status
        assert response[1]["access-control-allow-origin"] == "*"
        assert response[1]["access-control-allow-methods"] == "POST, GET"
        assert response[1]["access-control-allow-headers"] == "Content-Type"


def test_metrics_answer_head_and_options(small):
    assert send(small, "HEAD", "/metrics")[0] == 200
    assert send(small, "OPTIONS", "/metrics")[1]["allow"] == MODEL_METHODS
    assert send(small, "POST", "/metrics", b"{}")[0] == 400


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip", "identity"])
def test_a_gzip_body_is_read(server, encoding):
    body = BODY if encoding == "identity" else gzip.compress(BODY)
    response = send(server.url, "POST", PREDICT, body, {"Content-Encoding": encoding})
    assert response[0] == 200
    assert json.loads(response[2]) == server.http(PREDICT, BODY)[1]


REFUSED_ENCODINGS = {
    "not gzip": ("gzip", BODY, 400),
    "truncated": ("gzip", gzip.compress(BODY)[:-4], 400),
    "wrong checksum": ("gzip", gzip.compress(BODY)[:-8] + bytes(8), 400),
    "data after the end": ("gzip", gzip.compress(BODY) + b"{}", 400),
    "empty": ("gzip", b"", 400),
    "zlib": ("gzip", zlib.compress(BODY), 400),
    "another encoding": ("br", BODY, 415),
    "two encodings": ("gzip, gzip", gzip.compress(gzip.compress(BODY)), 415),
}


@pytest.mark.parametrize(("encoding", "body", "status"), REFUSED_ENCODINGS.values(), ids=REFUSED_ENCODINGS)
def test_invalid_encodings_are_refused(server, encoding, body, status):
    response = send(server.url, "POST", PREDICT, body, {"Content-Encoding": encoding})
    assert (response[0], json.loads(response[2]).keys()) == (status, {"error"})


def compressed(size):
    """Return a gzip body of `size` bytes after decompression."""
    compressor = zlib.compressobj(wbits=31)
    spaces = [compressor.compress(b" " * min(10**6, size - start)) for start in range(len(BODY), size, 10**6)]
    return b"".join([compressor.compress(BODY), *spaces, compressor.flush()])


@pytest.mark.parametrize(("size", "status"), [(MAX_BYTES, 200), (MAX_BYTES + 1, 413), (5 * 10**6, 413)])
def test_the_size_after_decompression_is_limited(small, size, status):
    body = compressed(size)
    assert len(body) <= MAX_BYTES
    assert send(small, "POST", PREDICT, body, {"Content-Encoding": "gzip"})[0] == status


def test_percent_encoding_in_a_path_is_decoded(server):
    assert server.http("/v1/models/f%69lms/labels/st%61ble:predict", BODY) == server.http(
        "/v1/models/films/labels/stable:predict", BODY
    )
    assert server.http("/v1/models/films%2Fversions%2F1")[0] == 404
    assert "films/versions/1" in server.http("/v1/models/films%2Fversions%2F1")[1]["error"]


CURL_OPTIONS = {
    "POST": ["--data-binary", "@-"],
    "chunked": ["--data-binary", "@-", "-H", "Transfer-Encoding: chunked"],
    "offer of HTTP/2": ["--data-binary", "@-", "--http2"],
    "HTTP/1.0": ["--data-binary", "@-", "--http1.0"],
    "expectation": ["--data-binary", "@-", "-H", "Expect: 100-continue"],
    "upload": ["-X", "POST", "-T", "-"],
}


@pytest.mark.parametrize("options", CURL_OPTIONS.values(), ids=CURL_OPTIONS)
def test_curl(server, options):
    command = [
        require_program("curl"),
        "-sS",
        "--fail-with-body",
        "--max-time",
        "60",
        *options,
        f"{server.url}{PREDICT}",
    ]
    result = subprocess.run(command, input=BODY, capture_output=True, check=True)
    assert json.loads(result.stdout) == server.http(PREDICT, BODY)[1]


def test_curl_head(server):
    result = subprocess.run(
        [require_program("curl"), "-sS", "--head", "--max-time", "60", f"{server.url}{STATUS}"],
        capture_output=True,
        check=True,
    )
    assert result.stdout.startswith(b"HTTP/1.1 200 OK\r\n")

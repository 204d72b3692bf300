"""HTTP requests, responses and errors of the REST interface."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any


class HttpError(Exception):
    """Error with an HTTP status. Its message is the sentence of the response."""

    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True)
class Request:
    """HTTP request.

    Attributes:
        method: HTTP method.
        path: path with percent encoding, as it was sent.
        headers: header values by lowercase name.
        body: complete body.
        deadline: value of `time.monotonic()` at which the response must be ready.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    deadline: float


@dataclass(frozen=True)
class Response:
    """HTTP response.

    Attributes:
        body: complete body.
        status: HTTP status.
        content_type: type of the body.
        headers: further headers.
    """

    body: bytes
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)

    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """Return all headers in bytes."""
        headers = {"Content-Type": self.content_type, "Content-Length": str(len(self.body)), **self.headers}
        return [(name.encode(), value.encode()) for name, value in headers.items()]


def json_response(content: Any, status: int = 200) -> Response:
    """Return a response in JSON. Lone surrogates, which errors may quote, become question marks."""
    return Response(json.dumps(content, ensure_ascii=False).encode("utf-8", "replace"), status)


def error_response(status: int, sentence: str) -> Response:
    """Return the response of an error, in TF Serving's form {"error": sentence}."""
    return json_response({"error": sentence}, status)


def body_too_large(max_bytes: int) -> HttpError:
    """Return the error of a body beyond the limit."""
    sentence = f"a body may have at most {max_bytes} bytes (--rest_api_max_body_bytes)"
    return HttpError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, sentence)

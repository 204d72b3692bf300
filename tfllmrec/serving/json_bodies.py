"""Request bodies of the REST interface: a JSON object of limited size and depth."""

import json
import re
import zlib
from http import HTTPStatus
from typing import Any

import numpy as np

from tfllmrec.serving.http_messages import HttpError, body_too_large
from tfllmrec_client.status import invalid

_MAX_DEPTH = 100
"""NumPy arrays have at most 64 dimensions."""
_MAX_QUOTE = 256
_ENCODER = json.JSONEncoder(ensure_ascii=False)
_SURROGATES = re.compile(rb"\\u[dD][89a-fA-F]")
_STRINGS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_DEPTH_STEPS = np.zeros(256, np.int8)
_DEPTH_STEPS[list(b"[{")], _DEPTH_STEPS[list(b"]}")] = 1, -1


def decompressed(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """Return a body, decompressed if its Content-Encoding is gzip.

    Raises:
        RequestError: INVALID_ARGUMENT, if the body is not one complete gzip stream.
        HttpError: If the encoding is neither gzip nor identity, or the result has more than `max_bytes`.
    """
    if encoding.lower() == "identity":
        return body
    if encoding.lower() not in ("gzip", "x-gzip"):
        raise HttpError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Content-Encoding {encoding!r} is not supported: use gzip")
    stream = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        content = stream.decompress(body, max_bytes + 1)
    except zlib.error as error:
        raise invalid(f"the body is not valid gzip: {error}") from error
    if len(content) > max_bytes:
        raise body_too_large(max_bytes)
    if not stream.eof or stream.unused_data:
        raise invalid("the body is not one complete gzip stream")
    return content


def read_object(body: bytes) -> dict[str, Any]:
    """Parse the JSON object in a body.

    The depth is checked before parsing: at the recursion limit, the parser would leave no stack to finalizers that
    Python may run at that moment.

    Raises:
        RequestError: INVALID_ARGUMENT, if the body is not JSON, not an object, or nested too deeply, or has a key twice
            or half of a surrogate pair.
    """
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    if _depth(body) > _MAX_DEPTH:
        raise invalid(f"JSON Parse error: deeper than {_MAX_DEPTH} brackets, beyond the dimensions of any tensor")
    try:
        request = json.loads(body.decode("utf-8-sig"), object_pairs_hook=_unique)
        if _SURROGATES.search(body):
            json.dumps(request, ensure_ascii=False).encode()
    except ValueError as error:  # UnicodeError is a ValueError
        raise invalid(f"JSON Parse error: {error}") from error
    if not isinstance(request, dict):
        raise invalid(f"JSON Value: {quoted(request)} Is not object")
    return request


def quoted(value: Any) -> str:
    """Return the JSON of a value for an error, at most 256 characters."""
    text = ""
    for piece in _ENCODER.iterencode(value):
        text += piece
        if len(text) >= _MAX_QUOTE:
            break
    return text[:_MAX_QUOTE]


def type_name(value: Any) -> str:
    """Return TF Serving's name of the JSON type of a value."""
    if isinstance(value, bool):
        return str(value)
    names: dict[Any, str] = {type(None): "Null", dict: "Object", list: "Array", str: "String"}
    return names.get(type(value), "Number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"key {next(name for name in names if names.count(name) > 1)!r} occurs twice")
    return result


def _depth(body: bytes) -> int:
    """Return the maximum number of open brackets outside strings."""
    if body.count(b"[") + body.count(b"{") <= _MAX_DEPTH:
        return 0
    characters = np.frombuffer(_STRINGS.sub(b"", body), np.uint8)
    return int(np.cumsum(_DEPTH_STEPS[characters], dtype=np.int32).max(initial=0))

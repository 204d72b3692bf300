"""Malformed requests and their correct codes, which are those of TF Serving.

Every kind of request is a function of a random generator and the inputs of a valid request, which it alters.
"""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import grpc
import numpy as np
from google.protobuf.message import DecodeError

from benchmarks.serving.load import PREDICT, Inputs, serialized_request
from tfllmrec_client.messages import PredictRequest

LARGEST = 2**22
"""Maximum number of bytes of a message or body that the servers accept."""
INPUTS: Inputs = {"user_id": ["1"], "history": [["", "i01"]], "exclude_item_ids": [[""]]}
"""Inputs of a valid request."""
SPEC = {"name": "films", "signature_name": "retrieve"}
PATH = "/v1/models/films:predict"
METADATA, UNKNOWN_METHOD = (
    "/tensorflow.serving.PredictionService/GetModelMetadata",
    "/tensorflow.serving.Predictions/Predict",
)
INVALID, NOT_FOUND, UNREADABLE, TOO_LARGE = "INVALID_ARGUMENT", "NOT_FOUND", "INTERNAL", "RESOURCE_EXHAUSTED"


class Message(NamedTuple):
    """A gRPC message and the correct code of its response."""

    code: str
    content: bytes
    method: str = PREDICT
    compression: grpc.Compression = grpc.Compression.NoCompression


class Body(NamedTuple):
    """The bytes of an HTTP request and the correct status of its response; 0 if the client leaves before it."""

    status: int
    content: bytes
    leaves: bool = False


Random = np.random.Generator


def random_inputs(random: Random) -> Inputs:
    """Return valid inputs: a known or unknown user with a history of 0 to 3 items."""
    history = [f"i{item:02}" for item in random.integers(20, size=random.integers(4))]
    return {"user_id": [str(random.integers(60))], "history": [["", *history]], "exclude_item_ids": [[""]]}


def _letters(random: Random, max_length: int = 12) -> str:
    return "".join(map(chr, random.integers(0x20, 0x3000, random.integers(1, max_length))))


def _bytes(random: Random, max_length: int = 40) -> bytes:
    return random.bytes(int(random.integers(1, max_length)))


def _choice(random: Random, values: Any) -> Any:
    return [*values][random.integers(len(values))]


def _spec(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in (SPEC | changes).items() if value is not None}


def _changed(random: Random, inputs: Inputs, change: Callable[[Any, str], None]) -> bytes:
    """Return a message with one of its inputs changed."""
    request = PredictRequest.FromString(serialized_request(inputs, **SPEC))
    change(request, _choice(random, inputs))
    return request.SerializeToString()


def _renamed(request: Any, name: str, new: str) -> None:
    request.inputs[new].CopyFrom(request.inputs[name])
    del request.inputs[name]


def _with_dtype(request: Any, name: str, dtype: int) -> None:
    request.inputs[name].Clear()
    request.inputs[name].dtype = dtype
    request.inputs[name].int_val.append(1)
    request.inputs[name].tensor_shape.dim.add(size=1)


def _with_id(request: Any, name: str, content: bytes) -> None:
    request.inputs[name].string_val[0] = content


def _with_shape(request: Any, name: str, shape: list[int]) -> None:
    del request.inputs[name].tensor_shape.dim[:]
    for size in shape:
        request.inputs[name].tensor_shape.dim.add(size=size)


def _cut(content: bytes) -> Message:
    """Return a part of a message with its code: it is unreadable, or lacks inputs."""
    try:
        PredictRequest.FromString(content)
    except DecodeError:
        return Message(UNREADABLE, content)
    return Message(INVALID, content)


def _name_not_utf8(random: Random, inputs: Inputs) -> Message:
    length = int(random.integers(1, 20))
    content = serialized_request(inputs, **_spec(name="N" * length))
    return Message(UNREADABLE, content.replace(b"N" * length, b"\xff" + random.bytes(length - 1), 1))


_SHAPES = [[-1], [2**40], [2**62, 2**62], [1] * 40, [0], [2], [3, 5], [2**63 - 1, 0]]
_DTYPES = [0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 14, 17, 19, 22, 23, 101, 999]
MESSAGES: dict[str, Callable[[Random, Inputs], Message]] = {
    "unknown model": lambda random, good: Message(NOT_FOUND, serialized_request(good, **_spec(name=_letters(random)))),
    "unknown version": lambda random, good: Message(
        NOT_FOUND, serialized_request(good, **_spec(version={"value": int(random.integers(2, 2**63))}))
    ),
    "unknown label": lambda random, good: Message(
        INVALID, serialized_request(good, **_spec(version_label=_letters(random)))
    ),
    "no model name": lambda random, good: Message(INVALID, serialized_request(good, **_spec(name=None))),
    "unknown signature": lambda random, good: Message(
        "FAILED_PRECONDITION", serialized_request(good, **_spec(signature_name=_letters(random)))
    ),
    "wrong input name": lambda random, good: Message(
        INVALID, _changed(random, good, lambda request, name: _renamed(request, name, _letters(random)))
    ),
    "missing input": lambda random, good: Message(
        INVALID, _changed(random, good, lambda request, name: request.inputs.pop(name))
    ),
    "wrong dtype": lambda random, good: Message(
        INVALID, _changed(random, good, lambda request, name: _with_dtype(request, name, _choice(random, _DTYPES)))
    ),
    "wrong shape": lambda random, good: Message(
        INVALID, _changed(random, good, lambda request, name: _with_shape(request, name, _choice(random, _SHAPES)))
    ),
    "ids not UTF-8": lambda random, good: Message(
        "OK", _changed(random, good, lambda request, name: _with_id(request, name, _bytes(random)))
    ),
    "name not UTF-8": _name_not_utf8,
    "truncated": lambda random, good: _cut(
        serialized_request(good, **SPEC)[
            : random.integers(len(serialized_request(good, **SPEC)) - len(good["exclude_item_ids"]))
        ]
    ),
    "noise": lambda random, good: _cut(_bytes(random, 4000)),
    "huge": lambda random, good: Message(
        TOO_LARGE, serialized_request(good | {"history": [["x" * int(random.integers(LARGEST, 2 * LARGEST))]]}, **SPEC)
    ),
    "huge, compressed": lambda random, good: Message(
        TOO_LARGE,
        serialized_request(good | {"history": [["x" * 4 * LARGEST]]}, **SPEC),
        compression=grpc.Compression.Gzip,
    ),
    "long name": lambda random, good: Message(NOT_FOUND, serialized_request(good, **_spec(name="长" * 2**18))),
    "wrong metadata fields": lambda random, good: Message(INVALID, serialized_request(good, **SPEC), METADATA),
    "unknown method": lambda random, good: Message("UNIMPLEMENTED", serialized_request(good, **SPEC), UNKNOWN_METHOD),
}


def http_request(body: Any, path: str = PATH, length: int | None = None, method: str = "POST") -> bytes:
    """Return an HTTP request; a body that is not bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    stated = len(content) if length is None else length
    return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {stated}\r\n\r\n".encode() + content


def json_body(inputs: Inputs) -> dict[str, Any]:
    """Return inputs as the body of a REST request."""
    return {"signature_name": "retrieve", "inputs": inputs}


def _invalid_json(random: Random, good: Inputs) -> bytes:
    """Return JSON with a missing bracket or quote, or with an invalid character."""
    text = json.dumps(json_body(good)).encode()
    positions = [position for position, letter in enumerate(text) if letter in b'{}[]"']
    position = _choice(random, positions)
    return text[:position] + _choice(random, [b"", b"\x01", b"=", b"}]"]) + text[position + 1 :]


def _in_chunks(size: int, count: int) -> bytes:
    headers = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return headers + f"{size:x}\r\n{' ' * size}\r\n".encode() * count + b"0\r\n\r\n"


_VALUES: list[Any] = [1, 1.5, True, None, {"id": "1"}, {"b64": "!"}, "text", [], [[[]]], 2**70, "\ud800"]
BODIES: dict[str, Callable[[Random, Inputs], Body]] = {
    "unknown model": lambda random, good: Body(
        404, http_request(json_body(good), f"/v1/models/x{random.integers(10**9)}:predict")
    ),
    "unknown version": lambda random, good: Body(
        404, http_request(json_body(good), f"/v1/models/films/versions/{random.integers(2, 2**62)}:predict")
    ),
    "unknown label": lambda random, good: Body(
        400, http_request(json_body(good), "/v1/models/films/labels/beta:predict")
    ),
    "unknown path": lambda random, good: Body(404, http_request(json_body(good), f"/v2/{random.integers(10**9)}")),
    "wrong method": lambda random, good: Body(
        400, http_request(json_body(good), method=_choice(random, ["PUT", "GET", "DELETE"]))
    ),
    "unknown signature": lambda random, good: Body(
        400, http_request(json_body(good) | {"signature_name": _letters(random)})
    ),
    "wrong input name": lambda random, good: Body(400, http_request(json_body(good | {_letters(random): ["a"]}))),
    "missing input": lambda random, good: Body(
        400, http_request(json_body({name: good[name] for name in [*good][: random.integers(3)]}))
    ),
    "wrong value": lambda random, good: Body(
        400, http_request(json_body(good | {_choice(random, good): [_choice(random, _VALUES)] * 3}))
    ),
    "invalid JSON": lambda random, good: Body(400, http_request(_invalid_json(random, good))),
    "noise": lambda random, good: Body(400, http_request(b"\xff" + _bytes(random, 4000))),
    "deep": lambda random, good: Body(400, http_request(b"[" * int(random.integers(5000, 200_000)))),
    "truncated": lambda random, good: Body(
        400, http_request(b'{"inputs": ' + b" " * 99, length=int(random.integers(111, 10**6)))
    ),
    "client leaves": lambda random, good: Body(0, http_request(json_body(good), length=10**6), leaves=True),
    "huge": lambda random, good: Body(413, http_request(b" " * int(random.integers(LARGEST + 1, 2 * LARGEST)))),
    "huge by its header": lambda random, good: Body(
        413, http_request(b"{", length=int(random.integers(LARGEST + 1, 2**62)))
    ),
    "huge in chunks": lambda random, good: Body(413, _in_chunks(int(random.integers(2**18, 2**20)), 17)),
    "long headers": lambda random, good: Body(
        431, f"POST {PATH} HTTP/1.1\r\nX: {'x' * int(random.integers(2**16, 2**18))}\r\n\r\n".encode()
    ),
    "not HTTP": lambda random, good: Body(400, b"\xff" + _bytes(random).replace(b"\n", b"\r") + b"\r\n\r\n"),
    "negative length": lambda random, good: Body(400, http_request(b"", length=-int(random.integers(1, 2**40)))),
}

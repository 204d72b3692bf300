"""Requests that nobody should send, and the codes that are right for them: those of TF Serving.

Every kind is a function of a random generator and of a good request, which it spoils in its own way.
"""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import grpc
import numpy as np
from google.protobuf.message import DecodeError

from benchmarks.serving.load import PREDICT, Question, packed
from tfllmrec_client.messages import PredictRequest

LARGEST = 2**22
"""Bytes that the servers take in one message or body."""
SPEC = {"name": "films", "signature_name": "retrieve"}
PATH = "/v1/models/films:predict"
METADATA, NOWHERE = "/tensorflow.serving.PredictionService/GetModelMetadata", "/tensorflow.serving.Predictions/Predict"
INVALID, NOT_FOUND, UNREADABLE, TOO_LARGE = "INVALID_ARGUMENT", "NOT_FOUND", "INTERNAL", "RESOURCE_EXHAUSTED"


class Message(NamedTuple):
    """What goes over gRPC, and the one code that is right."""

    code: str
    content: bytes
    method: str = PREDICT
    compression: grpc.Compression = grpc.Compression.NoCompression


class Body(NamedTuple):
    """What goes over a connection for REST, and the one status that is right; 0 is none."""

    status: int
    content: bytes
    leaves: bool = False


Random = np.random.Generator


def made_question(random: Random) -> Question:
    """A good one: a user, known or not, with a history of 0 to 3 items."""
    history = [f"i{item:02}" for item in random.integers(20, size=random.integers(4))]
    return {"user_id": [str(random.integers(60))], "history": [["", *history]], "exclude_item_ids": [[""]]}


def _letters(random: Random, most: int = 12) -> str:
    return "".join(map(chr, random.integers(0x20, 0x3000, random.integers(1, most))))


def _bytes(random: Random, most: int = 40) -> bytes:
    return random.bytes(int(random.integers(1, most)))


def _one(random: Random, names: Any) -> Any:
    return [*names][random.integers(len(names))]


def _spec(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in (SPEC | changes).items() if value is not None}


# ---- over gRPC


def _changed(random: Random, question: Question, change: Callable[[Any, str], None]) -> bytes:
    """A message with one of its inputs changed."""
    request = PredictRequest.FromString(packed(question, **SPEC))
    change(request, _one(random, question))
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
    """What a part of a message is: unreadable, or one without all that it needs."""
    try:
        PredictRequest.FromString(content)
    except DecodeError:
        return Message(UNREADABLE, content)
    return Message(INVALID, content)


def _name_in_no_utf8(random: Random, question: Question) -> Message:
    length = int(random.integers(1, 20))
    content = packed(question, **_spec(name="N" * length))
    return Message(UNREADABLE, content.replace(b"N" * length, b"\xff" + random.bytes(length - 1), 1))


_SHAPES = [[-1], [2**40], [2**62, 2**62], [1] * 40, [0], [2], [3, 5], [2**63 - 1, 0]]
_DTYPES = [0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 14, 17, 19, 22, 23, 101, 999]
MESSAGES: dict[str, Callable[[Random, Question], Message]] = {
    "unknown model": lambda random, good: Message(NOT_FOUND, packed(good, **_spec(name=_letters(random)))),
    "unknown version": lambda random, good: Message(
        NOT_FOUND, packed(good, **_spec(version={"value": int(random.integers(2, 2**63))}))
    ),
    "unknown label": lambda random, good: Message(INVALID, packed(good, **_spec(version_label=_letters(random)))),
    "no model": lambda random, good: Message(INVALID, packed(good, **_spec(name=None))),
    "unknown signature": lambda random, good: Message(
        "FAILED_PRECONDITION", packed(good, **_spec(signature_name=_letters(random)))
    ),
    "wrong name of an input": lambda random, good: Message(
        INVALID, _changed(random, good, lambda request, name: _renamed(request, name, _letters(random)))
    ),
    "an input too few": lambda random, good: Message(
        INVALID, _changed(random, good, lambda request, name: request.inputs.pop(name))
    ),
    "wrong dtype": lambda random, good: Message(
        INVALID, _changed(random, good, lambda request, name: _with_dtype(request, name, _one(random, _DTYPES)))
    ),
    "wrong shape": lambda random, good: Message(
        INVALID, _changed(random, good, lambda request, name: _with_shape(request, name, _one(random, _SHAPES)))
    ),
    "ids in no UTF-8": lambda random, good: Message(
        "OK", _changed(random, good, lambda request, name: _with_id(request, name, _bytes(random)))
    ),
    "name in no UTF-8": _name_in_no_utf8,
    "truncated": lambda random, good: _cut(
        packed(good, **SPEC)[: random.integers(len(packed(good, **SPEC)) - len(good["exclude_item_ids"]))]
    ),
    "noise": lambda random, good: _cut(_bytes(random, 4000)),
    "huge": lambda random, good: Message(
        TOO_LARGE, packed(good | {"history": [["x" * int(random.integers(LARGEST, 2 * LARGEST))]]}, **SPEC)
    ),
    "huge, compressed to nothing": lambda random, good: Message(
        TOO_LARGE, packed(good | {"history": [["x" * 4 * LARGEST]]}, **SPEC), compression=grpc.Compression.Gzip
    ),
    "long name": lambda random, good: Message(NOT_FOUND, packed(good, **_spec(name="长" * 2**18))),
    "wrong fields of metadata": lambda random, good: Message(INVALID, packed(good, **SPEC), METADATA),
    "unknown method": lambda random, good: Message("UNIMPLEMENTED", packed(good, **SPEC), NOWHERE),
}


# ---- over REST


def posted(body: Any, path: str = PATH, length: int | None = None, method: str = "POST") -> bytes:
    """A request; a body that is not bytes is written as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    announced = len(content) if length is None else length
    return f"{method} {path} HTTP/1.1\r\nHost: made.up\r\nContent-Length: {announced}\r\n\r\n".encode() + content


def asked(question: Question) -> dict[str, Any]:
    """A question as REST has it."""
    return {"signature_name": "retrieve", "inputs": question}


def _spoiled(random: Random, good: Question) -> bytes:
    """JSON that is none any more: a bracket or a quote is missing, or somewhere stands what cannot stand there."""
    text = json.dumps(asked(good)).encode()
    places = [place for place, letter in enumerate(text) if letter in b'{}[]"']
    place = _one(random, places)
    return text[:place] + _one(random, [b"", b"\x01", b"=", b"}]"]) + text[place + 1 :]


def _in_chunks(size: int, count: int) -> bytes:
    headers = f"POST {PATH} HTTP/1.1\r\nHost: made.up\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return headers + f"{size:x}\r\n{' ' * size}\r\n".encode() * count + b"0\r\n\r\n"


_VALUES: list[Any] = [1, 1.5, True, None, {"id": "1"}, {"b64": "!"}, "text", [], [[[]]], 2**70, "\ud800"]
BODIES: dict[str, Callable[[Random, Question], Body]] = {
    "unknown model": lambda random, good: Body(
        404, posted(asked(good), f"/v1/models/x{random.integers(10**9)}:predict")
    ),
    "unknown version": lambda random, good: Body(
        404, posted(asked(good), f"/v1/models/films/versions/{random.integers(2, 2**62)}:predict")
    ),
    "unknown label": lambda random, good: Body(400, posted(asked(good), "/v1/models/films/labels/beta:predict")),
    "unknown path": lambda random, good: Body(404, posted(asked(good), f"/v2/{random.integers(10**9)}")),
    "wrong method": lambda random, good: Body(400, posted(asked(good), method=_one(random, ["PUT", "GET", "DELETE"]))),
    "unknown signature": lambda random, good: Body(400, posted(asked(good) | {"signature_name": _letters(random)})),
    "wrong name of an input": lambda random, good: Body(400, posted(asked(good | {_letters(random): ["a"]}))),
    "an input too few": lambda random, good: Body(
        400, posted(asked({name: good[name] for name in [*good][: random.integers(3)]}))
    ),
    "wrong value": lambda random, good: Body(
        400, posted(asked(good | {_one(random, good): [_one(random, _VALUES)] * 3}))
    ),
    "no JSON": lambda random, good: Body(400, posted(_spoiled(random, good))),
    "noise": lambda random, good: Body(400, posted(b"\xff" + _bytes(random, 4000))),
    "deep": lambda random, good: Body(400, posted(b"[" * int(random.integers(5000, 200_000)))),
    "truncated": lambda random, good: Body(
        400, posted(b'{"inputs": ' + b" " * 99, length=int(random.integers(111, 10**6)))
    ),
    "client leaves": lambda random, good: Body(0, posted(asked(good), length=10**6), leaves=True),
    "huge": lambda random, good: Body(413, posted(b" " * int(random.integers(LARGEST + 1, 2 * LARGEST)))),
    "huge by its own account": lambda random, good: Body(
        413, posted(b"{", length=int(random.integers(LARGEST + 1, 2**62)))
    ),
    "huge in chunks": lambda random, good: Body(413, _in_chunks(int(random.integers(2**18, 2**20)), 17)),
    "long headers": lambda random, good: Body(
        413, f"POST {PATH} HTTP/1.1\r\nX: {'x' * int(random.integers(2**16, 2**18))}\r\n\r\n".encode()
    ),
    "no HTTP": lambda random, good: Body(400, b"\xff" + _bytes(random).replace(b"\n", b"\r") + b"\r\n\r\n"),
    "length below zero": lambda random, good: Body(400, posted(b"", length=-int(random.integers(1, 2**40)))),
}

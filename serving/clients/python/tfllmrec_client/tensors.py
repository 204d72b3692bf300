"""TensorProto to numpy and back, for TensorFlow's own message class and for the client's."""

import math
from typing import Any, NamedTuple

import numpy as np

from tfllmrec_client.errors import InputError
from tfllmrec_client.status import invalid

_MOST_ELEMENTS = 2**26
"""A tensor may state its shape and only one value; nobody makes the server fill more places than this."""


class _Kind(NamedTuple):
    """How a dtype travels: its number in `DataType`, and the field its values stand in."""

    number: int
    field: str


_KINDS: dict[Any, _Kind] = {
    np.float32: _Kind(1, "float_val"),
    np.float64: _Kind(2, "double_val"),
    np.int32: _Kind(3, "int_val"),
    np.uint8: _Kind(4, "int_val"),
    np.int16: _Kind(5, "int_val"),
    np.int8: _Kind(6, "int_val"),
    np.object_: _Kind(7, "string_val"),
    np.int64: _Kind(9, "int64_val"),
    np.bool_: _Kind(10, "bool_val"),
    np.uint16: _Kind(17, "int_val"),
    np.uint32: _Kind(22, "uint32_val"),
    np.uint64: _Kind(23, "uint64_val"),
}
_DTYPES = {kind.number: (np.dtype(dtype), kind.field) for dtype, kind in _KINDS.items()}


def write(array: np.ndarray, message: Any) -> None:
    """Fill an empty TensorProto from an array; strings are an object array of bytes.

    Values go to the typed fields (`string_val`, `float_val`), as in TF Serving's answers.

    Raises:
        RequestError: a dtype that is none of numbers up to 64 bits, bool and string.
    """
    kind = _KINDS.get(array.dtype.type)
    if kind is None:
        raise invalid(f"{array.dtype.name} tensors are not supported")
    message.dtype = kind.number
    for size in array.shape:
        message.tensor_shape.dim.add().size = size
    getattr(message, kind.field).extend(array.ravel().tolist())


def read(message: Any) -> np.ndarray:
    """The array of a TensorProto; strings come as an object array of bytes.

    As in TensorFlow, values may stand in `tensor_content` or in the typed field. Where there are fewer than the
    shape has places the last one fills the rest, and zeros (or "") where there is none.

    Raises:
        RequestError: a dtype not supported, a shape that is none, or values that do not fit it.
    """
    if message.dtype not in _DTYPES:
        raise invalid(f"tensors of DataType {message.dtype} are not supported")
    dtype, field = _DTYPES[message.dtype]
    shape = [dim.size for dim in message.tensor_shape.dim]
    places = math.prod(shape)
    if message.tensor_shape.unknown_rank or min(shape, default=0) < 0 or places > _MOST_ELEMENTS or len(shape) > 32:
        raise invalid(f"a tensor of shape {shape} is not possible")
    try:
        values = _values(message, dtype, field, places)
        if len(values) != places:
            last = values[-1:] if len(values) else np.array([b"" if dtype.kind == "O" else 0], dtype)
            values = np.append(values, np.repeat(last, places - len(values)))
        return values.reshape(shape)
    except (ValueError, OverflowError) as error:
        raise invalid(f"the values of a {dtype.name} tensor of shape {shape} do not fit it") from error


def _values(message: Any, dtype: np.dtype, field: str, places: int) -> np.ndarray:
    if message.tensor_content:
        if field == "string_val":
            raise ValueError("strings in tensor_content")
        return np.frombuffer(message.tensor_content, dtype).reshape(places)
    return np.array(list(getattr(message, field)), dtype)


def decoded(array: np.ndarray) -> np.ndarray:
    """An object array of bytes as one of `str`; other arrays as they are."""
    if array.dtype.kind != "O":
        return array
    texts = np.empty(array.size, object)
    texts[:] = [one.decode("utf-8") for one in array.ravel().tolist()]
    return texts.reshape(array.shape)


def array_of(name: str, value: Any) -> np.ndarray:
    """An input as it travels: strings as bytes; what is no array yet in the dtypes that signatures take.

    Raises:
        InputError: rows of different lengths, or half a character.
    """
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InputError(f'input {name} has rows of different lengths: fill the shorter ones up with ""') from error
    if array.dtype.kind in "OSU":
        encoded = np.empty(array.size, object)
        encoded[:] = [_utf8(one) for one in array.ravel().tolist()]
        return encoded.reshape(array.shape)
    narrow = {"i": np.int32, "f": np.float32}.get(array.dtype.kind)
    return array if narrow is None or isinstance(value, np.ndarray) else array.astype(narrow)


def _utf8(text: str | bytes) -> bytes:
    try:
        return text if isinstance(text, bytes) else text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(f"{text!r} is no Unicode text: half a character cannot be sent") from error

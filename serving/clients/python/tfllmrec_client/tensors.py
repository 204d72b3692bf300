"""Convert TensorProto messages to numpy and back, of TensorFlow's own class and of the client's."""

import math
from typing import Any, NamedTuple

import numpy as np

from tfllmrec_client.errors import InputError
from tfllmrec_client.status import invalid

_MAX_ELEMENTS = 2**26
"""The most elements of a tensor. A small message can state a huge shape and one value that fills it."""


class _Kind(NamedTuple):
    """A dtype's number in `DataType`, and the field of its values."""

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


def is_supported(dtype: np.dtype) -> bool:
    """Return whether arrays of a dtype can be written: numbers of up to 64 bits, bool, and objects for strings."""
    return dtype.type in _KINDS


def write(array: np.ndarray, message: Any) -> None:
    """Fill an empty TensorProto from an array; strings are an object array of bytes.

    Values go to the typed fields (`string_val`, `float_val`), as in the responses of TF Serving.

    Raises:
        RequestError: If the dtype is not supported.
    """
    kind = _KINDS.get(array.dtype.type)
    if kind is None:
        raise invalid(f"{array.dtype.name} tensors are not supported")
    message.dtype = kind.number
    for size in array.shape:
        message.tensor_shape.dim.add().size = size
    getattr(message, kind.field).extend(array.ravel().tolist())


def read(message: Any) -> np.ndarray:
    """Return the array of a TensorProto; strings are an object array of bytes.

    Values are read from `tensor_content` or the typed field, as in TensorFlow. If there are fewer values than the shape
    has elements, the last value fills the rest; without any values, 0 or "" does.

    Raises:
        RequestError: If the dtype is not supported, the shape is not possible, or the values do not fit it.
    """
    if message.dtype not in _DTYPES:
        raise invalid(f"tensors of DataType {message.dtype} are not supported")
    dtype, field = _DTYPES[message.dtype]
    shape = [dim.size for dim in message.tensor_shape.dim]
    size = math.prod(shape)
    if message.tensor_shape.unknown_rank or min(shape, default=0) < 0 or size > _MAX_ELEMENTS or len(shape) > 32:
        raise invalid(f"a tensor of shape {shape} is not possible")
    try:
        values = _values(message, dtype, field, size)
        if len(values) != size:
            last = values[-1:] if len(values) else np.array([b"" if dtype.kind == "O" else 0], dtype)
            values = np.append(values, np.repeat(last, size - len(values)))
        return values.reshape(shape)
    except (ValueError, OverflowError) as error:
        raise invalid(f"the values of a {dtype.name} tensor of shape {shape} do not fit it") from error


def _values(message: Any, dtype: np.dtype, field: str, size: int) -> np.ndarray:
    if message.tensor_content:
        if field == "string_val":
            raise ValueError("strings in tensor_content")
        return np.frombuffer(message.tensor_content, dtype).reshape(size)
    return np.array(list(getattr(message, field)), dtype)


def decoded(array: np.ndarray) -> np.ndarray:
    """Return an object array of bytes as one of `str`, and other arrays unchanged."""
    if array.dtype.kind != "O":
        return array
    strings = np.empty(array.size, object)
    strings[:] = [value.decode("utf-8") for value in array.ravel().tolist()]
    return strings.reshape(array.shape)


def encoded(array: np.ndarray) -> np.ndarray:
    """Return an object array of `str` or bytes as one of bytes, and other arrays unchanged.

    Raises:
        InputError: If a string is not valid Unicode.
    """
    if array.dtype.kind != "O":
        return array
    strings = np.empty(array.size, object)
    strings[:] = [_utf8(value) for value in array.ravel().tolist()]
    return strings.reshape(array.shape)


def _utf8(string: str | bytes) -> bytes:
    try:
        return string if isinstance(string, bytes) else string.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(f"{string!r} is not valid Unicode: it has half of a surrogate pair") from error

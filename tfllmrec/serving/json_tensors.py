"""JSON form of tensors in TF Serving's REST interface, with its errors: rows ("instances") and columns ("inputs")."""

import base64
import binascii
import math
from collections.abc import Mapping
from typing import Any

import grpc
import numpy as np

from tfllmrec.serving.json_bodies import quoted, type_name
from tfllmrec.serving.signature import Signature
from tfllmrec_client.status import RequestError, invalid

_B64 = "b64"
_BYTES_SUFFIX = "_bytes"
"""Suffix of outputs that contain arbitrary bytes, which are written in base64."""
_MAX_DIMENSIONS = 32
_JSON_TYPES: dict[str, Any] = {"object": str, "bool": bool, "float32": int | float, "float64": int | float}
_JSON_TYPES |= dict.fromkeys(("int8", "int16", "int32", "int64", "uint8", "uint32", "uint64"), int)
"""Python types of JSON values by dtype. A Python bool is an int as well."""
_DTYPE_NAMES = {"object": "string", "float32": "float", "float64": "double", "float16": "half"}


def read_inputs(request: dict[str, Any], signature: Signature) -> dict[str, np.ndarray]:
    """Convert the `instances` or the `inputs` of a request to arrays.

    Raises:
        RequestError: INVALID_ARGUMENT, if the request does not have exactly one of both, or they do not fit the
            signature. UNIMPLEMENTED, if an input has a dtype without a JSON form.
    """
    if not signature.inputs:
        raise invalid(f"Failed to get input map for signature: {signature.name}")
    if "instances" in request and "inputs" in request:
        problem = "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist"
    elif "inputs" in request:
        return _from_columns(request["inputs"], signature)
    elif "instances" not in request:
        raise invalid("Missing 'inputs' or 'instances' key")
    elif not isinstance(request["instances"], list):
        problem = "Expecting 'instances' to be an list/array"
    elif request["instances"]:
        return _from_rows(request["instances"], signature)
    else:
        problem = "No values in 'instances' array"
    raise invalid(f"JSON Value: {quoted(request)} {problem}")


def to_rows(outputs: Mapping[str, np.ndarray]) -> list[Any]:
    """Convert outputs to `predictions`: one object per row, or one bare value per row if there is a single output.

    Raises:
        RequestError: INVALID_ARGUMENT, if the outputs do not have the same number of rows.
    """
    rows: int | None = None
    for name, array in outputs.items():
        if not array.ndim:
            raise invalid(f"Tensor name: {name} has no shape information: use the columnar form, 'inputs'")
        if rows not in (None, len(array)):
            sizes = f"{len(array)} expecting: {rows}"
            raise invalid(f"Tensor name: {name} has inconsistent batch size: {sizes}: use the columnar form, 'inputs'")
        rows = len(array)
    columns = {name: _json_value(name, array) for name, array in outputs.items()}
    if len(columns) == 1:
        return next(iter(columns.values()))
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def to_columns(outputs: Mapping[str, np.ndarray]) -> Any:
    """Convert outputs to `outputs`: an object of tensors, or a bare tensor if there is a single output."""
    columns = {name: _json_value(name, array) for name, array in outputs.items()}
    return next(iter(columns.values())) if len(columns) == 1 else columns


def is_b64(value: Any) -> bool:
    """Check whether a value is an object with base64."""
    return isinstance(value, dict) and value.keys() == {_B64} and isinstance(value[_B64], str)


def bytes_of(value: Any) -> bytes:
    """Return the bytes of a string, or of an object with base64, in which padding and spaces are optional.

    Raises:
        RequestError: INVALID_ARGUMENT, if the value is not an object with valid base64.
    """
    if isinstance(value, str):
        return value.encode()
    if not is_b64(value):
        raise invalid(f"JSON Value: {quoted(value)} not formatted correctly for base64 data")
    text = b"".join(value[_B64].encode().split())
    data = text.rstrip(b"=.")
    padding = -len(data) % 4
    try:
        if len(text) - len(data) not in (0, padding):
            raise binascii.Error
        return base64.b64decode(data + b"=" * padding, validate=True)
    except binascii.Error as error:
        raise invalid("Unable to base64 decode") from error


def _from_rows(instances: list[Any], signature: Signature) -> dict[str, np.ndarray]:
    """Convert `instances`: one object per row, or one bare value per row if there is a single input."""
    named = _is_object(instances[0])
    if not named and len(signature.inputs) > 1:
        expected = "expecting list of objects as multiple input tensors required as per tensorinfo_map"
        raise invalid(f"instances is a plain list, but {expected}")
    tensors = {name: _Tensor(spec.dtype) for name, spec in signature.inputs.items()}
    for position, row in enumerate(instances):
        if _is_object(row) != named:
            mismatch = "object but got list" if named else "value/list but got object"
            raise invalid(f"Expecting {mismatch} at item {position} of input list")
        for name, value in row.items() if named else [(name, row) for name in tensors]:
            try:
                if name not in tensors:
                    raise invalid(f"JSON object: does not have named input: {name}")
                tensors[name].add(value)
            except RequestError as error:
                where = f"{position} key: {name}" if named else f"{position}"
                sentence = f"Failed to process element: {where} of 'instances' list. Error: {error.code.name}: {error}"
                raise invalid(sentence) from error
        if named and row.keys() != tensors.keys():
            problem = f"JSON object: {quoted(row)} keys must be equal to: {','.join(tensors)}"
            raise invalid(f"Failed to process element: {position} of 'instances' list. {problem}")
    return {name: tensor.array(len(instances)) for name, tensor in tensors.items()}


def _from_columns(inputs: Any, signature: Signature) -> dict[str, np.ndarray]:
    """Convert `inputs`: an object of tensors, or a bare tensor if there is a single input."""
    if not _is_object(inputs):
        if len(signature.inputs) > 1:
            expected = "expecting an object as multiple input tensors required as per tensorinfo_map"
            raise invalid(f"inputs is a plain value/list, but {expected}")
        inputs = dict.fromkeys(signature.inputs, inputs)
    if unknown := [name for name in inputs if name not in signature.inputs]:
        raise invalid(f"Unknown named input: {unknown[0]} in 'inputs' object.")
    arrays = {}
    for name, spec in signature.inputs.items():
        if name not in inputs:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
        tensor = _Tensor(spec.dtype)
        tensor.add(inputs[name])
        arrays[name] = tensor.array()
    return arrays


class _Tensor:
    """Values of an input, added as a whole or row by row.

    Args:
        dtype: dtype of the input.
    """

    def __init__(self, dtype: np.dtype) -> None:
        self._dtype, self._type = dtype, _JSON_TYPES.get(dtype.name)
        self._shape: list[int] | None = None
        self._leaves: list[Any] = []

    def add(self, value: Any) -> None:
        """Add nested lists, which must have the shape of those before."""
        shape, first = [], value
        while isinstance(first, list):
            shape.append(len(first))
            first = first[0] if first else None
        if len(shape) > _MAX_DIMENSIONS:
            raise invalid(f"a tensor may have at most {_MAX_DIMENSIONS} dimensions")
        self._fill(value, shape, 0)
        expected = self._shape = shape if self._shape is None else self._shape
        if math.prod(shape) != math.prod(expected):
            raise invalid(f"Expecting tensor size: {math.prod(expected)} but got: {math.prod(shape)}")
        if shape != expected:
            expected_text, shape_text = (str(sizes).replace(" ", "") for sizes in (expected, shape))
            raise invalid(f"Expecting shape {expected_text} but got: {shape_text}")

    def array(self, *rows: int) -> np.ndarray:
        """Return the values as an array, with a dimension of rows in front."""
        try:
            return np.array(self._leaves, self._dtype).reshape([*rows, *(self._shape or ())])
        except OverflowError as error:
            if self._type is not int:
                raise invalid("JSON Parse error: Number too big to be stored in double.") from error
            limits = np.iinfo(self._dtype)
            raise self._type_error(next(n for n in self._leaves if not limits.min <= n <= limits.max)) from error

    def _fill(self, value: Any, shape: list[int], level: int) -> None:
        if not isinstance(value, list):
            if level != len(shape):
                where = f"{level + 1} in the JSON DOM. Expected at level: {len(shape)}"
                raise invalid(f"JSON Value: {quoted(value)} found at incorrect level: {where}")
            self._leaves.append(self._leaf(value))
        elif level >= len(shape):
            raise invalid(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
        elif len(value) != shape[level]:
            where = f"{level} expected size: {shape[level]}"
            raise invalid(f"Encountered list at unexpected size: {len(value)} at level: {where}")
        else:
            for element in value:
                self._fill(element, shape, level + 1)

    def _leaf(self, value: Any) -> Any:
        if self._type is str and isinstance(value, str | dict):
            return bytes_of(value)
        if self._type and isinstance(value, self._type) and isinstance(value, bool) == (self._type is bool):
            return value
        raise self._type_error(value)

    def _type_error(self, value: Any) -> RequestError:
        name = _dtype_name(self._dtype)
        if self._type:
            return invalid(f"JSON Value: {quoted(value)} Type: {type_name(value)} is not of expected type: {name}")
        return RequestError(grpc.StatusCode.UNIMPLEMENTED, f"Conversion of JSON Value: {quoted(value)} to type: {name}")


def _dtype_name(dtype: np.dtype) -> str:
    return _DTYPE_NAMES.get(dtype.name, dtype.name)


def _json_value(name: str, array: np.ndarray) -> Any:
    if array.dtype.name not in _JSON_TYPES:
        raise invalid(f"Failed to write JSON value for tensor type: {_dtype_name(array.dtype)}")
    if array.dtype == np.float32:
        return _with_short_digits(array).tolist()
    if array.dtype.kind != "O":
        return array.tolist()
    if name.endswith(_BYTES_SUFFIX):
        texts = [{_B64: base64.b64encode(value).decode()} for value in array.flat]
    else:
        texts = [value.decode("utf-8", "replace") for value in array.flat]
    values = np.empty(array.size, object)
    values[:] = texts
    return values.reshape(array.shape).tolist()


def _with_short_digits(array: np.ndarray) -> np.ndarray:
    """Return float32 values as float64 with TF Serving's digits: six if they identify a value, else nine."""
    result = values = array.astype(np.float64)
    with np.errstate(all="ignore"):  # 0, infinity and NaN stay as they are
        exponents = np.floor(np.log10(np.abs(values)))
        for digits in (9, 6):
            scale = 10.0 ** (digits - 1 - exponents)
            rounded = np.round(values * scale) / scale
            result = np.where(rounded.astype(np.float32) == array, rounded, result)
    return result


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and not is_b64(value)

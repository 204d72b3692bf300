"""JSON form of tensors in TF Serving's REST interface: rows ("instances") and columns ("inputs")."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfllmrec.serving.signature import Signature, Spec
from tfllmrec_client.status import invalid

_B64 = "b64"
_BYTES_SUFFIX = "_bytes"
"""Suffix of outputs that contain arbitrary bytes, which are written in base64."""
_MAX_DIMENSIONS = 32
_JSON_TYPES: dict[str, Any] = {"f": int | float, "i": int, "u": int, "b": bool}
"""Python types of JSON values by dtype kind. A Python bool is an int as well."""


def from_rows(instances: Any, signature: Signature) -> dict[str, np.ndarray]:
    """Convert `instances` to inputs: one object per row, or one bare value per row if there is a single input.

    Raises:
        RequestError: INVALID_ARGUMENT, if the rows do not fit the signature.
    """
    if not isinstance(instances, list) or not instances:
        raise invalid("'instances' must be a list with at least one row")
    if not _is_object(instances[0]):
        return {name: array_of(name, instances, spec) for name, spec in _single_input(signature, "instances").items()}
    for position, row in enumerate(instances):
        if not _is_object(row) or row.keys() != signature.inputs.keys():
            keys = ", ".join(signature.inputs)
            raise invalid(f"row {position} of 'instances' must be an object with the keys {keys}")
    return {name: array_of(name, [row[name] for row in instances], spec) for name, spec in signature.inputs.items()}


def from_columns(inputs: Any, signature: Signature) -> dict[str, np.ndarray]:
    """Convert `inputs` to inputs: an object of tensors, or a bare tensor if there is a single input.

    Raises:
        RequestError: INVALID_ARGUMENT, if the tensors do not fit the signature.
    """
    if not _is_object(inputs):
        return {name: array_of(name, inputs, spec) for name, spec in _single_input(signature, "inputs").items()}
    if inputs.keys() != signature.inputs.keys():
        raise invalid(f"'inputs' must have the keys {', '.join(signature.inputs)}, not {', '.join(inputs) or 'none'}")
    return {name: array_of(name, inputs[name], spec) for name, spec in signature.inputs.items()}


def to_rows(outputs: Mapping[str, np.ndarray]) -> list[Any]:
    """Convert outputs to `predictions`: one object per row, or one bare value per row if there is a single output.

    Raises:
        RequestError: INVALID_ARGUMENT, if the outputs do not have the same number of rows.
    """
    if len({array.shape[:1] for array in outputs.values()}) > 1 or any(not array.ndim for array in outputs.values()):
        raise invalid("the outputs of this signature are not rows of one batch: use the columnar form, 'inputs'")
    columns = {name: _json_value(name, array) for name, array in outputs.items()}
    if len(columns) == 1:
        return next(iter(columns.values()))
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def to_columns(outputs: Mapping[str, np.ndarray]) -> Any:
    """Convert outputs to `outputs`: an object of tensors, or a bare tensor if there is a single output."""
    columns = {name: _json_value(name, array) for name, array in outputs.items()}
    return next(iter(columns.values())) if len(columns) == 1 else columns


def array_of(name: str, value: Any, spec: Spec) -> np.ndarray:
    """Convert nested lists to an array.

    Args:
        name: input name in error messages.
        value: lists of equal lengths at every level.
        spec: dtype of the array; its shape is not checked.

    Raises:
        RequestError: INVALID_ARGUMENT, if lists have different lengths or a value does not have the dtype.
    """
    shape = _shape_of(value)
    if len(shape) > _MAX_DIMENSIONS:
        raise invalid(f"input {name} has more than {_MAX_DIMENSIONS} dimensions")
    leaves: list[Any] = []
    _flatten(name, value, shape, spec.dtype, leaves)
    try:
        return np.array(leaves, spec.dtype).reshape(shape)
    except OverflowError as error:
        raise invalid(f"input {name} has a number beyond the range of {spec.dtype.name}") from error


def bytes_of(where: str, value: Any) -> bytes:
    """Return the bytes of a JSON string or of an object with base64.

    Args:
        where: name of the value in error messages.
        value: a string or {"b64": base64}.

    Raises:
        RequestError: INVALID_ARGUMENT, if the string is not valid Unicode or the base64 is not valid.
    """
    try:
        return value.encode("utf-8") if isinstance(value, str) else base64.b64decode(value[_B64], validate=True)
    except UnicodeEncodeError as error:  # a lone surrogate, which JSON can escape and UTF-8 cannot encode
        raise invalid(f"{where} has a string that is not valid Unicode") from error
    except (binascii.Error, ValueError) as error:
        raise invalid(f"{where} has a b64 value that is not valid base64") from error


def is_b64(value: Any) -> bool:
    """Check whether a value is an object with base64."""
    return isinstance(value, dict) and value.keys() == {_B64} and isinstance(value[_B64], str)


def _shape_of(value: Any) -> list[int]:
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    return shape


def _flatten(name: str, value: Any, shape: list[int], dtype: np.dtype, leaves: list[Any]) -> None:
    if not shape:
        leaves.append(_leaf(name, value, dtype))
    elif not isinstance(value, list) or len(value) != shape[0]:
        raise invalid(f'input {name} has lists of different lengths: pad the shorter ones, for instance with ""')
    else:
        for element in value:
            _flatten(name, element, shape[1:], dtype, leaves)


def _leaf(name: str, value: Any, dtype: np.dtype) -> Any:
    if dtype.kind == "O" and (isinstance(value, str) or is_b64(value)):
        return bytes_of(f"input {name}", value)
    if isinstance(value, _JSON_TYPES.get(dtype.kind, ())) and isinstance(value, bool) == (dtype.kind == "b"):
        return value
    expected = "string" if dtype.kind == "O" else dtype.name
    raise invalid(f"input {name} has a {type(value).__name__} instead of a {expected}")


def _json_value(name: str, array: np.ndarray) -> Any:
    if array.dtype.kind != "O":
        return array.tolist()
    if name.endswith(_BYTES_SUFFIX):
        texts = [{_B64: base64.b64encode(value).decode()} for value in array.flat]
    else:
        texts = [value.decode("utf-8", "replace") for value in array.flat]
    values = np.empty(array.size, object)
    values[:] = texts
    return values.reshape(array.shape).tolist()


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and not is_b64(value)


def _single_input(signature: Signature, key: str) -> dict[str, Spec]:
    if len(signature.inputs) != 1:
        inputs = ", ".join(signature.inputs)
        raise invalid(f"{key!r} must have objects, because {signature.name} has the inputs {inputs}")
    return signature.inputs

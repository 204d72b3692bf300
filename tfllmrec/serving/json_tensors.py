"""Tensors as JSON, in the row and the columnar form of TF Serving's REST interface."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfllmrec.serving.signature import Signature, Spec
from tfllmrec_client.status import invalid

_B64 = "b64"
_BYTES_SUFFIX = "_bytes"
"""How outputs end whose strings are any bytes, and are written in base64."""
_MOST_DIMENSIONS = 32
_JSON_TYPES: dict[str, Any] = {"f": int | float, "i": int, "u": int, "b": bool}
"""What JSON has for a kind of dtype; to Python a bool is an int as well."""


def from_rows(instances: Any, signature: Signature) -> dict[str, np.ndarray]:
    """Inputs from `instances`: an object a row, or a bare value a row where there is one input."""
    if not isinstance(instances, list) or not instances:
        raise invalid("'instances' must be a list with at least one row")
    if not _is_object(instances[0]):
        return {name: array_of(name, instances, spec) for name, spec in _only_input(signature, "instances").items()}
    for place, row in enumerate(instances):
        if not _is_object(row) or row.keys() != signature.inputs.keys():
            raise invalid(f"row {place} of 'instances' must be an object with the keys {', '.join(signature.inputs)}")
    return {name: array_of(name, [row[name] for row in instances], spec) for name, spec in signature.inputs.items()}


def from_columns(inputs: Any, signature: Signature) -> dict[str, np.ndarray]:
    """Inputs from `inputs`: an object of tensors, or a bare tensor where there is one input."""
    if not _is_object(inputs):
        return {name: array_of(name, inputs, spec) for name, spec in _only_input(signature, "inputs").items()}
    if inputs.keys() != signature.inputs.keys():
        raise invalid(f"'inputs' must have the keys {', '.join(signature.inputs)}, not {', '.join(inputs) or 'none'}")
    return {name: array_of(name, inputs[name], spec) for name, spec in signature.inputs.items()}


def to_rows(outputs: Mapping[str, np.ndarray]) -> list[Any]:
    """`predictions`: an object a row, or a bare value where there is one output."""
    if len({array.shape[:1] for array in outputs.values()}) > 1 or any(not array.ndim for array in outputs.values()):
        raise invalid("the outputs of this signature are no rows of one batch: ask in the columnar form, 'inputs'")
    columns = {name: _plain(name, array) for name, array in outputs.items()}
    if len(columns) == 1:
        return next(iter(columns.values()))
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def to_columns(outputs: Mapping[str, np.ndarray]) -> Any:
    """`outputs`: an object of tensors, or a bare tensor where there is one output."""
    columns = {name: _plain(name, array) for name, array in outputs.items()}
    return next(iter(columns.values())) if len(columns) == 1 else columns


def array_of(name: str, value: Any, spec: Spec) -> np.ndarray:
    """An array from nested lists of one shape.

    Raises:
        RequestError: lists of different lengths, or a value that is not of the dtype.
    """
    shape = _shape_of(value)
    if len(shape) > _MOST_DIMENSIONS:
        raise invalid(f"input {name} has more than {_MOST_DIMENSIONS} dimensions")
    leaves: list[Any] = []
    _flatten(name, value, shape, spec.dtype, leaves)
    try:
        return np.array(leaves, spec.dtype).reshape(shape)
    except OverflowError as error:
        raise invalid(f"input {name} has a number beyond {spec.dtype.name}") from error


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
        raise invalid(f'input {name} has lists of different lengths: fill the shorter ones up, for instance with ""')
    else:
        for one in value:
            _flatten(name, one, shape[1:], dtype, leaves)


def _leaf(name: str, value: Any, dtype: np.dtype) -> Any:
    if dtype.kind == "O" and (isinstance(value, str) or is_b64(value)):
        return bytes_of(f"input {name}", value)
    if isinstance(value, _JSON_TYPES.get(dtype.kind, ())) and isinstance(value, bool) == (dtype.kind == "b"):
        return value
    wanted = "string" if dtype.kind == "O" else dtype.name
    raise invalid(f"input {name} has a {type(value).__name__} in place of a {wanted}")


def bytes_of(where: str, value: Any) -> bytes:
    """The bytes of a string, or of an object with base64.

    Raises:
        RequestError: they are neither text nor base64.
    """
    try:
        return value.encode("utf-8") if isinstance(value, str) else base64.b64decode(value[_B64], validate=True)
    except UnicodeEncodeError as error:  # half a surrogate pair, which JSON can escape and UTF-8 cannot hold
        raise invalid(f"{where} has a string that is no Unicode text") from error
    except (binascii.Error, ValueError) as error:
        raise invalid(f"{where} has a b64 value that is no base64") from error


def _plain(name: str, array: np.ndarray) -> Any:
    if array.dtype.kind != "O":
        return array.tolist()
    if name.endswith(_BYTES_SUFFIX):
        texts = [{_B64: base64.b64encode(value).decode()} for value in array.flat]
    else:
        texts = [value.decode("utf-8", "replace") for value in array.flat]
    plain = np.empty(array.size, object)
    plain[:] = texts
    return plain.reshape(array.shape).tolist()


def is_b64(value: Any) -> bool:
    """Whether a value is an object that holds bytes as base64."""
    return isinstance(value, dict) and value.keys() == {_B64} and isinstance(value[_B64], str)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and not is_b64(value)


def _only_input(signature: Signature, key: str) -> dict[str, Spec]:
    if len(signature.inputs) != 1:
        raise invalid(
            f"{key!r} must be made of objects: {signature.name} takes the inputs {', '.join(signature.inputs)}"
        )
    return signature.inputs

"""Inputs of a signature as arrays that can be sent: from lists of strings and numbers, or from arrays."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfllmrec_client.errors import InputError
from tfllmrec_client.lists import in_one_line, nested_lists
from tfllmrec_client.tensors import is_supported

_SENT_AS: dict[str, Any] = {"i": np.int32, "u": np.int32, "f": np.float32}
"""What lists of numbers are sent as, by the kind of their dtype: the dtypes that signatures take."""
_STRING = (str, bytes)


def string_array(strings: Sequence[str]) -> np.ndarray:
    """Return strings [B] as an object array of `str`."""
    return np.array(strings, object)


def padded_rows(rows: Sequence[Sequence[Any]]) -> np.ndarray:
    """Pad rows of strings to an object array [B, 1 + the length of the longest], with "" first in every row.

    TF Serving pads a batch with the first element of an input, so that its padding is "" too.
    """
    padded = np.full((len(rows), 1 + max(map(len, rows), default=0)), "", object)
    for padded_row, row in zip(padded, rows, strict=True):
        padded_row[1 : 1 + len(row)] = row
    return padded


def input_arrays(inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the inputs of `predict` as arrays; see `Client.predict`.

    Raises:
        InputError: If the inputs are not a mapping by name, or one of them cannot be sent.
    """
    if not isinstance(inputs, Mapping):
        raise InputError(f"predict: inputs must be a mapping of name to value, not {in_one_line(inputs)}")
    for name in inputs:
        if not isinstance(name, str):
            raise InputError(f"predict: inputs has {name!r} for a name; names must be strings")
    return {name: _array(name, value) for name, value in inputs.items()}


def _array(name: str, value: Any) -> np.ndarray:
    array = value if isinstance(value, np.ndarray | np.generic) else _array_of_list(name, nested_lists(value))
    if array.dtype.kind in "OSU":
        array = np.array(array, object)
        _check_strings(name, array.ravel().tolist())
    elif not is_supported(array.dtype):
        raise InputError(
            f"predict: input {name} is {array.dtype.name}, which cannot be sent; convert it to another dtype"
        )
    return np.asarray(array)


def _array_of_list(name: str, value: Any) -> np.ndarray:
    """Return an object array of strings, or an array of int32, float32 or bool."""
    try:
        objects = np.array(value, object)  # rows of different lengths stay rows; strings keep their trailing NULs
    except ValueError as error:
        raise _ragged(name) from error
    leaves = objects.ravel().tolist()
    if _have(leaves, (list,)):
        return _padded(name, objects)
    if objects.ndim == 2 and not leaves:
        return padded_rows([()] * len(objects))
    if not leaves or _have(leaves, _STRING):
        return objects
    return _numbers(name, np.asarray(value))


def _padded(name: str, rows: np.ndarray) -> np.ndarray:
    """Pad rows of strings that have different lengths."""
    if rows.ndim > 1 or not all(isinstance(row, list) for row in rows):
        raise _ragged(name)
    values = [value for row in rows for value in row]
    if _have(values, (list,)) or (values and not _have(values, _STRING)):
        raise _ragged(name)
    return padded_rows(rows.tolist())


def _ragged(name: str) -> InputError:
    return InputError(f"predict: input {name} has rows of different lengths; only lists of strings are padded")


def _numbers(name: str, array: np.ndarray) -> np.ndarray:
    sent_as = _SENT_AS.get(array.dtype.kind)
    if sent_as is None:
        return array
    with np.errstate(over="ignore"):
        narrow = array.astype(sent_as)
    fits = np.isfinite(narrow) == np.isfinite(array) if array.dtype.kind == "f" else narrow == array
    if not fits.all():
        number = array[~fits][0]
        raise InputError(
            f"predict: input {name} has {number}, beyond {narrow.dtype.name}; give an array of a wider dtype"
        )
    return narrow


def _check_strings(name: str, values: list[Any]) -> None:
    wrong = [value for value in values if not isinstance(value, _STRING)]
    if wrong:
        reason = " among strings" if _have(values, _STRING) else ", which cannot be sent"
        value = f"{in_one_line(wrong[0])}{reason}"
        raise InputError(f"predict: input {name} has {value}; give strings, booleans, or numbers of up to 64 bits")


def _have(values: list[Any], types: tuple[type, ...]) -> bool:
    return any(issubclass(kind, types) for kind in set(map(type, values)))

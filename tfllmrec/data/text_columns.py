"""Text columns: one reader of ids and texts for every dtype of pandas and Arrow."""

import math
from decimal import Decimal
from enum import Enum
from numbers import Integral, Real
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa

from tfllmrec.errors import InputError


def read_texts(values: pd.Series, name: str) -> pd.Series:
    """Return the values of a column as strings, the same for all dtypes that hold the same values.

    Numbers lose a fraction of zero, so that an id is "7" in a column of integers, floats or objects. Bytes are decoded
    as UTF-8. A missing value becomes "".

    Args:
        values: text, numbers, booleans, UUIDs, enumeration members or categories of these.
        name: table and column, for messages, such as "interactions: column user_id".

    Returns:
        Strings, objects [n], with the index of `values`.

    Raises:
        InputError: If a value is of another type, is not finite, has lost digits as a float, or is not UTF-8.

    Example:
        >>> list(read_texts(pd.Series([7.0, None, 8.5]), "column"))
        ['7', '', '8.5']
    """
    codes, distinct = _distinct(values)
    digits = _exact_integers(values.dtype)
    texts = np.empty(len(distinct) + 1, dtype=object)
    texts[-1] = ""  # of missing values, which have code -1
    for position, value in enumerate(distinct):
        try:
            texts[position] = text_of(value, digits)
        except ValueError as error:
            row = values.index[int(np.argmax(codes == position))]
            raise InputError(f"{name} has {value!r:.60} in row {row}, {error}") from error
    return pd.Series(texts[codes], index=values.index, dtype=object, name=values.name)


def text_of(value: Any, exact_integers: float = 2**53) -> str:
    """Return a single value as text; see `read_texts`.

    Args:
        value: the value.
        exact_integers: floats from here on may have lost digits.

    Raises:
        ValueError: If the value has no text; the message is a clause that starts with "which".
    """
    if isinstance(value, Enum):
        return text_of(value.value, exact_integers)
    if isinstance(value, str | UUID | bool | np.bool_):
        return str(value)
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise ValueError("which is not UTF-8: decode it to text") from None
    if isinstance(value, Integral):
        return str(int(value))
    if isinstance(value, Decimal | Real):
        return _number_text(value, exact_integers)
    raise ValueError(f"which is a {type(value).__name__}: convert the column to text")


def _number_text(value: Any, exact_integers: float) -> str:
    if not math.isfinite(value):
        raise ValueError("which is not a finite number: leave it empty or correct it")
    if isinstance(value, np.floating):
        exact_integers = min(exact_integers, _exact_integers(value.dtype))
    if value == int(value):
        if not isinstance(value, Decimal) and abs(value) >= exact_integers:
            raise ValueError("a float that may have lost digits: read the column as integers or text")
        return str(int(value))
    return f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)


def _distinct(values: pd.Series) -> tuple[np.ndarray, list[Any]]:
    """Return the position of every value in a list, -1 for missing ones, and the list."""
    if isinstance(values.dtype, pd.ArrowDtype):
        values = _without_views_and_lists(values)
    if values.dtype != object or pd.api.types.infer_dtype(values, skipna=True) == "string":
        codes, distinct = pd.factorize(values)
        return codes, list(pd.Series(distinct).astype(object))
    is_missing = pd.isna(values).to_numpy()  # objects are not factorised: True equals 1, and lists have no hash
    codes = np.where(is_missing, -1, np.cumsum(~is_missing) - 1)
    return codes, list(values[~is_missing])


def _without_views_and_lists(values: pd.Series) -> pd.Series:
    """Convert Arrow types of which pandas does not find the distinct values to objects."""
    array = pa.array(values.array)
    plain = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}.get(array.type)
    if plain is None and not pa.types.is_nested(array.type):
        return values
    return pd.Series((array.cast(plain) if plain else array).to_pandas().astype(object).to_numpy(), index=values.index)


def _exact_integers(dtype: Any) -> float:
    """Return the first whole number whose successor a float dtype does not have; 2**53 for other dtypes."""
    numpy_dtype = getattr(dtype, "numpy_dtype", dtype)  # of nullable and Arrow dtypes
    if isinstance(numpy_dtype, np.dtype) and numpy_dtype.kind == "f":
        return float(2 ** (np.finfo(numpy_dtype).nmant + 1))
    return 2.0**53

"""Times: numbers, dates of every dtype, and text of both, as numbers that keep their order."""

import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tfllmrec.data.date_formats import common_dates, parse_dates
from tfllmrec.data.text_columns import read_texts
from tfllmrec.errors import InputError

_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_SECONDS_PER_DAY = 86_400
_ALWAYS_DISTINCT = 2**51
"""Smaller integers stay distinct in float64 when they are divided by units of a second."""


def read_times(values: pd.Series, name: str, *, date_format: str | None = None) -> pd.Series:
    """Return times as numbers: numbers as they are, dates as Unix seconds.

    All dates of a column have one format. The order of day and month in dates such as 13/03/2024 follows from the whole
    column. A date without a zone is in UTC. Times that are closer than float64 resolves (0.24 microseconds today) stay
    distinct and in order.

    Args:
        values: numbers, dates of any dtype and unit, or text of numbers or dates: ISO 8601, RFC 2822, 2024年3月9日,
            names of months, or numbers with the day, the month or the year first.
        name: table and column, for messages, such as "interactions: column timestamp".
        date_format: format of the dates for `datetime.strptime`; by default it is detected.

    Returns:
        int64, uint64 or float64 [n]; NaN for missing values and those that are not times.

    Raises:
        InputError: If numbers and dates or several formats are mixed, or the order of day and month is ambiguous or
            contradictory.

    Example:
        >>> list(read_times(pd.Series(["09/03/2024", "13/03/2024"]), "column"))
        [1709942400.0, 1710288000.0]
    """
    if values.dtype != object and not isinstance(values.dtype, pd.CategoricalDtype):
        array = pa.array(values, from_pandas=True)
        array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
        require_precision(array, name)
        times = _times_of_array(array) if date_format is None or pa.types.is_temporal(array.type) else None
        if times is not None:
            return pd.Series(times, index=values.index)
    if values.dtype == object or isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(object).map(_iso_text, na_action="ignore")
    texts = read_texts(values, name).str.strip()
    codes, distinct = pd.factorize(texts.mask(texts == ""))
    times = parse_times(pd.Series(distinct, dtype=object), name, date_format=date_format)
    if (codes == -1).any():
        times = np.append(times.astype(np.float64), np.nan)
    return pd.Series(times[codes], index=values.index)


def require_precision(times: pa.Array, name: str) -> None:
    """Check that numbers are not floats of a precision that makes different times equal.

    Args:
        times: the times.
        name: table and column, for messages.

    Raises:
        InputError: If they are half or single floats too large for whole numbers.
    """
    exact = {pa.float16(): 2**11, pa.float32(): 2**24}.get(times.type)
    highest = pc.max(pc.abs(times.cast(pa.float64()))).as_py() if exact else None
    if exact and highest and highest >= exact:
        raise InputError(
            f"{name} has {highest:.0f} in a column of {times.type}, which has lost digits: read the column as float64 "
            "or integers"
        )


def parse_times(texts: pd.Series, name: str, *, date_format: str | None = None) -> np.ndarray:
    """Return times in text as numbers; see `read_times`.

    Args:
        texts: distinct texts, objects [n].
        name: table and column, for messages.
        date_format: see `read_times`.

    Raises:
        InputError: See `read_times`.
    """
    if date_format is not None:
        return _seconds(pa.array(parse_dates(texts, name, date_format=date_format)))
    times = np.array(pd.to_numeric(texts, errors="coerce"), np.float64)
    is_number = ~np.isnan(times)
    if is_number.all():
        return _parse_numbers(texts)
    dates = parse_dates(texts[~is_number], name)
    if is_number.any() and dates.notna().any():
        raise InputError(
            f"{name} mixes numbers ({texts[is_number].iloc[0]!r}) and dates ({texts[~is_number].iloc[0]!r}): give "
            "either numbers or dates"
        )
    times[~is_number] = _seconds(pa.array(dates))
    return times


def _times_of_array(array: pa.Array) -> np.ndarray | None:
    """Return numbers and dates as times, None for other types."""
    kind = array.type
    if pa.types.is_boolean(kind) or pa.types.is_duration(kind) or pa.types.is_time(kind):
        return np.full(len(array), np.nan)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return _seconds(array)
    if pa.types.is_decimal(kind):
        numbers = array.fill_null(0).to_pandas()
        times = _in_order(numbers.astype(np.float64).to_numpy(), numbers.to_numpy())
        return np.where(array.is_null().to_numpy(zero_copy_only=False), np.nan, times)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return array.to_numpy(zero_copy_only=False)
    return seconds_of_texts(array) if pa.types.is_string(kind) or pa.types.is_large_string(kind) else None


def seconds_of_texts(texts: pa.Array) -> np.ndarray | None:
    """Return Unix seconds of dates in text, float64 [n], NaN for missing ones; None where `parse_times` is required.

    See `tfllmrec.data.date_formats.common_dates`.
    """
    dates = common_dates(texts)
    return None if dates is None else _seconds(dates)


def _seconds(dates: pa.Array) -> np.ndarray:
    """Return Unix seconds of Arrow dates, float64 [n]; NaN for missing ones."""
    if pa.types.is_date32(dates.type):
        return _SECONDS_PER_DAY * dates.cast(pa.int32()).to_numpy(zero_copy_only=False).astype(np.float64)
    per_second = _PER_SECOND[getattr(dates.type, "unit", "ms")]  # date64 has milliseconds
    exact = dates.cast(pa.int64()).fill_null(0).to_numpy()
    seconds, rest = np.divmod(exact, per_second)
    times = _in_order(seconds + rest / per_second, exact)
    return np.where(dates.is_null().to_numpy(zero_copy_only=False), np.nan, times)


def _parse_numbers(texts: pd.Series) -> np.ndarray:
    numbers = pd.to_numeric(texts).to_numpy()
    if numbers.dtype.kind == "f" and np.isfinite(numbers).all():
        return _in_order(numbers, texts.map(Decimal).to_numpy())
    return numbers


def _in_order(times: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """Return times that are as distinct as exact numbers of the same order: equal ones move to the next float64.

    Args:
        times: finite, float64 [n].
        exact: integers or decimals [n].
    """
    if exact.dtype != object and np.abs(exact).max(initial=0) < _ALWAYS_DISTINCT:
        return times
    distinct, first, positions = np.unique(exact, return_index=True, return_inverse=True)
    ordered = times[first]
    if (np.diff(ordered) > 0).all():
        return times
    bits = ordered.view(np.int64)
    ordinals = np.where(bits < 0, np.iinfo(np.int64).min - bits, bits)  # consecutive for consecutive floats
    steps = np.arange(len(distinct))
    ordinals = np.maximum.accumulate(ordinals - steps) + steps
    bits = np.where(ordinals < 0, np.iinfo(np.int64).min - ordinals, ordinals)
    return bits.view(np.float64)[positions]


def _iso_text(value: Any) -> Any:
    """Return dates as ISO 8601 text, other values unchanged."""
    if isinstance(value, datetime.date):  # datetime.datetime and pandas.Timestamp, too
        return value.isoformat()
    return str(value) if isinstance(value, np.datetime64) else value

"""Read the times and ratings of a large table."""

import numpy as np
import pandas as pd
import pyarrow as pa

from tfllmrec.data.checks.findings import Finding, finding_at
from tfllmrec.data.checks.time_column import TimeColumn
from tfllmrec.data.times import parse_times, require_precision, seconds_of_texts
from tfllmrec.errors import InputError

_ARROW_UNITS = ("s", "ms", "us", "ns")
_NUMERIC = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean)


def read_times(column: pa.ChunkedArray, date_format: str | None = None) -> tuple[TimeColumn, Finding | None]:
    """Read numbers, dates or texts.

    Args:
        column: times.
        date_format: see `Dataset.from_frames`.

    Returns:
        The times, and the finding of values that are not times, or of dates in several or ambiguous formats.
    """
    column = _plain(column)
    try:
        times, name = _times(column, date_format), "unreadable times"
        advice = "Give every row a number or a date in the same form."
        is_bad = times.is_missing
    except InputError as error:
        times, name, advice = _labels(column), "ambiguous dates", f"{error}."
        is_bad = ~times.is_missing
    return times, finding_at(
        is_bad, name, "rows", lambda row: f"row {row}: {column[row].as_py()!r}", advice, refused=True
    )


def unreadable_ratings(column: pa.ChunkedArray) -> Finding | None:
    """Find ratings that are not finite numbers; a missing one is none."""
    column = _plain(column)
    numbers = _parse_numbers(column)
    return finding_at(
        ~np.isfinite(numbers) & ~column.is_null().to_numpy(),
        "unreadable ratings",
        "rows",
        lambda row: f"row {row}: {column[row].as_py()!r}",
        "Correct them or leave them empty.",
        refused=True,
    )


def _times(column: pa.ChunkedArray, date_format: str | None) -> TimeColumn:
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("ms"))
    if pa.types.is_timestamp(column.type):
        values, unit = _numbers(column.cast(pa.int64())), _ARROW_UNITS.index(column.type.unit)
        return TimeColumn(values, column.is_null().to_numpy(), unit)
    require_precision(column.combine_chunks(), "The column")
    if date_format is not None:
        column = column.cast(pa.large_string())
    if _is_text(column.type):
        seconds = seconds_of_texts(column.combine_chunks()) if date_format is None else None
        if seconds is not None:
            return TimeColumn(seconds, np.isnan(seconds), 0)
        texts, codes = _encoded(column)
        values = parse_times(texts, "The column", date_format=date_format)
        is_number = date_format is None and pd.to_numeric(texts, errors="coerce").notna().all()
        times = np.append(values, np.nan)[codes]
        return TimeColumn(times, ~np.isfinite(times), None if is_number else 0)
    values = np.full(len(column), np.nan) if pa.types.is_boolean(column.type) else _parse_numbers(column)
    return TimeColumn(values, column.is_null().to_numpy() | ~np.isfinite(values))


def _labels(column: pa.ChunkedArray) -> TimeColumn:
    """Return numbers for texts, which are equal where the texts are."""
    codes = _encoded(column)[1]
    return TimeColumn(codes, column.is_null().to_numpy(), unordered=True)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column without the dictionary of categories."""
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _parse_numbers(column: pa.ChunkedArray) -> np.ndarray:
    """Return numbers, int64 or float64 [n]; other values are NaN, and missing ones any number."""
    if any(is_numeric(column.type) for is_numeric in _NUMERIC):
        return _numbers(column)
    if _is_text(column.type):
        texts, codes = _encoded(column)
        return np.append(pd.to_numeric(texts, errors="coerce").to_numpy(np.float64), np.nan)[codes]
    return np.full(len(column), np.nan)


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    """Return numbers, int64 or float64 [n]; a missing one is 0."""
    is_whole = pa.types.is_signed_integer(column.type)
    return column.cast(pa.int64() if is_whole else pa.float64()).fill_null(0).to_numpy()


def _encoded(column: pa.ChunkedArray) -> tuple[pd.Series, np.ndarray]:
    """Return the distinct texts, and the position of every row's text among them; -1 where it is missing."""
    encoded = column.combine_chunks().dictionary_encode()
    return encoded.dictionary.to_pandas().astype(object), encoded.indices.fill_null(-1).to_numpy()


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)

"""Tables in memory: DataFrames, everything that exports the Arrow C stream, and columns in a dict."""

import re
from collections.abc import Iterable, Mapping, Set
from typing import Any

import pandas as pd
import pyarrow as pa

from tfllmrec.errors import InputError

_PLAIN = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}
_INDEX_NAME = re.compile(r"__index_level_\d+__")
"""Columns of Parquet files for DataFrame indices without a name."""


def as_frame(table: Any, name: str) -> pd.DataFrame:
    """Return a table as a DataFrame with exact values.

    Args:
        table: a DataFrame, an object with `__arrow_c_stream__` (polars, PyArrow, DuckDB and others), or a mapping of
            column names to lists.
        name: name of the table, for messages.

    Raises:
        InputError: If it is not a table, or column names are repeated or not strings.

    Example:
        >>> import pyarrow
        >>> as_frame(pyarrow.table({"item_id": [2**60, None]}), "items")["item_id"].tolist()
        [1152921504606846976, <NA>]
    """
    if isinstance(table, pd.DataFrame):
        frame = table
    elif hasattr(table, "__arrow_c_stream__"):
        frame = _frame_of_stream(table, name)
    elif isinstance(table, Mapping):
        frame = _frame_of_columns(table, name)
    else:
        advice = "call collect() first" if hasattr(table, "collect") else "pass a pandas DataFrame"
        raise InputError(f"{name} must be a table, not of type {type(table).__name__}: {advice}")
    _check_names(frame, name)
    return frame


def frame_of_arrow(table: pa.Table) -> pd.DataFrame:
    """Convert an Arrow table; integers with missing values stay exact."""
    kinds = [_plain_type(field.type) for field in table.schema]
    table = table.cast(pa.schema(list(zip(table.column_names, kinds, strict=True))))
    frame = table.to_pandas(ignore_metadata=True)
    for position, column in enumerate(table.columns):
        if column.null_count and pa.types.is_integer(column.type):  # would become floats
            frame.isetitem(position, column.to_pandas(types_mapper=pd.ArrowDtype))
    return frame.drop(columns=[column for column in frame if _INDEX_NAME.fullmatch(str(column))])


def _plain_type(kind: pa.DataType) -> pa.DataType:
    """Return a type that PyArrow converts to pandas, also inside of lists."""
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.large_list(_plain_type(kind.value_type))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_plain_type(kind.value_type), kind.list_size)
    return _PLAIN.get(kind, kind)


def _frame_of_stream(stream: Any, name: str) -> pd.DataFrame:
    try:
        return frame_of_arrow(pa.table(stream))
    except (pa.ArrowException, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{name} cannot be read from Arrow ({reason}): pass a pandas DataFrame") from error


def _frame_of_columns(columns: Mapping[Any, Any], name: str) -> pd.DataFrame:
    for column, values in columns.items():
        is_list = isinstance(values, Iterable) and not isinstance(values, str | bytes | Mapping | Set)
        if not is_list or getattr(values, "ndim", 1) != 1:
            raise InputError(f"{name}: column {column} is of type {type(values).__name__}, not a list of values")
    lists = {column: _values(values) for column, values in columns.items()}
    lengths = {column: len(values) for column, values in lists.items()}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{column}: {length}" for column, length in lengths.items())
        raise InputError(f"{name}: the columns have different lengths ({counts})")
    return pd.DataFrame({column: pd.Series(values).reset_index(drop=True) for column, values in lists.items()})


def _values(values: Any) -> Any:
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values.to_pandas()
    return values if hasattr(values, "dtype") else list(values)


def _check_names(frame: pd.DataFrame, name: str) -> None:
    if isinstance(frame.columns, pd.MultiIndex):
        raise InputError(f"{name}: the columns have several levels: give every column a single name")
    other = [column for column in frame.columns if not isinstance(column, str)]
    if other:
        raise InputError(f"{name}: the column name {other[0]!r} is not a string: rename the column")
    repeated = frame.columns[frame.columns.duplicated()]
    if len(repeated):
        raise InputError(f"{name}: several columns are called {repeated[0]}: rename or drop all but one")

"""Checks of interaction, item and user tables; an invalid table raises one `InputError`."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from tfllmrec.data.categories import read_categories
from tfllmrec.data.tables import as_frame
from tfllmrec.data.text_columns import read_texts
from tfllmrec.data.times import read_times
from tfllmrec.errors import InputError

_SHOWN_ROWS = 3


def check_interactions(table: Any, *, date_format: str | None = None) -> pd.DataFrame:
    """Check an interaction table and return a clean copy.

    Args:
        table: a table (see `tfllmrec.data.tables.as_frame`) with columns user_id, item_id and timestamp, optionally
            rating, event, scenario and text. Ids of any type become strings. A timestamp is a number, a date, or text
            of either; see `tfllmrec.data.times.read_times`. Ratings may be missing.
        date_format: format of dates in text, such as "%d/%m/%Y"; by default it is detected.

    Returns:
        The table with string ids, numeric timestamps (dates become Unix seconds) and float ratings.

    Raises:
        InputError: If a column is missing, the table is empty, an id is null, empty or of a type without text, a
            timestamp or rating cannot be read, or the dates are ambiguous.
    """
    table = as_frame(table, "interactions")
    _require_columns(table, "interactions", ["user_id", "item_id", "timestamp"])
    table = table.reset_index(drop=True).copy()
    for column in ("user_id", "item_id"):
        table[column] = _string_ids(table, "interactions", column)
    table["timestamp"] = _timestamps(table, date_format)
    if "rating" in table:
        table["rating"] = _optional_numbers(table, "interactions", "rating")
    for column in {"event", "scenario", "text"} & set(table.columns):
        table[column] = read_texts(table[column], f"interactions: column {column}")
    return table


def check_items(table: Any) -> pd.DataFrame:
    """Check an item table and return a clean copy; a missing title is replaced by the item id.

    Args:
        table: columns item_id and title, optionally text, categories (lists, or text separated by `|`) and further
            columns.

    Raises:
        InputError: If a column is missing, the table is empty, an id is null, empty or repeated, or a category contains
            the separator.
    """
    table = as_frame(table, "items")
    _require_columns(table, "items", ["item_id", "title"])
    table = _with_unique_ids(table, "items", "item_id")
    titles = read_texts(table["title"], "items: column title").str.strip()
    table["title"] = titles.where(titles != "", table["item_id"])
    if "text" in table:
        table["text"] = read_texts(table["text"], "items: column text")
    if "categories" in table:
        table["categories"] = read_categories(table["categories"], "items: column categories")
    return table


def check_users(table: Any) -> pd.DataFrame:
    """Check a user table and return a clean copy; every column except user_id is a feature.

    Raises:
        InputError: If user_id is missing, null, empty or repeated, or the table is empty.
    """
    table = as_frame(table, "users")
    _require_columns(table, "users", ["user_id"])
    return _with_unique_ids(table, "users", "user_id")


def check_known_items(item_ids: pd.Series, items: pd.DataFrame, name: str) -> None:
    """Check that the items table contains every item.

    Args:
        item_ids: item ids, which may repeat.
        items: the items table.
        name: source of the item ids, for the message.

    Raises:
        InputError: If items are missing; the message names the first ones.
    """
    unknown = item_ids[~item_ids.isin(items["item_id"])]
    if len(unknown):
        raise InputError(
            f"{name}: {len(unknown)} values of item_id are missing from the items table "
            f"({_examples(unknown.unique())}): add these items to it"
        )


def _require_columns(table: pd.DataFrame, name: str, columns: list[str]) -> None:
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise InputError(
            f"{name}: column {', '.join(missing)} is missing; the table has {', '.join(map(str, table.columns))}"
        )
    if table.empty:
        raise InputError(f"{name}: the table has no rows")


def _with_unique_ids(table: pd.DataFrame, name: str, column: str) -> pd.DataFrame:
    table = table.reset_index(drop=True).copy()
    table[column] = _string_ids(table, name, column)
    repeated = table.loc[table[column].duplicated(), column]
    if len(repeated):
        raise InputError(
            f"{name}: {len(repeated)} rows repeat a {column} ({_examples(repeated.unique())}): keep one row for each"
        )
    return table


def _string_ids(table: pd.DataFrame, name: str, column: str) -> pd.Series:
    ids = read_texts(table[column], f"{name}: column {column}")
    _raise_if_any(ids == "", table, name, column, "are empty", "give every row an id")
    return ids


def _optional_numbers(table: pd.DataFrame, name: str, column: str) -> pd.Series:
    """Parse numbers; a missing value becomes NaN."""
    numbers = pd.to_numeric(table[column], errors="coerce").astype("float64")
    is_bad = ~np.isfinite(numbers) & table[column].notna()
    _raise_if_any(is_bad, table, name, column, "are not finite numbers", "correct them or leave them empty")
    return numbers


def _timestamps(table: pd.DataFrame, date_format: str | None) -> pd.Series:
    times = read_times(table["timestamp"], "interactions: column timestamp", date_format=date_format)
    is_bad = ~np.isfinite(times)
    advice = "give numbers, ISO dates, or date_format" if date_format is None else f"date_format is {date_format!r}"
    _raise_if_any(is_bad, table, "interactions", "timestamp", "are not times", advice)
    return times


def _raise_if_any(
    is_bad: pd.Series | np.ndarray, table: pd.DataFrame, name: str, column: str, problem: str, advice: str
) -> None:
    """Raise an `InputError` with the column, the count and the first rows if any value of `is_bad` is true."""
    count = int(is_bad.sum())
    if count:
        first = table.loc[is_bad, column].iloc[:_SHOWN_ROWS].astype(object)
        shown = ", ".join(f"row {row}: {value!r}" for row, value in first.items())
        raise InputError(f"{name}: {count} values of column {column} {problem} ({shown}): {advice}")


def _examples(values: Iterable[object]) -> str:
    values = list(values)
    return ", ".join(map(repr, values[:_SHOWN_ROWS])) + (", ..." if len(values) > _SHOWN_ROWS else "")

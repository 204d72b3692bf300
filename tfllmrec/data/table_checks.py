"""Checks of interaction, item and user tables; an invalid table raises one `InputError`."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from tfllmrec.errors import InputError

_SHOWN_ROWS = 3


def check_interactions(table: pd.DataFrame) -> pd.DataFrame:
    """Check an interaction table and return a clean copy.

    Args:
        table: columns user_id, item_id and timestamp, optionally rating, event, scenario and text. Ids of any type
            become strings. A timestamp is a number, a date, or text that parses as one of them. Ratings may be missing.

    Returns:
        The table with string ids, numeric timestamps (dates become Unix seconds) and float ratings.

    Raises:
        InputError: If a column is missing, the table is empty, an id is null or empty, or a timestamp or rating cannot
            be parsed.
    """
    _require_columns(table, "interactions", ["user_id", "item_id", "timestamp"])
    table = table.reset_index(drop=True).copy()
    for column in ("user_id", "item_id"):
        table[column] = _string_ids(table, "interactions", column)
    table["timestamp"] = _timestamps(table)
    if "rating" in table:
        table["rating"] = _optional_numbers(table, "interactions", "rating")
    for column in {"event", "scenario", "text"} & set(table.columns):
        table[column] = _texts(table[column])
    return table


def check_items(table: pd.DataFrame) -> pd.DataFrame:
    """Check an item table and return a clean copy; a missing title is replaced by the item id.

    Args:
        table: columns item_id and title, optionally text, categories (separated by `|`) and further columns.

    Raises:
        InputError: If a column is missing, the table is empty, or an id is null, empty or repeated.
    """
    _require_columns(table, "items", ["item_id", "title"])
    table = _with_unique_ids(table, "items", "item_id")
    titles = _texts(table["title"]).str.strip()
    table["title"] = titles.where(titles != "", table["item_id"])
    for column in {"text", "categories"} & set(table.columns):
        table[column] = _texts(table[column])
    return table


def check_users(table: pd.DataFrame) -> pd.DataFrame:
    """Check a user table and return a clean copy; every column except user_id is a feature.

    Raises:
        InputError: If user_id is missing, null, empty or repeated, or the table is empty.
    """
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
    values = table[column]
    is_whole = pd.api.types.is_float_dtype(values) and values.notna().all() and (values % 1 == 0).all()
    if is_whole and values.abs().max() < 2**53:
        values = values.astype("int64")  # an integer id that was read as a float becomes "31", not "31.0"
    ids = values.astype(object).map(str)
    _raise_if_any(values.isna() | (ids == ""), table, name, column, "are empty", "give every row an id")
    return ids


def _optional_numbers(table: pd.DataFrame, name: str, column: str) -> pd.Series:
    """Parse numbers; a missing value becomes NaN."""
    numbers = pd.to_numeric(table[column], errors="coerce").astype("float64")
    is_bad = ~np.isfinite(numbers) & table[column].notna()
    _raise_if_any(is_bad, table, name, column, "are not finite numbers", "correct them or leave them empty")
    return numbers


def _timestamps(table: pd.DataFrame) -> pd.Series:
    values = table["timestamp"]
    if pd.api.types.is_bool_dtype(values):
        times = pd.Series(np.nan, index=values.index)
    elif pd.api.types.is_numeric_dtype(values):
        times = values
    elif pd.api.types.is_datetime64_any_dtype(values):
        times = _unix_seconds(values)
    else:
        times = _parse_times(values)
    is_bad = ~np.isfinite(times.astype("float64"))
    _raise_if_any(is_bad, table, "interactions", "timestamp", "are not times", "give numbers or dates")
    return pd.Series(times.to_numpy(), index=times.index)


def _parse_times(values: pd.Series) -> pd.Series:
    """Parse numbers or dates from text or objects; other values become NaN."""
    numbers = pd.to_numeric(values, errors="coerce")
    is_other = numbers.isna()
    if not is_other.any():
        return numbers
    dates = _unix_seconds(pd.to_datetime(values.where(is_other), errors="coerce", utc=True, format="mixed"))
    if dates.notna().any() and not is_other.all():
        raise InputError(
            f"interactions: column timestamp mixes {int((~is_other).sum())} numbers "
            f"and {int(dates.notna().sum())} dates: give either numbers or dates"
        )
    return numbers.astype("float64").fillna(dates)


def _unix_seconds(dates: pd.Series) -> pd.Series:
    dates = pd.to_datetime(dates, utc=True)
    return (dates - pd.Timestamp(0, tz="UTC")).dt.total_seconds()


def _texts(values: pd.Series) -> pd.Series:
    """Return strings; a missing value becomes ""."""
    return values.astype(object).where(values.notna(), "").map(str)


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

"""Tables in: how interactions, items and users must look, and one clear error where they do not."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from tfllmrec.errors import InputError

_SHOWN_ROWS = 3


def check_interactions(table: pd.DataFrame) -> pd.DataFrame:
    """A clean copy of an interaction table.

    Args:
        table: columns user_id, item_id, timestamp, and if there rating, event, scenario, text. Ids of any
            type become strings. A timestamp is a number, a date, or text that reads as one of them. A rating may be
            missing where a user gave none.

    Returns:
        The table with string ids, a numeric timestamp (dates become Unix seconds) and a float rating.

    Raises:
        InputError: a column is missing, the table is empty, an id is null or empty, a time or rating does not
            read as one.
    """
    _require(table, "interactions", ["user_id", "item_id", "timestamp"])
    table = table.reset_index(drop=True).copy()
    for column in ("user_id", "item_id"):
        table[column] = _string_ids(table, "interactions", column)
    table["timestamp"] = _times(table)
    if "rating" in table:
        table["rating"] = _numbers_or_nothing(table, "interactions", "rating")
    for column in {"event", "scenario", "text"} & set(table.columns):
        table[column] = _texts(table[column])
    return table


def check_items(table: pd.DataFrame) -> pd.DataFrame:
    """A clean copy of an item table: item_id unique, title filled with the item id where it is missing.

    Args:
        table: columns item_id, title, and if there text, categories (`|` between), further text columns.

    Raises:
        InputError: a column is missing, the table is empty, an id is null, empty or there twice.
    """
    _require(table, "items", ["item_id", "title"])
    table = _with_unique_ids(table, "items", "item_id")
    titles = _texts(table["title"]).str.strip()
    table["title"] = titles.where(titles != "", table["item_id"])
    for column in {"text", "categories"} & set(table.columns):
        table[column] = _texts(table[column])
    return table


def check_users(table: pd.DataFrame) -> pd.DataFrame:
    """A clean copy of a user table: user_id unique; every other column is a feature.

    Raises:
        InputError: user_id is missing, null, empty or there twice, or the table is empty.
    """
    _require(table, "users", ["user_id"])
    return _with_unique_ids(table, "users", "user_id")


def check_known_items(interactions: pd.DataFrame, items: pd.DataFrame) -> None:
    """Every item of the interactions stands in the item table, or an InputError names those that do not."""
    unknown = interactions.loc[~interactions["item_id"].isin(items["item_id"]), "item_id"]
    if len(unknown):
        raise InputError(
            f"interactions: {len(unknown)} rows name an item that the items table lacks "
            f"({_examples(unknown.unique())}): add these items or leave the rows out"
        )


def _require(table: pd.DataFrame, name: str, columns: list[str]) -> None:
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
    twice = table.loc[table[column].duplicated(), column]
    if len(twice):
        raise InputError(
            f"{name}: {len(twice)} rows repeat a {column} ({_examples(twice.unique())}): keep one row each"
        )
    return table


def _string_ids(table: pd.DataFrame, name: str, column: str) -> pd.Series:
    values = table[column]
    whole = pd.api.types.is_float_dtype(values) and values.notna().all() and (values % 1 == 0).all()
    if whole and values.abs().max() < 2**53:
        values = values.astype("int64")  # a whole-number id read as a float is 31, not "31.0"
    ids = values.astype(object).map(str)
    _refuse(values.isna() | (ids == ""), table, name, column, "have no id")
    return ids


def _numbers_or_nothing(table: pd.DataFrame, name: str, column: str) -> pd.Series:
    """Numbers, NaN where the table has no value."""
    numbers = pd.to_numeric(table[column], errors="coerce").astype("float64")
    _refuse(~np.isfinite(numbers) & table[column].notna(), table, name, column, "do not read as a number")
    return numbers


def _times(table: pd.DataFrame) -> pd.Series:
    values = table["timestamp"]
    if pd.api.types.is_bool_dtype(values):
        times = pd.Series(np.nan, index=values.index)
    elif pd.api.types.is_numeric_dtype(values):
        times = values
    elif pd.api.types.is_datetime64_any_dtype(values):
        times = _unix_seconds(values)
    else:
        times = _read_times(values)
    _refuse(~np.isfinite(times.astype("float64")), table, "interactions", "timestamp", "do not read as a time")
    return pd.Series(times.to_numpy(), index=times.index)


def _read_times(values: pd.Series) -> pd.Series:
    """Numbers or dates from text or objects; NaN for what is neither."""
    numbers = pd.to_numeric(values, errors="coerce")
    unread = numbers.isna()
    if not unread.any():
        return numbers
    dates = _unix_seconds(pd.to_datetime(values.where(unread), errors="coerce", utc=True, format="mixed"))
    if dates.notna().any() and not unread.all():
        raise InputError(
            f"interactions: column timestamp mixes {int((~unread).sum())} numbers "
            f"and {int(dates.notna().sum())} dates: write all of them in one way"
        )
    return numbers.astype("float64").fillna(dates)


def _unix_seconds(dates: pd.Series) -> pd.Series:
    dates = pd.to_datetime(dates, utc=True)
    return (dates - pd.Timestamp(0, tz="UTC")).dt.total_seconds()


def _texts(values: pd.Series) -> pd.Series:
    return values.astype(object).where(values.notna(), "").map(str)


def _refuse(bad: pd.Series | np.ndarray, table: pd.DataFrame, name: str, column: str, what: str) -> None:
    """Raise for the rows where `bad` is true, naming the column, the count and the first rows."""
    count = int(bad.sum())
    if count:
        first = table.loc[bad, column].iloc[:_SHOWN_ROWS].astype(object)
        shown = ", ".join(f"row {row}: {value!r}" for row, value in first.items())
        raise InputError(f"{name}: {count} values of column {column} {what} ({shown})")


def _examples(values: Iterable[object]) -> str:
    values = list(values)
    return ", ".join(map(repr, values[:_SHOWN_ROWS])) + (", ..." if len(values) > _SHOWN_ROWS else "")

"""Users' features without rare combinations: blanks in place of what would single somebody out.

It covers the users table alone; a history is often the only one of its kind (`docs/privacy.md`).
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tfllmrec.data.table_checks import check_users
from tfllmrec.errors import InputError


def k_anonymous(users: pd.DataFrame, k: int, columns: Sequence[str] | None = None) -> tuple[pd.DataFrame, str]:
    """Blank features until every combination that is left is shared by at least k users; no user is dropped.

    Column after column, the one with most distinct values first (of equals, the first given), is blanked in the rows
    whose combination is rare at that moment; a blank counts as a value. A combination that k users share stays, and
    only gains users, so one pass ends with the guarantee: who is still rare has lost every feature by then. Users
    without any may be fewer than k: there is nothing left to recognise them by.

    A blank is "" in a column of text and null in others, and what was missing before becomes the same.

    Args:
        users: see `tfllmrec.data.table_checks.check_users`.
        k: 2 or more.
        columns: whose combinations count, by default all features; the others stay, and are not covered.

    Returns:
        The table, and one sentence that counts what was blanked.

    Raises:
        InputError: the table is not as it must be, k is less than 2, a column is missing or holds lists.

    Example:
        >>> cities = ["Oslo", "Bern", "Rome", "Rome"]
        >>> k_anonymous(pd.DataFrame({"user_id": list("abcd"), "city": cities, "age": 30}), 2)[0]
          user_id  city  age
        0       a         30
        1       b         30
        2       c  Rome   30
        3       d  Rome   30
    """
    if k < 2:
        raise InputError(f"k must be 2 or more, not {k}: with 1 every combination may stay")
    users = check_users(users)
    names = _features(users, columns)
    if not names:
        return users, "users: there is no feature to blank"
    codes = pd.DataFrame({name: _codes(users[name]) for name in names})
    before = codes.ge(0).sum()
    distinct = codes.where(codes >= 0).nunique()
    for name in sorted(names, key=lambda name: -distinct[name]):  # stable: of equals, the first given
        codes.loc[_rare(codes, k), name] = -1
    for name in names:
        users[name] = _with_blanks(users[name], codes[name] < 0)
    return users, _blanking_note(k, before, codes)


def _features(users: pd.DataFrame, columns: Sequence[str] | None) -> list[str]:
    features = [column for column in users.columns if column != "user_id"]
    unknown = [column for column in columns or () if column not in features]
    if unknown:
        raise InputError(
            f"users: {', '.join(unknown)} is no feature; the table has {', '.join(map(str, features)) or 'none'}"
        )
    return features if columns is None else list(dict.fromkeys(columns))


def _codes(column: pd.Series) -> np.ndarray:
    """A number for every distinct value, int64 [rows]; -1 for null and ""."""
    try:
        codes = pd.factorize(column)[0]
    except TypeError as error:
        raise InputError(f"users: column {column.name} does not hold single values: leave it out") from error
    return np.where(column.isin([""]), -1, codes)


def _rare(codes: pd.DataFrame, k: int) -> np.ndarray:
    """Rows whose combination fewer than k rows share, bool [rows]; without any feature they have none to lose."""
    group = codes.groupby(list(codes.columns), sort=False).ngroup().to_numpy()
    return np.bincount(group)[group] < k


def _with_blanks(column: pd.Series, blank: pd.Series) -> pd.Series:
    """The column with one kind of blank, so that what was blanked and what was always missing look the same."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.mask(blank).cat.remove_unused_categories()  # a file would keep their names
    if pd.api.types.infer_dtype(column) == "string":
        return column.mask(blank, "")
    whole = pd.api.types.is_integer_dtype(column) or pd.api.types.is_bool_dtype(column)
    return (column.convert_dtypes() if whole else column).mask(blank)  # with null, 30 would become 30.0


def _blanking_note(k: int, before: pd.Series, codes: pd.DataFrame) -> str:
    each = zip(codes, before, codes.ge(0).sum(), strict=True)
    counts = ", ".join(f"{count - after:,} of {count:,} values of {name}" for name, count, after in each)
    silent = int(codes.lt(0).all(axis=1).sum())
    return (
        f"users: blanked {counts}; every combination left is shared by {k} users or more; "
        f"no feature is known of {silent:,} of {len(codes):,} users"
    )

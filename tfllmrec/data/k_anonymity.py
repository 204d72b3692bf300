"""k-anonymity of the users table: rare combinations of features are blanked.

Histories are not covered, and a history often identifies its user (`docs/guides/privacy.md`).
"""

from collections.abc import Iterable, Sequence
from numbers import Integral

import numpy as np
import pandas as pd

from tfllmrec.arguments import require_type
from tfllmrec.data.table_checks import check_users
from tfllmrec.errors import InputError


def k_anonymous(users: pd.DataFrame, k: int, columns: Sequence[str] | None = None) -> tuple[pd.DataFrame, str]:
    """Blank features until at least k users share every remaining combination; no user is dropped.

    Columns are processed in order of their number of distinct values, largest first (ties in the given order). Each is
    blanked in the rows whose combination is rare at that moment; a blank counts as a value. A combination that k users
    share is never blanked and can only gain users, so one pass gives the guarantee: a row that is still rare has lost
    all features by then. Fewer than k users may end without any feature: a row of blanks does not identify its user.

    A blank is "" in a text column and null in others; values that were missing before get the same blank.

    Args:
        users: see `tfllmrec.data.table_checks.check_users`.
        k: 2 or more.
        columns: columns of the combinations, by default all features; other columns are kept and not covered.

    Returns:
        The table, and one sentence that counts the blanked values.

    Raises:
        InputError: If the table is invalid, k is less than 2, or a column is missing or contains lists.

    Example:
        >>> cities = ["Oslo", "Bern", "Rome", "Rome"]
        >>> k_anonymous(pd.DataFrame({"user_id": list("abcd"), "city": cities, "age": 30}), 2)[0]
          user_id  city  age
        0       a         30
        1       b         30
        2       c  Rome   30
        3       d  Rome   30
    """
    require_type("k_anonymous", "k", k, Integral, "pass a whole number")
    require_type("k_anonymous", "columns", columns, (Iterable, type(None)), "pass a list of names")
    if k < 2:
        raise InputError(f"k must be 2 or more, not {k}, which blanks nothing")
    users = check_users(users)
    names = _feature_columns(users, columns)
    if not names:
        return users, "users: there is no feature to blank"
    codes = pd.DataFrame({name: _codes(users[name]) for name in names})
    num_values = codes.ge(0).sum()
    num_distinct = codes.where(codes >= 0).nunique()
    for name in sorted(names, key=lambda name: -num_distinct[name]):  # stable: ties keep the given order
        codes.loc[_is_rare(codes, k), name] = -1
    for name in names:
        users[name] = _blanked(users[name], codes[name] < 0)
    return users, _note(k, num_values, codes)


def _feature_columns(users: pd.DataFrame, columns: Sequence[str] | None) -> list[str]:
    features = [column for column in users.columns if column != "user_id"]
    missing = [column for column in columns or () if column not in features]
    if missing:
        raise InputError(
            f"users: there is no feature {', '.join(missing)}; the table has {', '.join(map(str, features)) or 'none'}"
        )
    return features if columns is None else list(dict.fromkeys(columns))


def _codes(column: pd.Series) -> np.ndarray:
    """Return a number for every distinct value, int64 [rows]; -1 for null and ""."""
    try:
        codes = pd.factorize(column)[0]
    except TypeError as error:
        raise InputError(f"users: column {column.name} does not contain single values: leave it out") from error
    return np.where(column.isin([""]), -1, codes)


def _is_rare(codes: pd.DataFrame, k: int) -> np.ndarray:
    """Return a mask of the rows whose combination fewer than k rows share, bool [rows]."""
    group = codes.groupby(list(codes.columns), sort=False).ngroup().to_numpy()
    return np.bincount(group)[group] < k


def _blanked(column: pd.Series, blank: pd.Series) -> pd.Series:
    """Blank values; blanked and previously missing values become indistinguishable."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.mask(blank).cat.remove_unused_categories()  # a file would contain the unused names
    if pd.api.types.infer_dtype(column) == "string":
        return column.mask(blank, "")
    is_integer = pd.api.types.is_integer_dtype(column) or pd.api.types.is_bool_dtype(column)
    return (column.convert_dtypes() if is_integer else column).mask(blank)  # NaN would turn 30 into 30.0


def _note(k: int, num_values: pd.Series, codes: pd.DataFrame) -> str:
    columns = zip(codes, num_values, codes.ge(0).sum(), strict=True)
    counts = ", ".join(f"{before - after:,} of {before:,} values of {name}" for name, before, after in columns)
    num_blank = int(codes.lt(0).all(axis=1).sum())
    return (
        f"users: blanked {counts}; {k} or more users share every remaining combination; "
        f"{num_blank:,} of {len(codes):,} users have no feature left"
    )

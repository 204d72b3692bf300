"""k-anonymity of user features: guarantee, blanks, notes, invalid input."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfllmrec.data import k_anonymous
from tfllmrec.errors import InputError


def people(**columns):
    count = len(next(iter(columns.values())))
    return pd.DataFrame({"user_id": [f"u{row}" for row in range(count)], **columns})


def values(table):
    """Return the features of every row, with every kind of blank as None."""
    rows = table.drop(columns="user_id").astype(object).itertuples(index=False)
    return [tuple(None if pd.isna(value) or value == "" else value for value in row) for row in rows]


def is_blank(row):
    return all(value is None for value in row)


@st.composite
def random_people(draw):
    rows = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["", None, "Oslo", "Rome", "Bern"]),
                st.integers(2**60, 2**60 + 2),  # more than a float can tell apart
                st.sampled_from([np.nan, 1.5, 30.0]),
                st.sampled_from([None, "x", "y"]),
                st.booleans(),
            ),
            min_size=1,
            max_size=14,
        )
    )
    table = people(
        **dict(zip(["city", "number", "float", "kind", "flag"], map(list, zip(*rows, strict=True)), strict=True))
    )
    table["kind"] = table["kind"].astype("category")
    chosen = draw(st.sets(st.sampled_from(list(table.columns[1:])), min_size=1))
    return table[["user_id", *[column for column in table.columns if column in chosen]]]


@settings(max_examples=60, deadline=None)
@given(table=random_people(), k=st.integers(2, 4))
def test_remaining_combinations_are_shared_and_others_unchanged(table, k):
    original = table.copy()
    result, note = k_anonymous(table, k)
    pd.testing.assert_frame_equal(table, original)
    before, after = values(table), values(result)
    assert list(result["user_id"]) == list(table["user_id"])
    assert list(result.columns) == list(table.columns)

    counts = Counter(after)
    assert all(counts[row] >= k or is_blank(row) for row in after)
    for old, new in zip(before, after, strict=True):
        assert all(now is None or now == then for then, now in zip(old, new, strict=True))
        assert old == new or Counter(before)[old] < k  # combinations shared by k users are kept
    blanked = [
        f"{sum(old[i] is not None and new[i] is None for old, new in zip(before, after, strict=True))} "
        f"of {sum(old[i] is not None for old in before)} values of {name}"
        for i, name in enumerate(table.columns[1:])
    ]
    assert note == (
        f"users: blanked {', '.join(blanked)}; {k} or more users share every remaining combination; "
        f"{sum(map(is_blank, after))} of {len(after)} users have no feature left"
    )

    again, note = k_anonymous(result, k)
    pd.testing.assert_frame_equal(again, result)
    assert "blanked 0 of" in note


@settings(max_examples=40, deadline=None)
@given(table=random_people(), k=st.integers(2, 4))
def test_blanked_and_missing_values_are_indistinguishable(table, k):
    result, _ = k_anonymous(table, k)
    for name in result.columns[1:]:
        blanks = {repr(value) for value in result[name] if pd.isna(value) or value == ""}
        num_blank, num_blank_before = (
            (column.isna() | column.isin([""])).sum() for column in (result[name], table[name])
        )
        if num_blank > num_blank_before:
            assert len(blanks) == 1
        if result[name].dtype == "category":
            assert set(result[name].cat.categories) == set(result[name].dropna())  # a file would contain the others


def test_column_with_most_values_is_blanked_first():
    table = people(
        sex=["f", "f", "f", "f", "m", "m", "m", "x"],
        city=["Oslo", "Oslo", "Rome", "Bern", "Bern", "Rome", "Lima", "Oslo"],
    )
    result, note = k_anonymous(table, 2)
    assert values(result) == [("f", "Oslo")] * 2 + [("f", None)] * 2 + [("m", None)] * 3 + [(None, None)]
    assert note == (
        "users: blanked 1 of 8 values of sex, 6 of 8 values of city; 2 or more users share every remaining "
        "combination; 1 of 8 users have no feature left"
    )


def test_ties_are_blanked_in_the_given_order():
    table = people(one=["a", "b", "", "c"], two=["x", "x", "y", "z"])  # three values each: a blank does not count
    assert values(k_anonymous(table, 2)[0]) == [(None, "x"), (None, "x"), (None, None), (None, None)]
    swapped = values(k_anonymous(table, 2, ["two", "one"])[0])
    assert swapped == [(None, None)] * 4  # here x is blanked before it is shared


def test_rows_that_stay_rare_lose_more_features():
    table = people(city=["Oslo", "Rome", "Bern", "Bern"], age=[30, 40, 50, 50])
    assert values(k_anonymous(table, 2)[0]) == [(None, None), (None, None), ("Bern", 50), ("Bern", 50)]


def test_only_the_given_columns_count():
    table = people(city=["Oslo", "Oslo", "Rome"], mail=["a@x", "b@x", "c@x"])
    result, note = k_anonymous(table, 2, ["city"])
    assert list(result["city"]) == ["Oslo", "Oslo", ""]
    assert list(result["mail"]) == ["a@x", "b@x", "c@x"]
    assert "mail" not in note


def test_columns_keep_their_type():
    table = people(
        age=[1, 1, 2], weight=[1.5, 1.5, 2.5], flag=[True, True, False], born=pd.to_datetime(["2001", "2001", "2002"])
    )
    result, _ = k_anonymous(table, 2)
    assert [str(dtype) for dtype in result.dtypes[1:]] == ["Int64", "float64", "boolean", str(table["born"].dtype)]
    assert values(result)[2] == (None,) * 4


def test_users_without_features():
    assert k_anonymous(pd.DataFrame({"user_id": [1]}), 2)[1] == "users: there is no feature to blank"


@pytest.mark.parametrize(
    ("table", "k", "columns", "message"),
    [
        (people(age=[1]), 1, None, "k must be 2 or more, not 1"),
        (people(age=[1]), 2, ["age", "city"], "users: there is no feature city; the table has age"),
        (people(age=[1]), 2, ["user_id"], "users: there is no feature user_id; the table has age"),
        (people(vector=[[1, 2]]), 2, None, "users: column vector does not contain single values: leave it out"),
        (people(age=[1, 2]).assign(user_id="u"), 2, None, "users: 1 rows repeat a user_id"),
    ],
)
def test_invalid_input_is_refused(table, k, columns, message):
    with pytest.raises(InputError, match=message):
        k_anonymous(table, k, columns)

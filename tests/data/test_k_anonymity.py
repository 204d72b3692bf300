"""Features without rare combinations: the guarantee, what stays, what is refused."""

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
    """The features row by row, every kind of blank as None."""
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
def test_every_combination_left_is_shared_and_nothing_else_is_changed(table, k):
    given_table = table.copy()
    found, note = k_anonymous(table, k)
    pd.testing.assert_frame_equal(table, given_table)
    before, after = values(table), values(found)
    assert list(found["user_id"]) == list(table["user_id"])
    assert list(found.columns) == list(table.columns)

    counts = Counter(after)
    assert all(counts[row] >= k or is_blank(row) for row in after)
    for old, new in zip(before, after, strict=True):
        assert all(now is None or now == then for then, now in zip(old, new, strict=True))
        assert old == new or Counter(before)[old] < k  # what k users share stays
    told = [
        f"{sum(old[i] is not None and new[i] is None for old, new in zip(before, after, strict=True))} "
        f"of {sum(old[i] is not None for old in before)} values of {name}"
        for i, name in enumerate(table.columns[1:])
    ]
    assert note == (
        f"users: blanked {', '.join(told)}; every combination left is shared by {k} users or more; "
        f"no feature is known of {sum(map(is_blank, after))} of {len(after)} users"
    )

    again, note = k_anonymous(found, k)
    pd.testing.assert_frame_equal(again, found)
    assert "blanked 0 of" in note


@settings(max_examples=40, deadline=None)
@given(table=random_people(), k=st.integers(2, 4))
def test_a_blank_does_not_tell_whether_there_was_a_value(table, k):
    found, _ = k_anonymous(table, k)
    for name in found.columns[1:]:
        kinds = {repr(value) for value in found[name] if pd.isna(value) or value == ""}
        if (found[name].isna() | found[name].isin([""])).sum() > table[name].isna().sum() + table[name].isin(
            [""]
        ).sum():
            assert len(kinds) == 1
        if found[name].dtype == "category":
            assert set(found[name].cat.categories) == set(found[name].dropna())  # a file would list the others


def test_the_column_with_most_values_goes_first_and_only_where_it_must():
    table = people(
        sex=["f", "f", "f", "f", "m", "m", "m", "x"],
        city=["Oslo", "Oslo", "Rome", "Bern", "Bern", "Rome", "Lima", "Oslo"],
    )
    found, note = k_anonymous(table, 2)
    assert values(found) == [("f", "Oslo")] * 2 + [("f", None)] * 2 + [("m", None)] * 3 + [(None, None)]
    assert note == (
        "users: blanked 1 of 8 values of sex, 6 of 8 values of city; every combination left is shared by 2 users or "
        "more; no feature is known of 1 of 8 users"
    )


def test_of_columns_with_as_many_values_the_first_given_goes_first():
    table = people(one=["a", "b", "", "c"], two=["x", "x", "y", "z"])  # three values each: a blank is none
    assert values(k_anonymous(table, 2)[0]) == [(None, "x"), (None, "x"), (None, None), (None, None)]
    swapped = values(k_anonymous(table, 2, ["two", "one"])[0])
    assert swapped == [(None, None)] * 4  # here x goes before it can be shared


def test_blanked_rows_that_are_rare_together_lose_more():
    table = people(city=["Oslo", "Rome", "Bern", "Bern"], age=[30, 40, 50, 50])
    assert values(k_anonymous(table, 2)[0]) == [(None, None), (None, None), ("Bern", 50), ("Bern", 50)]


def test_only_the_columns_that_are_named_count():
    table = people(city=["Oslo", "Oslo", "Rome"], mail=["a@x", "b@x", "c@x"])
    found, note = k_anonymous(table, 2, ["city"])
    assert list(found["city"]) == ["Oslo", "Oslo", ""]
    assert list(found["mail"]) == ["a@x", "b@x", "c@x"]
    assert "mail" not in note


def test_columns_keep_their_kind():
    table = people(
        age=[1, 1, 2], weight=[1.5, 1.5, 2.5], flag=[True, True, False], born=pd.to_datetime(["2001", "2001", "2002"])
    )
    found, _ = k_anonymous(table, 2)
    assert [str(dtype) for dtype in found.dtypes[1:]] == ["Int64", "float64", "boolean", str(table["born"].dtype)]
    assert values(found)[2] == (None,) * 4


def test_users_without_features_have_nothing_to_blank():
    assert k_anonymous(pd.DataFrame({"user_id": [1]}), 2)[1] == "users: there is no feature to blank"


@pytest.mark.parametrize(
    ("table", "k", "columns", "message"),
    [
        (people(age=[1]), 1, None, "k must be 2 or more, not 1"),
        (people(age=[1]), 2, ["age", "city"], "users: city is no feature; the table has age"),
        (people(age=[1]), 2, ["user_id"], "users: user_id is no feature; the table has age"),
        (people(vector=[[1, 2]]), 2, None, "users: column vector does not hold single values: leave it out"),
        (people(age=[1, 2]).assign(user_id="u"), 2, None, "users: 1 rows repeat a user_id"),
    ],
)
def test_what_cannot_be_made_anonymous_is_refused(table, k, columns, message):
    with pytest.raises(InputError, match=message):
        k_anonymous(table, k, columns)

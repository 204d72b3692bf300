"""Checks of tables: conversions of valid tables, one error for each invalid table."""

from datetime import date, datetime

import numpy as np
import pandas as pd
import pytest

from tfllmrec.data.table_checks import check_interactions, check_items, check_known_items, check_users
from tfllmrec.errors import InputError


def interactions(rows=2, **columns):
    table = {"user_id": ["u"] * rows, "item_id": ["i"] * rows, "timestamp": range(rows)} | columns
    return pd.DataFrame(table)


@pytest.mark.parametrize(
    ("ids", "strings"),
    [
        ([1, 20], ["1", "20"]),
        ([31.0, 2.0], ["31", "2"]),
        ([1.5, 2.0], ["1.5", "2"]),
        (["007", "NA"], ["007", "NA"]),
        (["nan", "None"], ["nan", "None"]),
        (["用户", " "], ["用户", " "]),
        (pd.array([1, 2], dtype="Int64"), ["1", "2"]),
        (pd.Categorical(["b", "a"]), ["b", "a"]),
    ],
)
@pytest.mark.parametrize("column", ["user_id", "item_id"])
def test_ids_of_any_type_become_strings(column, ids, strings):
    assert list(check_interactions(interactions(**{column: ids}))[column]) == strings


@pytest.mark.parametrize(
    ("ids", "shown"),
    [
        (["a", None], "row 1: "),
        (["", "a"], "row 0: ''"),
        ([np.nan, 1.0], "row 0: nan"),
        (pd.array([1, None], dtype="Int64"), "row 1: <NA>"),
    ],
)
@pytest.mark.parametrize("column", ["user_id", "item_id"])
def test_missing_id_is_refused(column, ids, shown):
    with pytest.raises(InputError, match=f"interactions: 1 values of column {column} are empty") as caught:
        check_interactions(interactions(**{column: ids}))
    assert shown in str(caught.value)


def test_error_counts_all_rows_and_shows_the_first_three():
    table = interactions(6, user_id=["u", None, "", None, None, "u"]).set_index(pd.Index([9] * 6))
    with pytest.raises(InputError, match="4 values of column user_id") as caught:
        check_interactions(table)
    assert [f"row {row}:" in str(caught.value) for row in range(6)] == [False, True, True, True, False, False]


@pytest.mark.parametrize("missing", ["user_id", "item_id", "timestamp"])
def test_missing_column_is_named(missing):
    with pytest.raises(InputError, match=f"interactions: column {missing} is missing; the table has"):
        check_interactions(interactions().drop(columns=missing))


def test_all_missing_columns_are_named():
    with pytest.raises(InputError, match="column user_id, item_id is missing; the table has timestamp"):
        check_interactions(interactions()[["timestamp"]])


@pytest.mark.parametrize(
    ("check", "columns", "name"),
    [
        (check_interactions, ["user_id", "item_id", "timestamp"], "interactions"),
        (check_items, ["item_id", "title"], "items"),
        (check_users, ["user_id"], "users"),
    ],
)
def test_empty_table_is_refused(check, columns, name):
    with pytest.raises(InputError, match=f"{name}: the table has no rows"):
        check(pd.DataFrame(columns=columns))


@pytest.mark.parametrize(
    "times",
    [
        ["1970-01-01", "1970-01-02T00:00:01Z"],
        ["1970-01-01 00:00", "1970-01-02T02:00:01+02:00"],
        pd.to_datetime(["1970-01-01 00:00:00", "1970-01-02 00:00:01"]),
        pd.to_datetime(["1970-01-01 00:00:00", "1970-01-02 00:00:01"], utc=True).tz_convert("Asia/Shanghai"),
        pd.Series([date(1970, 1, 1), datetime(1970, 1, 2, 0, 0, 1)], dtype=object),
        [0, 86401],
        ["0", "86401"],
        ["0", "86401.0"],
        pd.array([0, 86401], dtype="Int64"),
    ],
)
def test_times_in_any_format_are_parsed(times):
    column = check_interactions(interactions(timestamp=times))["timestamp"]
    assert list(column) == [0, 86401]
    assert isinstance(column.dtype, np.dtype)


@pytest.mark.parametrize(
    ("times", "count"),
    [
        (["yesterday", "2020-01-01"], 1),
        (["a", "b"], 2),
        ([1, "x"], 1),
        ([1, None], 1),
        ([np.inf, 1], 1),
        (["inf", "1"], 1),
        ([True, False], 2),
        (pd.to_datetime(["2020-01-01", None]), 1),
        (pd.array([1, None], dtype="Int64"), 1),
        (["9999-99-99", "2020-01-01"], 1),
    ],
)
def test_invalid_time_is_refused(times, count):
    with pytest.raises(InputError, match=f"interactions: {count} values of column timestamp are not times"):
        check_interactions(interactions(timestamp=times))


def test_mixed_numbers_and_dates_are_refused():
    with pytest.raises(InputError, match=r"mixes numbers \('978300760'\) and dates \('2020-01-01'\)"):
        check_interactions(interactions(timestamp=[978300760, "2020-01-01"]))


def test_text_ratings_are_parsed():
    ratings = check_interactions(interactions(rating=["4", "2.5"]))["rating"]
    assert list(ratings) == [4.0, 2.5]
    assert ratings.dtype == np.float64


@pytest.mark.parametrize("missing", [None, np.nan])
def test_rating_may_be_missing(missing):
    np.testing.assert_array_equal(check_interactions(interactions(rating=[1, missing]))["rating"], [1.0, np.nan])


@pytest.mark.parametrize("rating", ["good", "", np.inf])
def test_invalid_rating_is_refused(rating):
    with pytest.raises(InputError, match="1 values of column rating are not finite numbers"):
        check_interactions(interactions(rating=[1, rating]))


def test_error_shows_plain_values():
    with pytest.raises(InputError, match=r"are not times \(row 1: nan\): give numbers, ISO dates, or date_format$"):
        check_interactions(interactions(timestamp=[1.0, np.nan]))


@pytest.mark.parametrize("column", ["event", "scenario", "text"])
def test_missing_text_is_empty(column):
    assert list(check_interactions(interactions(**{column: ["看", None]}))[column]) == ["看", ""]


def test_input_tables_are_not_changed():
    table = interactions(user_id=[1, 2], text=["a", None])
    items = pd.DataFrame({"item_id": [1], "title": [None]})
    before = table.copy(), items.copy()
    check_interactions(table)
    check_items(items)
    pd.testing.assert_frame_equal(table, before[0])
    pd.testing.assert_frame_equal(items, before[1])


def test_other_columns_are_kept():
    table = interactions(seen=[True, False], vector=[[1, 2], [3]])
    checked = check_interactions(table)
    assert list(checked["seen"]) == [True, False]
    assert list(checked["vector"]) == [[1, 2], [3]]


@pytest.mark.parametrize("title", [None, np.nan, "", "  "])
def test_missing_title_is_replaced_by_the_item_id(title):
    items = check_items(pd.DataFrame({"item_id": [7, 8], "title": [title, "霸王别姬"]}))
    assert list(items["title"]) == ["7", "霸王别姬"]


def test_equal_titles_are_valid_and_missing_categories_empty():
    table = pd.DataFrame({"item_id": ["a", "b"], "title": ["x", " x "], "categories": ["A|B", None]})
    items = check_items(table)
    assert list(items["title"]) == ["x", "x"]
    assert list(items["categories"]) == ["A|B", ""]


@pytest.mark.parametrize(
    ("check", "table", "message"),
    [
        (check_items, {"item_id": ["a", "b"]}, "items: column title is missing"),
        (check_items, {"title": ["a", "b"]}, "items: column item_id is missing"),
        (check_items, {"item_id": ["a", None], "title": "t"}, "items: 1 values of column item_id are empty"),
        (check_items, {"item_id": ["a", "b", "a"], "title": "t"}, r"items: 1 rows repeat a item_id \('a'\)"),
        (check_items, {"item_id": [1, "1"], "title": "t"}, "items: 1 rows repeat a item_id"),
        (check_users, {"age": [3]}, "users: column user_id is missing"),
        (check_users, {"user_id": ["u", "u", "u"]}, "users: 2 rows repeat a user_id"),
        (check_users, {"user_id": ["u", ""]}, "users: 1 values of column user_id are empty"),
    ],
)
def test_invalid_items_and_users_are_refused(check, table, message):
    with pytest.raises(InputError, match=message):
        check(pd.DataFrame(table))


def test_unknown_items_are_counted_and_shown():
    table = interactions(6, item_id=["i", "a", "b", "c", "d", "d"])
    with pytest.raises(InputError, match=r"5 values of item_id are missing .* \('a', 'b', 'c', \.\.\.\)"):
        check_known_items(table["item_id"], pd.DataFrame({"item_id": ["i"]}), "interactions")
    check_known_items(table["item_id"], pd.DataFrame({"item_id": list("iabcd")}), "interactions")


def test_user_features_are_kept():
    users = check_users(pd.DataFrame({"user_id": [2, 1], "age": [30, 40]}))
    assert users.to_dict("list") == {"user_id": ["2", "1"], "age": [30, 40]}

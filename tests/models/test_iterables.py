"""Arguments with rows may be any iterables, also those that are read once, with the results of lists."""

from collections.abc import Callable, Iterable
from copy import copy
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from shared_fits import SharedFits

from tfllmrec import InputError
from tfllmrec_client.inputs import input_arrays
from tfllmrec_client.requests import RecommendRequest, item_request, rank_request, recommend_request

Rows = list[list[str]]

KINDS: dict[str, Callable[[list[Any]], Iterable[Any]]] = {
    "tuple": tuple,
    "iterator": iter,
    "generator": lambda values: (value for value in values),
    "map": lambda values: map(copy, values),
    "values of a dict": lambda values: dict(enumerate(values)).values(),
    "array of objects": lambda values: np.array([*values, None], object)[:-1],
    "series": lambda values: pd.Series(values, index=range(len(values), 0, -1)),
}
ID_KINDS: dict[str, Callable[[list[str]], Iterable[str]]] = KINDS | {
    "array of strings": np.array,
    "strings of an array": lambda values: list(np.array(values)),
    "index": pd.Index,
    "category": lambda values: pd.Series(values, dtype="category"),
    "string dtype": lambda values: pd.Series(values, dtype="string[pyarrow]"),
    "PyArrow array": pa.array,
    "PyArrow chunks": lambda values: pa.chunked_array([values[:1], values[1:]]),
}
ROW_KINDS: dict[str, Callable[[Rows], Iterable[Any]]] = {
    "PyArrow lists": pa.array,
    "PyArrow chunks of lists": lambda rows: pa.chunked_array([rows[:1], rows[1:]]),
    "scalars of PyArrow": lambda rows: list(pa.array(rows)),
    "iterators over one list": lambda rows: shared(rows),
}
IDS, ROWS = ["小明", "", "u2"], [["a", "b"], [], ["c"]]


def shared(rows: Rows) -> Iterable[Iterable[str]]:
    """Yield iterators over the same flat values, as `itertools.groupby` does: each must be read before the next."""
    values = iter([value for row in rows for value in row])
    return ((next(values) for _ in range(len(row))) for row in rows)


@pytest.mark.parametrize("kind", ID_KINDS)
def test_ids(kind: str) -> None:
    ids, expected = ID_KINDS[kind], recommend_request(IDS, None, scenarios=IDS)
    assert recommend_request(ids(IDS), None, scenarios=ids(IDS)) == expected
    assert item_request(ids(IDS), call="embed_items").items == IDS
    np.testing.assert_array_equal(input_arrays({"x": ids(IDS)})["x"], np.array(IDS, object))


@pytest.mark.parametrize("kind", KINDS | ROW_KINDS)
def test_rows(kind: str) -> None:
    assert_read((KINDS | ROW_KINDS)[kind])


@pytest.mark.parametrize("kind", ID_KINDS)
def test_ids_of_a_row(kind: str) -> None:
    assert_read(lambda rows: [ID_KINDS[kind](row) if row else () for row in rows])


def assert_read(convert: Callable[[Rows], Iterable[Any]]) -> None:
    arguments = ("histories", "exclude", "user_features", "texts")
    expected = recommend_request(IDS, **dict.fromkeys(arguments, ROWS))
    assert recommend_request(IDS, **{name: convert(ROWS) for name in arguments}) == RecommendRequest(*expected)
    assert rank_request(convert(ROWS), histories=convert(ROWS)) == rank_request(ROWS, histories=ROWS)


def test_only_excluded_items_may_be_sets() -> None:
    assert sorted(recommend_request(["u"], None, [{"b", "a"}]).excluded[0]) == ["a", "b"]
    for arguments in ({"users": {"u"}}, {"users": ["u"], "histories": [{"a"}]}, {"users": ["u"], "texts": [{"a"}]}):
        with pytest.raises(InputError, match=r"list .*, not \{'[ua]'\}$"):
            recommend_request(**{"histories": None, **arguments})


@pytest.mark.parametrize("table", [pd.DataFrame({"id": IDS}), pa.table({"id": IDS}), pa.record_batch({"id": IDS})])
def test_tables_are_refused(table: Any) -> None:
    with pytest.raises(InputError, match=r"^recommend: users is a table; pass one of its columns, such as table\["):
        recommend_request(table, None)
    with pytest.raises(InputError, match=r"^recommend: histories must have a list of strings per row, not .*") as error:
        recommend_request(None, [table])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "users", [{"u": 1}, 5, np.array("u"), pd.Series([1]), pa.array([None]), [pa.scalar("u")], [b"u"], [["u"]]]
)
def test_other_values_are_refused(users: Any) -> None:
    with pytest.raises(InputError, match=r"^recommend: users (has|must be a list)") as error:
        recommend_request(users, None)
    assert "\n" not in str(error.value)


def test_one_pass_iterables_have_the_results_of_lists(shared_fits: SharedFits) -> None:
    model, users, rows = shared_fits("two_tower"), ["用户3", "u3"], [["item0", "item3"], ["🎬🍿"]]

    def once(values: Iterable[Any]) -> Iterable[Any]:
        return (value if isinstance(value, str) else once(value) for value in values)

    results = model.recommend(once(users), once(rows), exclude=map(iter, rows[::-1]))
    pd.testing.assert_frame_equal(results, model.recommend(users, rows, exclude=rows[::-1]))
    pd.testing.assert_frame_equal(model.next_items(once(rows)), model.next_items(rows))
    pd.testing.assert_frame_equal(model.similar_items(once(rows[0])), model.similar_items(rows[0]))
    np.testing.assert_array_equal(model.rank(once(rows[:1]), once(users[:1])), model.rank(rows[:1], users[:1]))
    assert model.embed_items(once(rows[0])).item_ids == rows[0]
    np.testing.assert_array_equal(model.embed_items(once(rows[0])).embeddings, model.embed_items(rows[0]).embeddings)
    np.testing.assert_array_equal(model.embed_queries(once(users)).embeddings, model.embed_queries(users).embeddings)

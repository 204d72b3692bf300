"""Results as columns, for example for `pandas.DataFrame`."""

import copy
import json
import pickle

import numpy as np
import pandas as pd
import pytest

from tfllmrec_client import (
    CandidateScores,
    ItemEmbeddings,
    QueryEmbeddings,
    ScoredItem,
    ScoredItems,
    ScoredLabel,
    ScoredLabels,
)

ROWS = [[ScoredItem("a", "A", 2.0), ScoredItem("b", "B", 1.0)], [], [ScoredItem("c", "C", 3.0)]]


def test_items_have_a_column_per_field():
    results = ScoredItems(ROWS, {"user_id": ["u", "v", ""]})
    assert results.columns() == {
        "row": [0, 0, 2],
        "user_id": ["u", "u", ""],
        "rank": [1, 2, 1],
        "item_id": ["a", "b", "c"],
        "title": ["A", "B", "C"],
        "score": [2.0, 1.0, 3.0],
    }


def test_results_without_items_have_empty_columns():
    assert ScoredItems([], {}).columns() == {"row": [], "rank": [], "item_id": [], "title": [], "score": []}
    columns = ScoredLabels([[]], {"user_id": ["u"]}).columns()
    assert columns == {"row": [], "user_id": [], "rank": [], "label": [], "score": []}


def test_labels_have_a_column_per_field():
    results = ScoredLabels([[ScoredLabel("x", 0.9), ScoredLabel("y", 0.1)]], {"user_id": ["u"]})
    assert results.columns() == {
        "row": [0, 0],
        "user_id": ["u", "u"],
        "rank": [1, 2],
        "label": ["x", "y"],
        "score": [0.9, 0.1],
    }


def test_candidates_are_ranked_by_their_score():
    results = CandidateScores([[0.5, 2.0, 0.5], []], [["a", "b", "c"], []], "item_id", {"user_id": ["u", "v"]})
    assert results.columns() == {
        "row": [0, 0, 0],
        "user_id": ["u", "u", "u"],
        "rank": [2, 1, 3],
        "item_id": ["a", "b", "c"],
        "score": [0.5, 2.0, 0.5],
    }


def test_results_are_lists():
    results = ScoredItems(ROWS, {"user_id": ["u", "v", ""]})
    assert results == ROWS
    assert isinstance(results, list)
    assert repr(results) == repr(ROWS)
    assert json.loads(json.dumps(results)) == [[list(item) for item in row] for row in ROWS]
    first, empty, third = results
    assert (first[0].title, empty, third[-1].item_id) == ("A", [], "c")
    for same in (copy.copy(results), copy.deepcopy(results), pickle.loads(pickle.dumps(results))):
        assert same == results
        assert same.columns() == results.columns()


def test_embeddings_have_a_row_per_id():
    vectors = np.arange(4, dtype=np.float32).reshape(2, 2)
    columns = QueryEmbeddings(["u", ""], vectors).columns()
    assert (columns["row"], columns["user_id"]) == ([0, 1], ["u", ""])
    np.testing.assert_array_equal(np.stack(columns["embedding"]), vectors)
    columns = ItemEmbeddings(["a", "b"], vectors).columns()
    assert list(columns) == ["row", "item_id", "embedding"]
    columns = ItemEmbeddings(["a", "b"], vectors, np.float32([0.5, 1])).columns()
    assert (columns["item_id"], columns["bias"]) == (["a", "b"], [0.5, 1.0])


def test_recommend_has_the_table_of_the_recommender(connect, models):
    users, histories = ["用户3", "unknown", "everything"], [[], ["item1", "电影一"], []]
    table = pd.DataFrame(connect().recommend(users, histories, k=4).columns())
    expected = models.recommenders["films", 2].recommend(users, histories, k=4)
    assert list(table) == list(expected)
    pd.testing.assert_frame_equal(table, expected, check_dtype=False, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["similar_items", "next_items"])
def test_columns_name_the_rows_of_the_request(connect, name):
    if name == "similar_items":
        results = connect().similar_items(["item1", "unheard of", "item2"], k=2)
        assert results.columns()["query_item_id"] == ["item1", "item1", "item2", "item2"]
    else:
        results = connect("next").next_items([["item1"], [], ["item2"]], k=2)
    columns = results.columns()
    rows = [0, 0, 2, 2] if name == "similar_items" else [0, 0, 1, 1, 2, 2]
    assert columns["row"] == rows
    assert columns["rank"] == [1, 2] * (len(rows) // 2)
    items = [item for row in results for item in row]
    assert list(zip(columns["item_id"], columns["title"], columns["score"], strict=True)) == items

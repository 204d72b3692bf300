"""The Word2Vec family: decayed means, options and new items."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tfllmrec import Word2Vec
from tfllmrec.content.word2vec import Word2VecContent, Word2VecOptions
from tfllmrec.data import Checkerboard, Dataset
from tfllmrec.errors import InputError
from tfllmrec.models.registry import load_model

NEW = pd.DataFrame({"item_id": ["new even", "new odd"], "title": ["?", "?"], "categories": ["even", "odd"]})


@pytest.fixture(scope="module")
def fitted(board: Checkerboard) -> Word2Vec:
    return Word2Vec(history_length=4, decay=0.5, dim=16).fit(board.data, verbose=0)


def test_scores_are_products_with_the_decayed_mean(fitted: Word2Vec) -> None:
    vectors = fitted.index.vectors.numpy()
    assert vectors.shape == (21, 32)  # word vectors and co-occurrence vectors
    histories = np.array([[1, 2, 3, 0], [4, 5, 6, 7], [9, 0, 0, 0]], np.int32)
    expected = [
        (0.25 * vectors[1] + 0.5 * vectors[2] + vectors[3]) / 1.75,
        (0.125 * vectors[4] + 0.25 * vectors[5] + 0.5 * vectors[6] + vectors[7]) / 1.875,
        vectors[9],
    ]
    users = np.array([0, 1, 2], np.int32)
    query = fitted.query_model({"user": users, "history": histories})
    np.testing.assert_allclose(query, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(fitted.score(users, histories), np.array(expected) @ vectors.T, rtol=1e-4, atol=1e-5)


def test_empty_histories_are_scored_by_popularity(fitted: Word2Vec, board: Checkerboard) -> None:
    scores = fitted.score(np.array([3], np.int32), np.zeros((1, 4), np.int32))
    np.testing.assert_allclose(scores, [np.log1p(board.data.item_counts)], rtol=1e-6)


def test_similar_items_are_recommended(fitted: Word2Vec, board: Checkerboard) -> None:
    first = fitted.recommend(list(board.answers), k=1).set_index("user_id")["item_id"]
    right = [int(item[1:]) % 2 == int(user[1:]) % 2 for user, item in first.items()]
    assert np.mean(right) == 1


def test_new_items_are_scored_before_and_after_loading(fitted: Word2Vec, tmp_path: Path) -> None:
    grown = fitted.with_items(NEW)
    histories = [["i00", "i02"], ["i01", "i03"]]
    scores = grown.recommend(histories=histories, k=99).set_index(["row", "item_id"])["score"]
    assert scores[0, "new even"] > scores[0, "new odd"]
    assert scores[1, "new odd"] > scores[1, "new even"]
    np.testing.assert_array_equal(grown.index.vectors[:21], fitted.index.vectors)
    fitted.save(tmp_path)
    again = load_model(tmp_path).with_items(NEW)
    np.testing.assert_array_equal(again.index.vectors, grown.index.vectors)


def test_options_reach_the_content(board: Checkerboard, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {
        "columns": ("title", "text"), "names": ("genres",), "language": "zh", "dim": 7, "window": 3, "min_count": 4,
        "epochs": 5, "phrases": False, "subwords": True, "remove_common": False, "seed": 6,
    }  # fmt: skip
    calls: list[object] = []

    class FitCalledError(Exception):
        pass

    def fit(*arguments: object, **options: object) -> None:
        calls.extend([*arguments, options])
        raise FitCalledError

    monkeypatch.setattr(Word2VecContent, "fit", fit)
    for neighbours in (True, False):
        calls.clear()
        with pytest.raises(FitCalledError):
            Word2Vec(**{**options, "columns": "title, text", "names": "genres"}, neighbours=neighbours).fit(board.data)
        items, interactions, word2vec_options, _ = calls
        assert items is board.data.items
        assert (interactions is board.data.interactions) == neighbours
        assert word2vec_options == Word2VecOptions(**options)


@pytest.mark.parametrize(
    ("option", "value"),
    [("decay", 0), ("decay", 1.1), ("language", "ja"), ("dim", 0), ("window", 0), ("epochs", 0), ("columns", 3)],
)
def test_invalid_options_are_refused(option: str, value: object) -> None:
    with pytest.raises(InputError, match=f"^option {option}={value!r}: "):
        Word2Vec(**{option: value})


def test_missing_text_columns_are_refused(make: Callable[..., Word2Vec], data: Dataset) -> None:
    recommender = make("word2vec", columns="text", names="genres", neighbours=True)
    with pytest.raises(InputError, match=r"^items: the table has none of the columns text, genres; it has "):
        recommender.fit(data, verbose=0)

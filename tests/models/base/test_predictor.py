"""Blocks of recommendations: memory, and results as arrays."""

import tracemalloc

import numpy as np
import pytest

from tfllmrec import Ease, InputError, Popularity
from tfllmrec.data import Dataset
from tfllmrec.evaluation import blocks
from tfllmrec_client.requests import recommend_request


@pytest.fixture(scope="module")
def popularity(data: Dataset) -> Popularity:
    return Popularity().fit(data)


def test_one_long_row_does_not_widen_the_others(popularity: Popularity) -> None:
    exclude: list[list[str]] = [["item0"] * 20_000] + [[]] * 1999
    tracemalloc.start()
    table = popularity.recommend([""] * 2000, k=1, exclude=exclude)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6  # 160 MB where every row has the width of the longest
    assert (table["item_id"] == "item0").tolist() == [False] + [table["item_id"][1] == "item0"] * 1999


def test_best_items_are_arrays_of_blocks(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    model, users = Ease(l2=1.0).fit(data), data.user_vocabulary.tokens[1:].tolist()
    table = model.recommend(users, k=4)
    monkeypatch.setattr(blocks, "MOST_CELLS", 5 * (len(data.item_vocabulary) + 1))
    parts = list(model.predictor.best_items(recommend_request(users, None), 4))
    assert [len(part.users) for part in parts] == [5, 5, 5, 5, 2]
    assert [user for part in parts for user in part.users] == users
    items, scores = (np.concatenate([getattr(part, name) for part in parts]) for name in ("items", "scores"))
    assert (items.shape, items.dtype, scores.dtype) == ((len(users), 4), np.int32, np.float32)
    assert data.item_vocabulary.ids(items[items > 0]).tolist() == table["item_id"].tolist()
    np.testing.assert_allclose(scores[items > 0], table["score"], rtol=1e-5)


def test_more_pairs_than_a_model_scores_are_refused(popularity: Popularity, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(popularity.built.__dict__, "max_pairs", 20)
    with pytest.raises(InputError, match=r"^popularity: 2 rows of 12 items are 24 pairs, and at most 20 are scored"):
        popularity.recommend(["", ""])
    assert len(popularity.recommend([""])) == 10

"""What only the two-tower family does: it stops at the best epoch and serves what it trained."""

from collections.abc import Callable

import keras
import numpy as np
import pytest

from tfllmrec.data import Checkerboard, Split, leave_one_out
from tfllmrec.recommenders import Recommender


@pytest.fixture(scope="module")
def split(board: Checkerboard) -> Split:
    return leave_one_out(board.data)


@pytest.fixture(scope="module")
def trained(split: Split, make: Callable[..., Recommender]) -> Recommender:
    """With so high a learning rate that the last epochs are not the best ones."""
    seen = []
    watch = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(dict(logs)))
    options = {"epochs": 12, "patience": 2, "learning_rate": 0.1, "ema": 0.3, "batch_size": 32}
    recommender = make("two_tower", **options).fit(split.train, split.validation, callbacks=[watch], verbose=0)
    recommender.seen_by_callback = seen
    return recommender


def test_it_stops_early_and_keeps_the_best_epoch(trained: Recommender, split: Split) -> None:
    values = trained.history["val_ndcg@10"]
    best = int(np.argmax(values))
    assert len(values) == best + 1 + 2 < 12
    assert trained.evaluate(split.validation)["ndcg@10"] == pytest.approx(values[best], abs=1e-6)
    assert trained.settled_config().epochs == best + 1
    assert [logs["val_ndcg@10"] for logs in trained.seen_by_callback] == values


def test_what_is_served_is_what_was_trained(trained: Recommender, split: Split) -> None:
    items = np.arange(len(split.train.item_vocabulary) + 1, dtype=np.int32)
    np.testing.assert_allclose(trained.index.vectors, trained.candidate_tower(items), rtol=1e-6)
    asked = {"user": np.array([1, 0], np.int32), "history": np.array([[1, 2, 0, 0], [3, 4, 5, 6]], np.int32)}
    np.testing.assert_allclose(trained.query_model(asked), trained.query_tower(asked), rtol=1e-5, atol=1e-6)
    expected = trained.query_tower(asked).numpy() @ trained.candidate_tower(items).numpy().T
    np.testing.assert_allclose(trained.score(**_named(asked)), expected, rtol=1e-4, atol=1e-5)


def _named(asked: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {"users": asked["user"], "histories": asked["history"]}


@pytest.mark.parametrize("options", [{"user_vectors": False}, {"content": False}], ids=str)
def test_parts_can_be_left_out(make: Callable[..., Recommender], board: Checkerboard, options: dict[str, bool]) -> None:
    recommender = make("two_tower", epochs=1, **options).fit(board.data, verbose=0)
    scores = recommender.score(np.array([1, 2], np.int32), np.array([[1, 2, 0, 0]] * 2, np.int32)).numpy()
    assert np.allclose(scores[0], scores[1]) == ("user_vectors" in options)
    names = {weight.name for weight in recommender.model.weights}
    assert ("token_vectors" in names) == ("content" not in options)

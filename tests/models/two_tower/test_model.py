"""The two-tower family: early stopping, options of the task, and the served models."""

from collections.abc import Callable

import keras
import numpy as np
import pytest

from tfllmrec import Recommender
from tfllmrec.data import Checkerboard, Split
from tfllmrec.models.two_tower import model as two_tower


class Watch(keras.callbacks.Callback):
    """Record the logs that a caller's callback receives."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[float] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        self.seen.append(logs["val_ndcg@10"])


@pytest.fixture(scope="module")
def watch() -> Watch:
    return Watch()


@pytest.fixture(scope="module")
def trained(split: Split, make: Callable[..., Recommender], watch: Watch) -> Recommender:
    """A fit at a learning rate so high that the last epochs are not the best."""
    options = {"epochs": 40, "patience": 2, "learning_rate": 0.1, "ema": 0.3, "batch_size": 32}
    return make("two_tower", **options).fit(split.train, split.validation, callbacks=[watch], verbose=0)


def test_early_stopping_keeps_the_best_epoch(trained: Recommender, split: Split, watch: Watch) -> None:
    values = trained.training_log["val_ndcg@10"]
    best = int(np.argmax(values))
    assert len(values) == best + 1 + 2 < 40
    assert trained.evaluate(split.validation)["ndcg@10"] == pytest.approx(values[best], abs=1e-6)
    assert trained.refit_config().epochs == best + 1
    assert watch.seen == values


class TaskBuiltError(Exception):
    """Carry the options of the task, and stop the fit."""


@pytest.mark.parametrize("loss", ["in_batch", "mixed", "sampled", "full"])
def test_options_reach_the_task(
    make: Callable[..., Recommender], board: Checkerboard, monkeypatch: pytest.MonkeyPatch, loss: str
) -> None:
    def build(**options: object) -> None:
        raise TaskBuiltError(options)

    monkeypatch.setattr(two_tower, "Retrieval", build)
    with pytest.raises(TaskBuiltError) as built:
        make("two_tower", negatives=loss, temperature=0.5, hard_negatives=7).fit(board.data)
    [options] = built.value.args
    assert (options["temperature"], options["num_hard_negatives"]) == (0.5, 7)
    assert options["remove_accidental_hits"] or loss in ("sampled", "full")  # which mask them


def test_served_models_equal_the_trained_ones(trained: Recommender, split: Split) -> None:
    items = np.arange(len(split.train.item_vocabulary) + 1, dtype=np.int32)
    np.testing.assert_allclose(trained.index.vectors, trained.built.network.candidate_tower(items), rtol=1e-6)
    users, histories = np.array([1, 0], np.int32), np.array([[1, 2, 0, 0], [3, 4, 5, 6]], np.int32)
    inputs = {"user": users, "history": histories}
    queries, candidates = (
        trained.built.network.query_tower(inputs).numpy(),
        trained.built.network.candidate_tower(items).numpy(),
    )
    np.testing.assert_allclose(trained.query_model(inputs), queries, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(trained.score(users, histories), queries @ candidates.T, rtol=1e-4, atol=1e-5)

"""Training in epochs: learning rates, and the moving average of the weights."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from tfllmrec import Recommender
from tfllmrec.data import Split
from tfllmrec.models.base.trainer import learning_rate


@pytest.mark.parametrize(
    ("schedule", "warmup", "rates"),
    [
        ("constant", 10, {0: 0.02, 5: 0.11, 10: 0.2, 11: 0.2, 110: 0.2, 999: 0.2}),
        ("cosine", 0, {0: 0.2, 55: 0.1, 110: 0, 120: 0, 27.5: 0.1 + 0.1 * np.sqrt(0.5)}),
        ("cosine", 10, {0: 0, 5: 0.1, 10: 0.2, 60: 0.1, 35: 0.1 + 0.1 * np.sqrt(0.5), 110: 0, 111: 0}),
        ("cosine", 110, {0: 0, 55: 0.1, 110: 0.2}),
    ],
    ids=["warm-up", "cosine", "both", "warm-up only"],
)
def test_learning_rates(schedule: str, warmup: int, rates: dict[float, float]) -> None:
    rate = learning_rate(0.2, schedule, warmup, 110)
    assert {step: float(rate(step)) for step in rates} == pytest.approx(rates, abs=1e-6)


def test_a_constant_learning_rate_is_a_number() -> None:
    assert learning_rate(0.2, "constant", 0, 110) == 0.2


class Watch(keras.callbacks.Callback):
    """Average the weights of every step independently, and record the state at the end of every epoch."""

    def __init__(self, momentum: float) -> None:
        super().__init__()
        self.momentum = momentum
        self.average: list[np.ndarray] = []
        self.steps: list[list[np.ndarray]] = []
        self.epochs: list[dict[str, Any]] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        weights = [weight.numpy() for weight in self.model.trainable_weights]
        self.steps.append(weights)
        pairs = zip(self.average or weights, weights, strict=True)
        self.average = [self.momentum * average + (1 - self.momentum) * weight for average, weight in pairs]

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        self.epochs.append(
            {
                "names": [weight.path.split("/")[-1] for weight in self.model.trainable_weights],
                "weights": [weight.numpy() for weight in self.model.trainable_weights],
                "average": self.average,
                "index": self.built.index.vectors.numpy(),
                "rate": float(self.model.optimizer.learning_rate),
                "steps": int(self.model.optimizer.iterations),
                "decay": self.model.optimizer.weight_decay,
            }
        )


FAMILIES = {
    "next_item": {
        "units": 8,
        "pooling_heads": 0,
        "hidden_units": 0,
        "warmup": 1,
        "schedule": "cosine",
        "batch_size": 16,
        "epochs": 3,
    },
    "two_tower": {"warmup": 2, "schedule": "constant", "batch_size": 100, "epochs": 3},
}


@pytest.fixture(scope="module", params=FAMILIES)
def watched(request: pytest.FixtureRequest, split: Split, make: Callable[..., Recommender]) -> Watch:
    """A fit at a learning rate so high that the last epoch is not the best."""
    options = {"learning_rate": 0.4, "ema": 0.5, "weight_decay": 0.3, "patience": 9, "content": False}
    watch = Watch(0.5)
    watch.recommender = make(request.param, **options, **FAMILIES[request.param])
    family = type(watch.recommender)
    serve = family._serve

    def recorded(*arguments: Any) -> Any:
        watch.built = serve(*arguments)
        return watch.built

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(family, "_serve", recorded)
        watch.recommender.fit(split.train, split.validation, callbacks=[watch], verbose=0)
    return watch


def test_the_averaged_weights_are_evaluated(watched: Watch) -> None:
    assert len(watched.epochs) == 3
    for epoch in watched.epochs:
        for weight, average in zip(epoch["weights"], epoch["average"], strict=True):
            np.testing.assert_allclose(weight, average, rtol=1e-4, atol=1e-6)
        own = epoch["weights"][epoch["names"].index("id_vectors")]
        np.testing.assert_allclose(epoch["index"][1:], own[1:], rtol=1e-6)  # read by the validation


def test_training_continues_from_the_weights_that_are_not_averaged(watched: Watch) -> None:
    """The first step of an epoch is no larger than other steps."""
    steps = len(watched.steps) // 3
    last, following = watched.steps[steps - 1], watched.steps[steps]
    rate = max(epoch["rate"] for epoch in watched.epochs[:2])
    for before, after in zip(last, following, strict=True):
        assert np.abs(after - before).max() < 3 * rate
    averaged = watched.epochs[0]["weights"]
    assert max(np.abs(average - weight).max() for average, weight in zip(averaged, last, strict=True)) > 0.02


def test_the_averaged_weights_of_the_best_epoch_are_kept(watched: Watch, split: Split) -> None:
    values = watched.recommender.training_log["val_ndcg@10"]
    assert max(values) > values[-1] + 0.01
    best = watched.epochs[int(np.argmax(values))]
    for weight, kept in zip(watched.model.trainable_weights, best["weights"], strict=True):
        np.testing.assert_array_equal(weight, kept)
    np.testing.assert_array_equal(watched.recommender.index.vectors, best["index"])
    assert watched.recommender.evaluate(split.validation)["ndcg@10"] == pytest.approx(max(values), abs=1e-6)


def test_options_reach_the_optimizer(watched: Watch) -> None:
    steps = len(watched.steps) // 3
    assert steps > 1
    assert [epoch["steps"] for epoch in watched.epochs] == [steps, 2 * steps, 3 * steps]
    assert {epoch["decay"] for epoch in watched.epochs} == {0.3}
    rates = [epoch["rate"] for epoch in watched.epochs]
    if watched.recommender.family == "next_item":  # warm-up in one epoch, decay to 0 in two
        assert rates == pytest.approx([0.4, 0.2, 0], abs=1e-6)
    else:  # warm-up in two epochs, then constant
        first = 0.4 / (2 * steps)
        assert rates == pytest.approx([first + (0.4 - first) / 2, 0.4, 0.4], abs=1e-6)

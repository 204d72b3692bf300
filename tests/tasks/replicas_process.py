"""Subprocess of `test_replicas`: the step of every task on one replica and on two, with the same global batch.

    replicas_process.py NAME...

Prints a line of JSON for every name: the logged losses of both, the size of the step, and the largest difference.
"""

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

sys.path.insert(0, str(Path(__file__).parents[1]))

from small_data import small_data, small_scenarios

from tfllmrec import Dataset, MultiTask, NextItem, Recommender, TwoTower
from tfllmrec.models.base.trainer import FitContext, Trainer
from tfllmrec.tasks import negatives
from tfllmrec.tasks.ranking import RankingModel, RankingTask
from tfllmrec.tasks.retrieval import Retrieval, RetrievalModel

# Before the modules below create tensors.
[CPU] = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(CPU, [tf.config.LogicalDeviceConfiguration()] * 2)
STRATEGY = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])

ITEMS, ROWS = 12, 10
RANDOM = np.random.default_rng(0)
COUNTS = np.arange(ITEMS + 1)
TARGETS = RANDOM.integers(1, ITEMS + 1, ROWS).astype(np.int32)
CANDIDATES = RANDOM.permuted(np.tile(np.arange(1, 7), (ROWS, 1)), axis=1).astype(np.int32)
CANDIDATES[:3, 4:] = 0
"""Lists of 6 candidates and, on the first replica, some of 4."""
POSITIONS = RANDOM.integers(0, 4, ROWS)
"""Positions of the targets in the lists."""


def embedding(width: int) -> keras.layers.Embedding:
    return keras.layers.Embedding(ITEMS + 1, width, keras.initializers.RandomNormal(1.0, seed=1), "l2")


def retrieval(sampler: negatives.NegativeSampler, **options: Any) -> Callable[[], tuple[keras.Model, Any, Any]]:
    def make() -> tuple[keras.Model, Any, Any]:
        index = keras.Input((), dtype="int32")
        towers = [keras.Model(index, embedding(4)(index)) for _ in range(2)]
        return RetrievalModel(*towers, Retrieval(**options), sampler), np.arange(1, ROWS + 1), TARGETS

    return make


def ranking(objective: Any) -> Callable[[], tuple[keras.Model, Any, Any]]:
    def make() -> tuple[keras.Model, Any, Any]:
        candidates = keras.Input((None,), dtype="int32", name="candidates")
        scores = embedding(1)(candidates)[..., 0]
        labels = np.eye(6, dtype=np.float32)[POSITIONS]
        ranker = keras.Model({"candidates": candidates}, scores)
        return RankingModel(ranker, RankingTask(objective)), {"candidates": CANDIDATES}, labels

    return make


MODELS = {
    "in_batch": retrieval(negatives.in_batch(COUNTS)),
    "in_batch bpr": retrieval(negatives.in_batch(COUNTS), loss="bpr"),
    "mixed": retrieval(negatives.mixed(COUNTS, 5, seed=3)),
    "sampled": retrieval(negatives.sampled(COUNTS, 5, seed=3)),
    "full": retrieval(negatives.full(COUNTS)),
    "hard negatives": retrieval(negatives.in_batch(COUNTS), num_hard_negatives=3),
    "listwise": ranking("listwise"),
    "pointwise": ranking("pointwise"),
    "rating": ranking("rating"),
}
NARROW = {"dim": 8, "history_length": 4, "batch_size": 6, "epochs": 1, "seed": 1, "dropout": 0.0}
TOWERS = NARROW | {"hidden_units": 8, "feature_dropout": 0.0, "candidate_dropout": 0.0, "negatives": "in_batch"}
RECURRENT = NARROW | {"units": 6, "pooling_heads": 2, "input_dropout": 0.0}
SHARED = RECURRENT | {"expert_units": 4, "pair_dropout": 0.0}
TASKS = "next_item,retrieval,like,rating,interests"
FAMILIES: dict[str, tuple[Recommender, Callable[[], Dataset]]] = {
    "two_tower": (TwoTower(**TOWERS), small_data),
    "next_item": (NextItem(hidden_units=4, **RECURRENT), small_data),
    "next_item sampled": (NextItem(hidden_units=4, negatives="sampled", num_negatives=8, **RECURRENT), small_data),
    "multi_task": (MultiTask(tasks=TASKS, **SHARED), small_scenarios),
    "multi_task learnt": (MultiTask(tasks="next_item,rating", weighting="uncertainty", **SHARED), small_scenarios),
}


def step_of(model: Callable[[], tuple[keras.Model, Any, Any]], strategy: tf.distribute.Strategy) -> tuple[Any, ...]:
    with strategy.scope():
        trained, x, y = model()
        trained.build(None) if not trained.built else None
        trained.compile(keras.optimizers.SGD(0.1), jit_compile=False)
    before = [weight.numpy() for weight in trained.trainable_weights]
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(ROWS)
    log = trained.fit(data, verbose=0, shuffle=False).history
    return log["loss"][0], before, [weight.numpy() for weight in trained.trainable_weights]


def fit_of(recommender: Recommender, data: Callable[[], Dataset], strategy: tf.distribute.Strategy) -> tuple[Any, ...]:
    with strategy.scope():
        fitted = recommender.fit_in_context(data(), None, FitContext(verbose=0))
    weights = [weight.numpy() for weight in fitted.model.trainable_weights]
    return fitted.training_log["loss"][0], [np.zeros_like(weight) for weight in weights], weights


def same_epoch(fit: Callable[..., Any]) -> Callable[..., Any]:
    """Train on the batches of the first epoch, however often Keras iterates over them."""

    def fit_on_first(self: Trainer, model: keras.Model, batches: Any, *args: Any, **options: Any) -> Any:
        data = batches(0)
        examples = list(data.take(len(data) - 1))  # whole batches, so that the replicas log means of equal weight
        fixed = tf.data.Dataset.from_generator(lambda: iter(examples), output_signature=data.element_spec)
        fixed = fixed.apply(tf.data.experimental.assert_cardinality(len(examples)))
        return fit(self, model, lambda _: fixed, *args, **options)

    return fit_on_first


def report(name: str, run: Callable[[tf.distribute.Strategy], tuple[Any, ...]]) -> None:
    (loss, before, after), (other_loss, _, other) = run(tf.distribute.get_strategy()), run(STRATEGY)
    step = max(float(np.abs(a - b).max()) for a, b in zip(after, before, strict=True))
    difference = max(float(np.abs(a - b).max()) for a, b in zip(after, other, strict=True))
    print(json.dumps({"name": name, "losses": [loss, other_loss], "step": step, "difference": difference}), flush=True)


if __name__ == "__main__":
    Trainer._optimizer = lambda self, steps, epochs: keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.0)
    Trainer.fit = same_epoch(Trainer.fit)
    for name in sys.argv[1:]:
        report(name, partial(step_of, MODELS[name]) if name in MODELS else partial(fit_of, *FAMILIES[name]))

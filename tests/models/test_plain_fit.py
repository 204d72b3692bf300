"""The towers and the retrieval task in a plain `keras.Model`."""

from typing import Any

import keras
import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf

from tfllmrec.layers.items import ItemEmbedding
from tfllmrec.models.two_tower.network import candidate_tower, query_encoder, query_tower
from tfllmrec.tasks.negatives import full
from tfllmrec.tasks.retrieval import Retrieval, RetrievalModel

ITEMS, LENGTH, DIM = 12, 3, 8
RANDOM = np.random.default_rng(0)
LAST = RANDOM.integers(1, ITEMS + 1, 256).astype(np.int32)
QUERIES = {
    "user": RANDOM.integers(0, 5, 256).astype(np.int32),
    "history": np.stack([RANDOM.integers(1, ITEMS + 1, 256), LAST, np.zeros(256)], axis=1).astype(np.int32),
}
COUNTS = np.bincount(LAST, minlength=ITEMS + 1)
NEXT = LAST % ITEMS + 1
"""Item n is followed by item n + 1."""


def towers(tokens: scipy.sparse.csr_array | None = None) -> tuple[keras.Model, keras.Model]:
    keras.utils.set_random_seed(0)
    items = ItemEmbedding(ITEMS, DIM) if tokens is None else ItemEmbedding.with_content(DIM, tokens=tokens)
    encoder = query_encoder(
        dim=DIM, history_length=LENGTH, user_count=4, recent_items=1, pooling_heads=1, hidden_units=16, dropout=0.0
    )
    return query_tower(encoder, items), candidate_tower(items)


class PlainModel(keras.Model):
    """A model that uses two towers and a loss of the package, and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.queries, self.candidates = towers()
        self.retrieval = Retrieval(temperature=0.5)

    def call(self, x: dict[str, tf.Tensor]) -> tf.Tensor:
        return self.queries({"user": x["user"], "history": x["history"]})

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> tf.Tensor:
        return self.retrieval(y_pred, self.candidates(x["item"]), candidate_ids=x["item"])


def assert_learns(losses: list[float]) -> None:
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.7 * losses[0]


def test_plain_keras_models_learn() -> None:
    model = PlainModel()
    model.compile(keras.optimizers.Adam(0.02))
    batches = tf.data.Dataset.from_tensor_slices({**QUERIES, "item": NEXT}).batch(32)
    assert_learns(model.fit(batches, epochs=6, verbose=0).history["loss"])


def test_models_learn_under_a_mirrored_strategy() -> None:
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        model = RetrievalModel(*towers(), Retrieval(), full(COUNTS))
        model.compile(keras.optimizers.Adam(0.02), jit_compile=False)
    batches = tf.data.Dataset.from_tensor_slices((QUERIES, NEXT)).batch(32)
    assert_learns(model.fit(batches, epochs=6, verbose=0).history["loss"])


def test_towers_with_content_compile_with_keras_defaults() -> None:
    tokens = scipy.sparse.csr_array(np.eye(ITEMS + 1, dtype=np.float32)[:, 1:])
    model = RetrievalModel(*towers(tokens), Retrieval(), full(COUNTS))
    model.compile("adam")
    batches = tf.data.Dataset.from_tensor_slices((QUERIES, NEXT)).batch(64)
    assert np.isfinite(model.fit(batches, verbose=0).history["loss"]).all()


def test_jit_compilation_does_not_change_the_loss() -> None:
    losses = []
    for jit in (False, True):
        model = RetrievalModel(*towers(), Retrieval(num_hard_negatives=3), full(COUNTS))
        model.compile("sgd", jit_compile=jit)
        losses.append(model.evaluate(QUERIES, NEXT, batch_size=64, verbose=0))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)

"""BPR and Keras losses in the retrieval task, against NumPy and TFRS."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tfllmrec.errors import InputError
from tfllmrec.tasks.legacy import import_tfrs, legacy_keras
from tfllmrec.tasks.losses import BPR
from tfllmrec.tasks.negatives import Negatives, negative_sampler
from tfllmrec.tasks.retrieval import Retrieval

RANDOM = np.random.default_rng(0)
QUERY = RANDOM.normal(size=(5, 4)).astype(np.float32)
VECTORS = RANDOM.normal(size=(7, 4)).astype(np.float32)
COUNTS = np.array([0, 9, 4, 3, 1, 2, 0])
TARGETS = np.array([1, 2, 1, 5, 3], np.int32)
"""Two queries share a target, which is an accidental hit for each other."""
WEIGHT = np.linspace(0.2, 3, 5, dtype=np.float32)


def bpr_by_numpy(scores: np.ndarray, negative: np.ndarray, weight: np.ndarray | float = 1.0) -> float:
    """BPR query by query, in float64; the positive of query n is column n."""
    losses = []
    for own, (row, others) in enumerate(zip(scores.astype(np.float64), negative, strict=True)):
        losses.append(np.log1p(np.exp(row[others] - row[own])).mean() if others.any() else 0.0)
    return float(np.mean(np.array(losses) * weight))


@pytest.mark.parametrize("negatives", ["in_batch", "mixed", "sampled", "full"])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["unweighted", "weighted"])
def test_bpr_equals_numpy(negatives: Negatives, weight: np.ndarray | None) -> None:
    candidates = negative_sampler(negatives, COUNTS, 8, seed=1)(tf.constant(TARGETS))
    items = candidates.items.numpy()
    scores = QUERY @ VECTORS[items].T / 0.5
    if candidates.sampling_probability is not None:
        scores -= np.log(candidates.sampling_probability.numpy())
    negative = items[None] != TARGETS[:, None]
    if candidates.score_mask is not None:
        negative &= candidates.score_mask.numpy()
    loss = Retrieval(loss="bpr", temperature=0.5)(
        QUERY,
        VECTORS[items],
        candidate_ids=candidates.items,
        candidate_sampling_probability=candidates.sampling_probability,
        score_mask=candidates.score_mask,
        sample_weight=weight,
    )
    assert float(loss) == pytest.approx(bpr_by_numpy(scores, negative, 1 if weight is None else weight), rel=1e-5)


def test_bpr_with_hard_negatives() -> None:
    scores = QUERY @ VECTORS.T
    others = np.where(np.eye(5, 7, dtype=bool), -np.inf, scores)
    hardest = others >= np.sort(others)[:, -2:-1]
    task = Retrieval(loss="bpr", num_hard_negatives=2)
    loss = task(QUERY, VECTORS, candidate_ids=np.arange(7))
    assert float(loss) == pytest.approx(bpr_by_numpy(scores, hardest), rel=1e-5)


def test_bpr_without_negatives_is_zero_with_finite_gradients() -> None:
    query = tf.constant(QUERY)
    with tf.GradientTape() as tape:
        tape.watch(query)
        loss = Retrieval(loss="bpr")(query, VECTORS[:5], candidate_ids=tf.ones(5, tf.int32))
    assert float(loss) == 0
    np.testing.assert_array_equal(tape.gradient(loss, query), np.zeros_like(QUERY))


def test_bpr_gradient() -> None:
    scores = tf.constant([[1.0, 3.0, -1.0]])
    with tf.GradientTape() as tape:
        tape.watch(scores)
        loss = BPR()(tf.constant([[0.0, 1.0, 0.0]]), scores)
    sigmoid = 1 / (1 + np.exp([2.0, 4.0])) / 2
    expected = [sigmoid[0], -sigmoid.sum(), sigmoid[1]]
    np.testing.assert_allclose(tape.gradient(loss, scores)[0], expected, rtol=1e-5)


def by_tfrs(loss: Any) -> float:
    """Return the value of TFRS' own task, built under Keras 2 and called eagerly."""
    with legacy_keras():
        task = import_tfrs().tasks.Retrieval(loss=loss, remove_accidental_hits=True)
    return float(task(QUERY, VECTORS, candidate_ids=[1, 2, 1, 3, 4, 5, 2], sample_weight=WEIGHT))


def by_task(loss: Any) -> float:
    return float(Retrieval(loss=loss)(QUERY, VECTORS, candidate_ids=[1, 2, 1, 3, 4, 5, 2], sample_weight=WEIGHT))


@pytest.mark.parametrize("library", [keras, tf_keras], ids=["keras 3", "keras 2"])
def test_a_keras_loss_equals_tfrs(library: Any) -> None:
    mean, total = (library.losses.CategoricalHinge(reduction=name) for name in ("sum_over_batch_size", "sum"))
    assert by_task(mean) == pytest.approx(by_tfrs(mean), rel=1e-6)
    assert by_task(total) == pytest.approx(by_tfrs(total) / len(QUERY), rel=1e-6)
    assert by_task(mean) == pytest.approx(by_task(total), rel=1e-6)


@pytest.mark.parametrize(
    ("name", "loss"),
    [
        ("softmax", tf_keras.losses.CategoricalCrossentropy(from_logits=True)),
        ("binary_crossentropy", tf_keras.losses.BinaryCrossentropy(from_logits=True)),
        ("binary_focal_crossentropy", tf_keras.losses.BinaryFocalCrossentropy(from_logits=True)),
        ("categorical_focal_crossentropy", tf_keras.losses.CategoricalFocalCrossentropy(from_logits=True)),
        ("categorical_hinge", tf_keras.losses.CategoricalHinge()),
        ("hinge", tf_keras.losses.Hinge()),
        ("squared_hinge", tf_keras.losses.SquaredHinge()),
    ],
)
def test_named_losses_equal_keras_2(name: str, loss: Any) -> None:
    assert by_task(name) == pytest.approx(by_tfrs(loss), rel=1e-5)


CHOICES = (
    "choose softmax, bpr, binary_crossentropy, binary_focal_crossentropy, categorical_focal_crossentropy, "
    "categorical_hinge, hinge, squared_hinge, or pass a Keras loss"
)


def test_unknown_names_raise() -> None:
    with pytest.raises(InputError, match=f"^loss: 'bprr' is unknown; {CHOICES}$"):
        Retrieval(loss="bprr")


@pytest.mark.parametrize("loss", [7, keras.losses.CategoricalHinge(reduction=None)], ids=["a number", "no reduction"])
def test_other_objects_raise(loss: Any) -> None:
    with pytest.raises(InputError, match=r"is not a Keras loss with a reduction; pass one, or a name$"):
        Retrieval(loss=loss)

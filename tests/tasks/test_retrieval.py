"""Losses equal TFRS and NumPy, eagerly and inside Keras 3 `fit`."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfllmrec.errors import InputError
from tfllmrec.layers.items import ItemEmbedding
from tfllmrec.tasks.legacy import import_tfrs, legacy_keras
from tfllmrec.tasks.negatives import in_batch
from tfllmrec.tasks.retrieval import Retrieval, RetrievalModel

QUERIES, EXTRA, DIM = 6, 3, 4
RANDOM = np.random.default_rng(0)
QUERY = RANDOM.normal(size=(QUERIES, DIM)).astype(np.float32)
CANDIDATE = RANDOM.normal(size=(QUERIES + EXTRA, DIM)).astype(np.float32)
DISTINCT = np.arange(1, QUERIES + EXTRA + 1, dtype=np.int32)
REPEATED = np.array([1, 2, 1, 3, 2, 1, 3, 9, 1], np.int32)
PROBABILITY = np.linspace(0.01, 0.5, QUERIES + EXTRA, dtype=np.float32)
MASK = np.eye(QUERIES, QUERIES + EXTRA, dtype=bool) | (RANDOM.random((QUERIES, QUERIES + EXTRA)) < 0.5)
WEIGHT = np.linspace(0.2, 3, QUERIES, dtype=np.float32)

CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": ({}, {}),
    "no ids needed": ({"remove_accidental_hits": False}, {"candidate_ids": None}),
    "temperature": ({"temperature": 0.1}, {}),
    "logQ": ({}, {"candidate_sampling_probability": PROBABILITY}),
    "accidental hits": ({}, {"candidate_ids": REPEATED}),
    "accidental hits kept": ({"remove_accidental_hits": False}, {"candidate_ids": REPEATED}),
    "hard negatives": ({"num_hard_negatives": 2}, {}),
    "score mask": ({}, {"score_mask": MASK}),
    "sample weight": ({}, {"sample_weight": WEIGHT}),
    "everything": (
        {"temperature": 0.5, "num_hard_negatives": 3},
        {
            "candidate_ids": REPEATED,
            "candidate_sampling_probability": PROBABILITY,
            "score_mask": MASK,
            "sample_weight": WEIGHT,
        },
    ),
}


def by_numpy(
    *,
    temperature: float = 1.0,
    remove_accidental_hits: bool = True,
    num_hard_negatives: int | None = None,
    candidate_ids: np.ndarray | None = None,
    candidate_sampling_probability: np.ndarray | float = 1.0,
    score_mask: np.ndarray | bool = True,
    sample_weight: np.ndarray | float = 1.0,
) -> float:
    """The mean over the queries of -log softmax, in float64."""
    logits = QUERY.astype(np.float64) @ CANDIDATE.T / temperature - np.log(candidate_sampling_probability)
    own = np.eye(*logits.shape, dtype=bool)
    if remove_accidental_hits:
        logits[(candidate_ids[:QUERIES, None] == candidate_ids) & ~own] = -np.inf
    logits[~np.broadcast_to(score_mask, logits.shape)] = -np.inf
    positive, negatives = logits[own], np.sort(np.where(own, -np.inf, logits))[:, ::-1][:, :num_hard_negatives]
    losses = np.log(np.exp(positive) + np.exp(negatives).sum(axis=1)) - positive
    return float(np.sum(losses * sample_weight) / QUERIES)


def by_tfrs(options: dict[str, Any], arguments: dict[str, Any]) -> float:
    """The sum of TFRS' own task, built under Keras 2 and called eagerly, divided by the number of queries."""
    tfrs = import_tfrs()
    with legacy_keras():
        task = tfrs.tasks.Retrieval(**{"remove_accidental_hits": True, **options})
    return float(task(QUERY, CANDIDATE, compute_metrics=False, **arguments)) / QUERIES


def in_fit(task: Retrieval, arguments: dict[str, Any]) -> float:
    """Return the loss that one step of Keras 3 `fit` logs; all arguments of the task come from the batch."""

    class Model(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.scale = self.add_weight(shape=(), initializer="ones")

        def call(self, x: dict[str, tf.Tensor]) -> tf.Tensor:
            return x["query"] * self.scale

        def compute_loss(
            self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
        ) -> tf.Tensor:
            return task(y_pred, **{name: value for name, value in x.items() if name != "query"})

    features = {name: value for name, value in arguments.items() if value is not None}
    batch = {"query": QUERY, "candidate_embeddings": CANDIDATE, **features}
    model = Model()
    model.compile("sgd")
    return model.fit(tf.data.Dataset.from_tensors((batch,)), verbose=0).history["loss"][0]


@pytest.mark.parametrize("case", CASES)
def test_losses_equal_tfrs(case: str) -> None:
    options, special = CASES[case]
    arguments = {"candidate_ids": DISTINCT, **special}
    expected = by_tfrs(options, arguments)
    task = Retrieval(**options)
    assert by_numpy(**options, **arguments) == pytest.approx(expected, rel=1e-5)
    assert float(task(QUERY, CANDIDATE, **arguments)) == pytest.approx(expected, rel=1e-6)
    assert in_fit(task, arguments) == pytest.approx(expected, rel=1e-5)


def test_bpr_in_fit() -> None:
    task, arguments = Retrieval(loss="bpr"), {"candidate_ids": REPEATED, "sample_weight": WEIGHT}
    assert in_fit(task, arguments) == pytest.approx(float(task(QUERY, CANDIDATE, **arguments)), rel=1e-6)


def test_cases_have_different_losses() -> None:
    losses = [by_numpy(**options, **{"candidate_ids": DISTINCT, **special}) for options, special in CASES.values()]
    assert len({round(loss, 4) for loss in losses}) == len(CASES) - 2  # three cases are equal


def test_logq_lowers_popular_negatives() -> None:
    """A frequent candidate is often a negative, so its logit is lowered."""
    query, candidates = np.ones((1, 1), np.float32), np.ones((2, 1), np.float32)

    def loss(own: float, other: float) -> float:
        probability = np.array([own, other], np.float32)
        ids = np.array([1, 2])
        return float(Retrieval()(query, candidates, candidate_ids=ids, candidate_sampling_probability=probability))

    assert loss(0.1, 0.1) == pytest.approx(np.log(2))
    assert loss(0.1, 0.9) == pytest.approx(np.log(1 + 1 / 9))
    assert loss(0.9, 0.1) == pytest.approx(np.log(1 + 9))


def test_keyword_arguments() -> None:
    named = {"query_embeddings": QUERY, "candidate_embeddings": CANDIDATE, "candidate_ids": DISTINCT}
    assert float(Retrieval()(**named)) == pytest.approx(by_numpy(candidate_ids=DISTINCT), rel=1e-5)


def test_order_of_keyword_arguments_is_ignored() -> None:
    named = {"candidate_embeddings": CANDIDATE, "query_embeddings": QUERY, "candidate_ids": DISTINCT}
    assert float(Retrieval()(**named)) == pytest.approx(by_numpy(candidate_ids=DISTINCT), rel=1e-5)


def test_accidental_hits_need_ids() -> None:
    with pytest.raises(ValueError, match="candidate ids must be supplied"):
        Retrieval()(QUERY, CANDIDATE)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "float64"])
def test_towers_of_another_precision_are_trained(policy):
    def loss(dtype):
        index = keras.Input((), dtype="int32")
        initial = keras.initializers.RandomNormal(seed=1)
        towers = [keras.Model(index, keras.layers.Embedding(9, 4, initial, dtype=dtype)(index)) for _ in range(2)]
        model = RetrievalModel(*towers, Retrieval(), in_batch(np.arange(9)))
        model.compile(keras.optimizers.SGD(0.1), jit_compile=False)
        log = model.fit(np.arange(1, 5), np.arange(5, 9), verbose=0)
        assert np.isfinite(towers[0].get_weights()[0]).all()
        return log.history["loss"][0]

    assert loss(policy) == pytest.approx(loss("float32"), rel=2e-2)


def test_layers_of_another_precision_are_refused():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        with pytest.raises(InputError, match=r"^ItemEmbedding computes in float32, not bfloat16: build"):
            ItemEmbedding(3, 2)
    finally:
        keras.config.set_dtype_policy("float32")

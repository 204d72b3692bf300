"""The next-item task against NumPy, and its model against a loss computed position by position."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfllmrec.layers.encoders.recurrent import history_encoder, query_head
from tfllmrec.layers.items import ItemBias, ItemEmbedding
from tfllmrec.models.next_item.network import candidate_model, query_model
from tfllmrec.tasks.legacy import import_tfrs, legacy_keras
from tfllmrec.tasks.negatives import Candidates, NegativeSampler, full, mixed
from tfllmrec.tasks.next_item import NextItemModel, NextItemTask

RANDOM = np.random.default_rng(0)
QUERY = RANDOM.normal(size=(6, 4)).astype(np.float32)
CANDIDATE = RANDOM.normal(size=(9, 4)).astype(np.float32)
TARGETS = np.array([4, 0, 4, 8, 2, 1], np.int32)
BIAS = np.linspace(-1, 2, 9, dtype=np.float32)
PROBABILITY = np.linspace(0.5, 0.01, 9, dtype=np.float32)
REPEATED = np.array([1, 2, 1, 3, 2, 1, 3, 9, 1], np.int32)
EXCLUDED = np.array([[3, -1, -1], [8, 5, 3], [-1, -1, -1], [0, -1, 0], [-1, 7, 8], [0, 2, 3]], np.int32)
MASK = (np.random.default_rng(1).random((6, 9)) < 0.5) | (np.arange(9) == TARGETS[:, None])
WEIGHT = np.linspace(0.2, 3, 6, dtype=np.float32)

CASES: dict[str, tuple[float, dict[str, Any]]] = {
    "plain": (0.0, {}),
    "bias": (0.0, {"candidate_bias": BIAS}),
    "logQ": (0.0, {"candidate_sampling_probability": PROBABILITY}),
    "accidental hits": (0.0, {"candidate_ids": REPEATED}),
    "excluded candidates": (0.0, {"excluded_candidates": EXCLUDED}),
    "score mask": (0.0, {"score_mask": MASK}),
    "sample weight": (0.0, {"sample_weight": WEIGHT}),
    "label smoothing": (0.3, {}),
    "everything": (
        0.3,
        {
            "candidate_bias": BIAS,
            "candidate_sampling_probability": PROBABILITY,
            "candidate_ids": REPEATED,
            "excluded_candidates": EXCLUDED,
            "score_mask": MASK,
            "sample_weight": WEIGHT,
        },
    ),
}


def by_numpy(
    label_smoothing: float,
    *,
    candidate_bias: np.ndarray | float = 0.0,
    candidate_sampling_probability: np.ndarray | float = 1.0,
    candidate_ids: np.ndarray | None = None,
    excluded_candidates: np.ndarray | None = None,
    score_mask: np.ndarray = np.ones((6, 9), bool),  # noqa: B008
    sample_weight: np.ndarray | None = None,
) -> float:
    """The loss query by query, in float64."""
    scores = QUERY.astype(np.float64) @ CANDIDATE.T + candidate_bias - np.log(candidate_sampling_probability)
    losses = []
    for query, own in enumerate(TARGETS):
        seen = [column for column in (() if excluded_candidates is None else excluded_candidates[query]) if column >= 0]
        hits = [] if candidate_ids is None else np.flatnonzero(candidate_ids == candidate_ids[own])
        visible = [
            column for column in np.flatnonzero(score_mask[query]) if column == own or column not in {*seen, *hits}
        ]
        probabilities = np.exp(scores[query, visible]) / np.exp(scores[query, visible]).sum()
        labels = (1 - label_smoothing) * (np.array(visible) == own) + label_smoothing / len(visible)
        losses.append(-np.sum(labels * np.log(probabilities)))
    return float(np.average(losses, weights=sample_weight))


@pytest.mark.parametrize("case", CASES)
def test_task_equals_numpy(case: str) -> None:
    label_smoothing, arguments = CASES[case]
    task = NextItemTask(label_smoothing=label_smoothing)
    expected = by_numpy(label_smoothing, **arguments)
    assert float(task(QUERY, CANDIDATE, TARGETS, **arguments)) == pytest.approx(expected, rel=1e-5)
    named = {"targets": TARGETS, "candidate_embeddings": CANDIDATE, "query_embeddings": QUERY, **arguments}
    assert float(task(**named, compute_metrics=False)) == pytest.approx(expected, rel=1e-5)


def test_precision_reaches_the_loss() -> None:
    exact, rounded = (
        float(NextItemTask(precision=name)(QUERY, CANDIDATE, TARGETS)) for name in ("float32", "bfloat16")
    )
    assert exact != rounded == pytest.approx(exact, rel=0.01)


def test_cases_have_different_losses() -> None:
    assert len({round(by_numpy(smoothing, **arguments), 3) for smoothing, arguments in CASES.values()}) == len(CASES)


def test_zero_sampling_probability_gives_a_finite_loss() -> None:
    probability = np.array([0, *PROBABILITY[1:]], np.float32)
    assert np.isfinite(NextItemTask()(QUERY, CANDIDATE, TARGETS, candidate_sampling_probability=probability))


def test_tfrs_task_is_a_keras_2_layer() -> None:
    import tf_keras

    task = NextItemTask().tfrs_task
    assert isinstance(task, import_tfrs().tasks.Task)
    assert isinstance(task, tf_keras.layers.Layer)
    assert float(task(QUERY, CANDIDATE, TARGETS)) == pytest.approx(by_numpy(0.0), rel=1e-5)
    assert NextItemTask().metrics == []


def test_task_trains_a_tfrs_model() -> None:
    """A Keras 2 model learns that item n + 1 follows item n."""
    tfrs = import_tfrs()
    with legacy_keras():

        class Model(tfrs.Model):
            def __init__(self) -> None:
                super().__init__()
                self.queries, self.items = tf.keras.layers.Embedding(13, 8), tf.keras.layers.Embedding(13, 8)
                self.task = NextItemTask().tfrs_task

            def compute_loss(self, inputs: tuple[tf.Tensor, tf.Tensor], training: bool = False) -> tf.Tensor:
                last, following = inputs
                return self.task(self.queries(last), self.items(tf.range(13)), following)

        tf.keras.utils.set_random_seed(0)
        model = Model()
        model.compile(tf.keras.optimizers.Adam(0.05))
        last = np.tile(np.arange(12, dtype=np.int32), 4)
        losses = model.fit(tf.data.Dataset.from_tensors((last, last + 1)).repeat(10), epochs=3, verbose=0).history
    assert losses["total_loss"][-1] < 0.3 * losses["total_loss"][0]


ITEMS, LENGTH, DIM = 7, 5, 4
HISTORY = np.array([[3, 1, 3, 2, 6], [5, 4, 0, 0, 0], [7, 7, 1, 2, 0], [2, 0, 0, 0, 0]], np.int32)
FOLLOWING = np.array([[1, 3, 2, 6, 4], [4, 1, 0, 0, 0], [7, 1, 2, 7, 0], [0, 0, 0, 0, 0]], np.int32)
"""Items repeat (3, 7), also in sequence; rows are padded; the only item of the last row has no next item."""
POSITIONS = np.argwhere(FOLLOWING)


def model_of(
    items: keras.layers.Layer | None = None,
    *,
    item_count: int = ITEMS,
    negatives: NegativeSampler | None = None,
    hide_seen: bool = True,
    unseen_items: tuple[int, ...] = (),
    input_dropout: float = 0.0,
    candidate_dropout: float = 0.0,
    query_dropout: float = 0.0,
) -> tuple[NextItemModel, keras.Model, keras.Model]:
    """Return the training model, the query model and the candidate model, with weights so large that scores differ."""
    keras.utils.set_random_seed(0)
    items = items or ItemEmbedding(item_count, DIM)
    encoder = history_encoder(dim=DIM, history_length=LENGTH, units=6, input_dropout=input_dropout, dropout=0.0)
    queries = query_model(items, encoder, query_head(6, DIM, query_dropout=query_dropout))
    candidates = candidate_model(items, ItemBias(item_count, name="bias"), candidate_dropout)
    random = np.random.default_rng(1)
    for weight in (items.weights[0], candidates.get_layer("bias").bias):
        weight.assign(random.normal(size=weight.shape))
    counts = np.where(np.isin(np.arange(item_count + 1), [0, *unseen_items]), 0, 5)
    trained = NextItemModel(
        queries, candidates, NextItemTask(), item_counts=counts, negatives=negatives, hide_seen=hide_seen
    )
    return trained, queries, candidates


def loss_of(model: NextItemModel, weight: np.ndarray | None = None, training: bool = False) -> float:
    x = {"history": HISTORY}
    weight = None if weight is None else tf.constant(weight)
    return float(model.compute_loss(x, FOLLOWING, model(x, training=training), weight, training=training))


def scores_by_position(queries: keras.Model, candidates: keras.Model) -> np.ndarray:
    """Score all items at every position, from histories that end there: [positions, items + 1]."""
    ended = np.stack([np.where(np.arange(LENGTH) <= position, HISTORY[row], 0) for row, position in POSITIONS])
    side = candidates(np.arange(candidates.get_layer("bias").item_count + 1))
    return queries({"history": ended}).numpy().astype(np.float64) @ side["candidate"].numpy().T + side["bias"].numpy()


def by_position(
    queries: keras.Model, candidates: keras.Model, hide_seen: bool, unseen_items: tuple[int, ...] = ()
) -> np.ndarray:
    losses = []
    scores = scores_by_position(queries, candidates)
    for (row, position), own in zip(POSITIONS, scores, strict=True):
        target = FOLLOWING[row, position]
        seen = {*HISTORY[row, : position + 1].tolist()} - {target} if hide_seen else set()
        visible = [item for item in range(1, len(own)) if item not in {*seen, *unseen_items}]
        losses.append(np.log(np.exp(own[visible]).sum()) - own[target])
    return np.array(losses)


@pytest.mark.parametrize("hide_seen", [True, False])
def test_loss_is_the_mean_over_positions(hide_seen: bool) -> None:
    model, *sides = model_of(hide_seen=hide_seen)
    losses = by_position(*sides, hide_seen)
    assert len(losses) == 11
    assert loss_of(model) == pytest.approx(losses.mean(), rel=1e-5)
    assert by_position(*sides, not hide_seen).mean() != pytest.approx(losses.mean(), rel=0.01)


@pytest.mark.parametrize("hide_seen", [True, False])
def test_items_without_interactions_are_not_negatives(hide_seen: bool) -> None:
    """As negatives they would only learn low scores, and new items would never be recommended."""
    unseen_items = (ITEMS + 1, ITEMS + 2)
    model, *sides = model_of(item_count=ITEMS + 2, hide_seen=hide_seen, unseen_items=unseen_items)
    losses = by_position(*sides, hide_seen, unseen_items)
    assert loss_of(model) == pytest.approx(losses.mean(), rel=1e-5)
    assert by_position(*sides, hide_seen).mean() != pytest.approx(losses.mean(), rel=0.01)
    bias = sides[1].get_layer("bias").bias
    with tf.GradientTape() as tape:
        loss = model.compute_loss({"history": HISTORY}, FOLLOWING, model({"history": HISTORY}))
    gradient = tape.gradient(loss, [bias.value])[0].numpy()
    np.testing.assert_array_equal(gradient[[0, *unseen_items]], 0)
    assert (gradient[1 : ITEMS + 1] != 0).all()


WEIGHTS = {
    "rows": np.array([1, 0.5, 3, 9], np.float32),
    "positions": RANDOM.random(HISTORY.shape).astype(np.float32),
}


@pytest.mark.parametrize("kind", WEIGHTS)
def test_weights_of_rows_and_positions(kind: str) -> None:
    model, *sides = model_of()
    weights = WEIGHTS[kind]
    position_weights = weights[POSITIONS[:, 0]] if weights.ndim == 1 else weights[POSITIONS[:, 0], POSITIONS[:, 1]]
    expected = np.average(by_position(*sides, hide_seen=True), weights=position_weights)
    assert loss_of(model, weights) == pytest.approx(expected, rel=1e-5)
    model.compile("sgd")
    logs = model.evaluate({"history": HISTORY}, FOLLOWING, sample_weight=weights, verbose=0, return_dict=True)
    assert logs == {"loss": pytest.approx(expected, rel=1e-5)}


def test_sampled_candidates_are_corrected_and_accidental_hits_hidden() -> None:
    others, probability = np.array([6, 2, 2, 1], np.int32), np.linspace(0.05, 0.9, 15).astype(np.float32)
    model, *sides = model_of(
        negatives=lambda targets: Candidates(tf.concat([targets, others], axis=0), tf.constant(probability))
    )
    scores = scores_by_position(*sides)
    items = np.concatenate([FOLLOWING[tuple(POSITIONS.T)], others])
    losses = []
    for number, target in enumerate(items[:11]):
        visible = (items != target) | (np.arange(15) == number)
        corrected = scores[number, items] - np.log(probability)
        losses.append(np.log(np.exp(corrected[visible]).sum()) - corrected[number])
    assert loss_of(model) == pytest.approx(np.mean(losses), rel=1e-5)


def test_sampled_candidates_approximate_the_full_softmax() -> None:
    """Every item is expected once among the candidates: 11 targets and 289 draws from 300 items."""
    item_count, one_each = 300, np.array([0] + [1] * 300)
    model, *sides = model_of(item_count=item_count, negatives=mixed(one_each, 289, keras.random.SeedGenerator(0)))
    exact = by_position(*sides, hide_seen=False).mean()
    sampled = [loss_of(model) for _ in range(40)]
    assert np.std(sampled) > 0
    assert np.mean(sampled) == pytest.approx(exact, abs=4 * np.std(sampled) / np.sqrt(40) + 0.02)


def test_score_mask_of_the_sampler_is_applied() -> None:
    model, *sides = model_of(negatives=full(np.array([0] + [1] * ITEMS)))
    assert loss_of(model) == pytest.approx(by_position(*sides, hide_seen=False).mean(), rel=1e-5)


@pytest.mark.parametrize("option", ["input_dropout", "query_dropout", "candidate_dropout"])
def test_dropout_is_applied_in_training_only(option: str) -> None:
    model, *_ = model_of(**{option: 0.5})
    plain, *_ = model_of()
    plain.set_weights(model.get_weights())
    assert loss_of(model, training=False) == loss_of(plain)
    assert loss_of(model, training=True) != pytest.approx(loss_of(plain), rel=1e-3)


def test_regularization_is_added_once() -> None:
    items = keras.layers.Embedding(ITEMS + 1, DIM, embeddings_regularizer=keras.regularizers.L2(0.5))
    model, *sides = model_of(items)
    expected = by_position(*sides, hide_seen=True).mean() + 0.5 * np.sum(items.embeddings.numpy() ** 2)
    assert loss_of(model) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("drawn", [False, True], ids=["all items", "sampled items"])
def test_fit_updates_every_weight(drawn: bool) -> None:
    model, *_ = model_of(negatives=mixed(np.array([0] + [1] * ITEMS), 20) if drawn else None)
    before = [weight.numpy() for weight in model.trainable_weights]
    model.compile(keras.optimizers.Adam(0.05))
    batches = tf.data.Dataset.from_tensors(({"history": HISTORY}, FOLLOWING.astype(np.int64))).repeat(15)
    losses = model.fit(batches, epochs=2, verbose=0).history["loss"]
    assert losses[1] < 0.8 * losses[0]
    assert len(before) == 9  # items, biases, three of the LSTM, two of the projection, two of LayerNorm
    assert not any(np.allclose(old, new) for old, new in zip(before, model.trainable_weights, strict=True))

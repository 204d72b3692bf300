"""The interaction head against NumPy: attention from candidates to a history, and the score added to the product."""

from pathlib import Path

import keras
import numpy as np
import pytest

from tfllmrec.layers.item_index import ItemIndex
from tfllmrec.models.bert_ranker.network import TargetAttention, bi_encoder, interaction_head, scores_of_all
from tfllmrec.models.two_tower.network import query_encoder

ITEMS, DIM, LENGTH, HEADS, COUNT = 6, 4, 5, 2, 3
RANDOM = np.random.default_rng(0)
VECTORS = np.concatenate([np.zeros((1, DIM)), RANDOM.normal(size=(ITEMS, DIM))]).astype(np.float32)
HISTORIES = np.array([[1, 2, 3, 4, 5], [6, 2, 0, 0, 0], [3, 0, 0, 0, 0], [0, 0, 0, 0, 0]], np.int32)
"""Oldest first."""
CANDIDATES = np.array([[1, 6, 2], [4, 4, 0], [2, 3, 5], [1, 2, 3]], np.int32)


def most_recent_first(histories: np.ndarray) -> np.ndarray:
    rows = [[item for item in row[::-1] if item] for row in histories]
    return np.array([[*row, *[0] * (histories.shape[1] - len(row))] for row in rows], np.int32)


def read(histories: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return item vectors, newest first, and their mask."""
    items = most_recent_first(histories)
    return VECTORS[items], items > 0


@pytest.fixture
def attention() -> TargetAttention:
    """A layer with random weights."""
    layer = TargetAttention(HEADS)
    layer(*read(HISTORIES), VECTORS[CANDIDATES])
    for weight in layer.weights:
        weight.assign(np.random.default_rng(1).normal(size=weight.shape))
    return layer


def by_numpy(layer: TargetAttention, history: list[int], candidate: int) -> list[float]:
    """Return the output of every head for one candidate and one history, newest first."""
    items, target, outputs = VECTORS[history], VECTORS[candidate], []
    kernel = layer.keys.kernel.numpy().reshape(DIM, HEADS, DIM)
    for head in range(HEADS):
        keys = items @ kernel[:, head] + layer.keys.bias.numpy().reshape(HEADS, DIM)[head]
        fit = keys @ target / np.sqrt(DIM) + layer.age_bias.numpy()[head, : len(history)]
        weights = np.exp(fit) / np.exp(fit).sum()
        outputs.append(float(weights @ (items @ target)))
    return outputs


def test_attention_equals_numpy(attention: TargetAttention) -> None:
    scores = attention(*read(HISTORIES), VECTORS[CANDIDATES]).numpy()
    assert scores.shape == (len(HISTORIES), COUNT, HEADS)
    for row, history in enumerate(HISTORIES):
        items = [item for item in history[::-1].tolist() if item]
        for position, candidate in enumerate(CANDIDATES[row]):
            expected = by_numpy(attention, items, candidate) if items else [0, 0]
            np.testing.assert_allclose(scores[row, position], expected, rtol=1e-4, atol=1e-5)
    assert np.abs(scores[:3, 0]).min() > 1e-3


def test_attention_to_an_empty_history_is_zero(attention: TargetAttention) -> None:
    scores = attention(*read(HISTORIES[3:]), VECTORS[CANDIDATES[3:]]).numpy()
    np.testing.assert_array_equal(scores, 0)


def test_attention_starts_by_age() -> None:
    """Equal keys give decays as weights, one per head."""
    layer, ones = TargetAttention(HEADS), np.ones((1, 4, DIM), np.float32)
    items = ones * np.array([1, 2, 3, 4], np.float32)[:, None]
    layer(items, np.ones((1, 4), bool), ones)
    layer.keys.kernel.assign(np.zeros((DIM, HEADS * DIM)))
    scores = layer(items, np.ones((1, 4), bool), ones[:, :1]).numpy()[0, 0]
    for head, decay in enumerate((0.6, 0.98)):
        weights = decay ** np.arange(4) / (decay ** np.arange(4)).sum()
        assert scores[head] == pytest.approx(weights @ [4, 8, 12, 16], rel=1e-4)


@pytest.fixture
def trained() -> tuple[ItemIndex, keras.Model, keras.Model]:
    """Item vectors, an encoder and a head with random weights."""
    keras.utils.set_random_seed(0)
    index = ItemIndex(ITEMS, DIM)
    index.vectors.assign(VECTORS)
    encoder = query_encoder(
        dim=DIM, history_length=LENGTH, user_count=None, recent_items=2, pooling_heads=2, hidden_units=8
    )
    head = interaction_head(dim=DIM, history_length=LENGTH, pooling_heads=HEADS, hidden_units=8)
    for weight in head.trainable_weights:
        weight.assign(RANDOM.normal(size=weight.shape))
    return index, encoder, head


def request(histories: np.ndarray = HISTORIES) -> dict[str, np.ndarray]:
    return {"user": np.zeros(len(histories), np.int32), "history": histories}


def queries(encoder: keras.Model, histories: np.ndarray = HISTORIES) -> np.ndarray:
    items, present = read(histories)
    return encoder({"user": np.zeros(len(items), np.int32), "items": items, "present": present}).numpy()


def test_an_untrained_head_ranks_as_the_vectors_do(trained: tuple[ItemIndex, keras.Model, keras.Model]) -> None:
    index, encoder, _ = trained
    head = interaction_head(dim=DIM, history_length=LENGTH)
    scores = bi_encoder(index, encoder, head)({**request(), "candidates": CANDIDATES})
    expected = np.einsum("bd,bnd->bn", queries(encoder), VECTORS[CANDIDATES])
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)


def test_a_trained_head_adds_a_perceptron(trained: tuple[ItemIndex, keras.Model, keras.Model]) -> None:
    index, encoder, head = trained
    scores = bi_encoder(index, encoder, head)({**request(), "candidates": CANDIDATES}).numpy()
    weights = {weight.path: weight.numpy() for weight in head.weights}
    attention = head.get_layer("target_attention")
    for row, query in enumerate(queries(encoder)):
        items = [item for item in HISTORIES[row, ::-1].tolist() if item]
        for position, candidate in enumerate(CANDIDATES[row]):
            products = query * VECTORS[candidate]
            attended = by_numpy(attention, items, candidate) if items else [0, 0]
            inner = np.concatenate([products, attended]) @ weights["hidden_units/kernel"] + weights["hidden_units/bias"]
            added = np.maximum(inner, 0) @ weights["added/kernel"] + weights["added/bias"]
            assert scores[row, position] == pytest.approx(products.sum() + added[0], rel=1e-3, abs=1e-4)


def test_ratings_are_the_output_of_the_perceptron_alone() -> None:
    """The perceptron reads the candidate, too, and starts at the mean rating."""
    head = interaction_head(dim=DIM, history_length=LENGTH, pooling_heads=HEADS, hidden_units=8, mean_rating=3.5)
    items, present = read(HISTORIES)
    query = RANDOM.normal(size=(len(HISTORIES), DIM)).astype(np.float32)
    inputs = {"query": query, "items": items, "present": present, "candidates": VECTORS[CANDIDATES]}
    np.testing.assert_array_equal(head(inputs), np.full(CANDIDATES.shape, np.float32(3.5)))
    for weight in head.trainable_weights:
        weight.assign(RANDOM.normal(size=weight.shape))
    weights = {weight.path: weight.numpy() for weight in head.weights}
    products = query[:, None] * VECTORS[CANDIDATES]
    attended = head.get_layer("target_attention")(items, present, VECTORS[CANDIDATES]).numpy()
    inner = np.concatenate([products, attended, VECTORS[CANDIDATES]], axis=-1) @ weights["hidden_units/kernel"]
    expected = np.maximum(inner + weights["hidden_units/bias"], 0) @ weights["added/kernel"] + weights["added/bias"]
    np.testing.assert_allclose(head(inputs), expected[..., 0], rtol=1e-3, atol=1e-4)


def test_scores_of_all_items_equal_candidate_scores(trained: tuple[ItemIndex, keras.Model, keras.Model]) -> None:
    index, encoder, head = trained
    all_items = np.tile(np.arange(ITEMS + 1, dtype=np.int32), (len(HISTORIES), 1))
    expected = bi_encoder(index, encoder, head)({**request(), "candidates": all_items})
    scores = scores_of_all(index, encoder, head)
    assert scores.output.shape == (None, ITEMS + 1)
    np.testing.assert_allclose(scores(request()), expected, rtol=1e-5, atol=1e-6)


def test_scores_do_not_depend_on_padding_or_other_rows(trained: tuple[ItemIndex, keras.Model, keras.Model]) -> None:
    ranker = bi_encoder(*trained)
    scores = ranker({**request(), "candidates": CANDIDATES}).numpy()
    wide = ranker({**request(), "candidates": np.pad(CANDIDATES, [(0, 0), (0, 4)])}).numpy()
    np.testing.assert_allclose(wide[:, :COUNT], scores, rtol=1e-5, atol=1e-6)
    for row in range(len(HISTORIES)):
        alone = ranker({**request(HISTORIES[row : row + 1]), "candidates": CANDIDATES[row : row + 1]})
        np.testing.assert_allclose(alone[0], scores[row], rtol=1e-5, atol=1e-6)
    assert np.isfinite(scores).all()
    assert ranker({**request(), "candidates": CANDIDATES[:, :0]}).shape == (len(HISTORIES), 0)


def test_scores_depend_on_the_order_of_the_history_and_not_of_candidates(
    trained: tuple[ItemIndex, keras.Model, keras.Model],
) -> None:
    ranker = bi_encoder(*trained)
    scores = ranker({**request(), "candidates": CANDIDATES}).numpy()
    reversed_candidates = ranker({**request(), "candidates": CANDIDATES[:, ::-1].copy()}).numpy()
    np.testing.assert_allclose(reversed_candidates[:, ::-1], scores, rtol=1e-5, atol=1e-6)
    backwards = HISTORIES[:1, ::-1].copy()
    assert not np.allclose(ranker({**request(backwards), "candidates": CANDIDATES[:1]}), scores[:1], atol=1e-3)


def test_the_encoder_has_no_dropout_in_training(trained: tuple[ItemIndex, keras.Model, keras.Model]) -> None:
    index, encoder, head = trained
    inputs = {**request(), "candidates": CANDIDATES}
    without_dropout = interaction_head(dim=DIM, history_length=LENGTH, pooling_heads=HEADS, hidden_units=8, dropout=0.0)
    without_dropout.set_weights(head.get_weights())
    ranker = bi_encoder(index, encoder, without_dropout)
    np.testing.assert_allclose(ranker(inputs, training=True), ranker(inputs), rtol=1e-5, atol=1e-6)
    with_dropout = bi_encoder(index, encoder, head)
    assert not np.allclose(with_dropout(inputs, training=True), with_dropout(inputs))


def test_dropout_applies_to_inputs_and_hidden_units() -> None:
    """One hidden unit sums its inputs: dropped inputs change the sum, and a dropped unit removes it."""
    head = interaction_head(dim=DIM, history_length=LENGTH, pooling_heads=1, hidden_units=1, dropout=0.5)
    for weight in head.trainable_weights:
        weight.assign(np.full(weight.shape, "kernel" in weight.path))
    history = {"items": np.ones((200, LENGTH, DIM)), "present": np.ones((200, LENGTH), bool)}
    inputs = {"query": np.ones((200, DIM)), **history, "candidates": np.ones((200, 1, DIM))}
    scores = head(inputs, training=True).numpy()[:, 0] - DIM  # the product of the vectors is not dropped
    assert np.unique(scores.round(3)).size > 4
    assert 0.3 < np.mean(scores == 0) < 0.8
    assert head(inputs).numpy()[:, 0] == pytest.approx(np.full(200, DIM + 2 * DIM), rel=1e-5)


def test_a_head_survives_saving(trained: tuple[ItemIndex, keras.Model, keras.Model], tmp_path: Path) -> None:
    index, encoder, head = trained
    head.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    inputs = {**request(), "candidates": CANDIDATES}
    scores, expected = (bi_encoder(index, encoder, part)(inputs) for part in (loaded, head))
    np.testing.assert_array_equal(scores, expected)

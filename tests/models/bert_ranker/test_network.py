"""The interaction head against NumPy: attention from a candidate to a history, and what it adds to a product."""

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


def newest_first(histories: np.ndarray) -> np.ndarray:
    rows = [[item for item in row[::-1] if item] for row in histories]
    return np.array([[*row, *[0] * (histories.shape[1] - len(row))] for row in rows], np.int32)


def read(histories: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vectors newest first, and where there are any."""
    items = newest_first(histories)
    return VECTORS[items], items > 0


@pytest.fixture
def attention() -> TargetAttention:
    """With weights that nothing depends on by chance."""
    layer = TargetAttention(HEADS)
    layer(*read(HISTORIES), VECTORS[CANDIDATES])
    for weight in layer.weights:
        weight.assign(np.random.default_rng(1).normal(size=weight.shape))
    return layer


def by_numpy(layer: TargetAttention, history: list[int], candidate: int) -> list[float]:
    """One candidate and the items of one history, newest first, head by head."""
    items, target, found = VECTORS[history], VECTORS[candidate], []
    kernel = layer.keys.kernel.numpy().reshape(DIM, HEADS, DIM)
    for head in range(HEADS):
        keys = items @ kernel[:, head] + layer.keys.bias.numpy().reshape(HEADS, DIM)[head]
        fit = keys @ target / np.sqrt(DIM) + layer.age_bias.numpy()[head, : len(history)]
        weights = np.exp(fit) / np.exp(fit).sum()
        found.append(float(weights @ (items @ target)))
    return found


def test_attention_is_that_of_numpy(attention: TargetAttention) -> None:
    found = attention(*read(HISTORIES), VECTORS[CANDIDATES]).numpy()
    assert found.shape == (len(HISTORIES), COUNT, HEADS)
    for row, history in enumerate(HISTORIES):
        items = [item for item in history[::-1].tolist() if item]
        for place, candidate in enumerate(CANDIDATES[row]):
            expected = by_numpy(attention, items, candidate) if items else [0, 0]
            np.testing.assert_allclose(found[row, place], expected, rtol=1e-4, atol=1e-5)
    assert np.abs(found[:3, 0]).min() > 1e-3


def test_an_empty_history_attends_to_nothing(attention: TargetAttention) -> None:
    found = attention(*read(HISTORIES[3:]), VECTORS[CANDIDATES[3:]]).numpy()
    np.testing.assert_array_equal(found, 0)


def test_attention_starts_by_age() -> None:
    """With a candidate that nothing matters to more than another, weights are decays, one a head."""
    layer, same = TargetAttention(HEADS), np.ones((1, 4, DIM), np.float32)
    items = same * np.array([1, 2, 3, 4], np.float32)[:, None]
    layer(items, np.ones((1, 4), bool), same)
    layer.keys.kernel.assign(np.zeros((DIM, HEADS * DIM)))
    found = layer(items, np.ones((1, 4), bool), same[:, :1]).numpy()[0, 0]
    for head, decay in enumerate((0.6, 0.98)):
        weights = decay ** np.arange(4) / (decay ** np.arange(4)).sum()
        assert found[head] == pytest.approx(weights @ [4, 8, 12, 16], rel=1e-4)


@pytest.fixture
def trained() -> tuple[ItemIndex, keras.Model, keras.Model]:
    """Vectors, an encoder and a head whose weights are all random, so that all of them count."""
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


def asked(histories: np.ndarray = HISTORIES) -> dict[str, np.ndarray]:
    return {"user": np.zeros(len(histories), np.int32), "history": histories}


def queries(encoder: keras.Model, histories: np.ndarray = HISTORIES) -> np.ndarray:
    items, present = read(histories)
    return encoder({"user": np.zeros(len(items), np.int32), "items": items, "present": present}).numpy()


def test_an_untrained_head_ranks_as_the_vectors_do(trained: tuple[ItemIndex, keras.Model, keras.Model]) -> None:
    index, encoder, _ = trained
    head = interaction_head(dim=DIM, history_length=LENGTH)
    found = bi_encoder(index, encoder, head)({**asked(), "candidates": CANDIDATES})
    expected = np.einsum("bd,bnd->bn", queries(encoder), VECTORS[CANDIDATES])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_what_a_trained_head_adds(trained: tuple[ItemIndex, keras.Model, keras.Model]) -> None:
    index, encoder, head = trained
    found = bi_encoder(index, encoder, head)({**asked(), "candidates": CANDIDATES}).numpy()
    weights = {weight.path: weight.numpy() for weight in head.weights}
    attention = head.get_layer("target_attention")
    for row, query in enumerate(queries(encoder)):
        items = [item for item in HISTORIES[row, ::-1].tolist() if item]
        for place, candidate in enumerate(CANDIDATES[row]):
            products = query * VECTORS[candidate]
            told = by_numpy(attention, items, candidate) if items else [0, 0]
            inner = np.concatenate([products, told]) @ weights["hidden/kernel"] + weights["hidden/bias"]
            added = np.maximum(inner, 0) @ weights["added/kernel"] + weights["added/bias"]
            assert found[row, place] == pytest.approx(products.sum() + added[0], rel=1e-3, abs=1e-4)


def test_a_rating_is_the_perceptrons_alone_and_reads_the_candidate_as_well() -> None:
    """For who will have an item may not like it. It starts at the mean."""
    head = interaction_head(dim=DIM, history_length=LENGTH, pooling_heads=HEADS, hidden_units=8, mean_rating=3.5)
    items, present = read(HISTORIES)
    query = RANDOM.normal(size=(len(HISTORIES), DIM)).astype(np.float32)
    question = {"query": query, "items": items, "present": present, "candidates": VECTORS[CANDIDATES]}
    np.testing.assert_array_equal(head(question), np.full(CANDIDATES.shape, np.float32(3.5)))
    for weight in head.trainable_weights:
        weight.assign(RANDOM.normal(size=weight.shape))
    weights = {weight.path: weight.numpy() for weight in head.weights}
    products = query[:, None] * VECTORS[CANDIDATES]
    told = head.get_layer("target_attention")(items, present, VECTORS[CANDIDATES]).numpy()
    inner = np.concatenate([products, told, VECTORS[CANDIDATES]], axis=-1) @ weights["hidden/kernel"]
    expected = np.maximum(inner + weights["hidden/bias"], 0) @ weights["added/kernel"] + weights["added/bias"]
    np.testing.assert_allclose(head(question), expected[..., 0], rtol=1e-3, atol=1e-4)


def test_scores_of_all_are_those_of_the_candidates(trained: tuple[ItemIndex, keras.Model, keras.Model]) -> None:
    index, encoder, head = trained
    every = np.tile(np.arange(ITEMS + 1, dtype=np.int32), (len(HISTORIES), 1))
    one_by_one = bi_encoder(index, encoder, head)({**asked(), "candidates": every})
    scores = scores_of_all(index, encoder, head)
    assert scores.output.shape == (None, ITEMS + 1)
    np.testing.assert_allclose(scores(asked()), one_by_one, rtol=1e-5, atol=1e-6)


def test_padding_and_neighbours_change_nothing(trained: tuple[ItemIndex, keras.Model, keras.Model]) -> None:
    ranker = bi_encoder(*trained)
    found = ranker({**asked(), "candidates": CANDIDATES}).numpy()
    wide = ranker({**asked(), "candidates": np.pad(CANDIDATES, [(0, 0), (0, 4)])}).numpy()
    np.testing.assert_allclose(wide[:, :COUNT], found, rtol=1e-5, atol=1e-6)
    for row in range(len(HISTORIES)):
        alone = ranker({**asked(HISTORIES[row : row + 1]), "candidates": CANDIDATES[row : row + 1]})
        np.testing.assert_allclose(alone[0], found[row], rtol=1e-5, atol=1e-6)
    assert np.isfinite(found).all()
    assert ranker({**asked(), "candidates": CANDIDATES[:, :0]}).shape == (len(HISTORIES), 0)


def test_the_order_of_a_history_counts_and_that_of_candidates_does_not(
    trained: tuple[ItemIndex, keras.Model, keras.Model],
) -> None:
    ranker = bi_encoder(*trained)
    found = ranker({**asked(), "candidates": CANDIDATES}).numpy()
    turned = ranker({**asked(), "candidates": CANDIDATES[:, ::-1].copy()}).numpy()
    np.testing.assert_allclose(turned[:, ::-1], found, rtol=1e-5, atol=1e-6)
    backwards = HISTORIES[:1, ::-1].copy()
    assert not np.allclose(ranker({**asked(backwards), "candidates": CANDIDATES[:1]}), found[:1], atol=1e-3)


def test_dropout_is_for_the_head_alone(trained: tuple[ItemIndex, keras.Model, keras.Model]) -> None:
    """The encoder is as it was trained, also while the head is being trained."""
    index, encoder, head = trained
    question = {**asked(), "candidates": CANDIDATES}
    calm = interaction_head(dim=DIM, history_length=LENGTH, pooling_heads=HEADS, hidden_units=8, dropout=0.0)
    calm.set_weights(head.get_weights())
    ranker = bi_encoder(index, encoder, calm)
    np.testing.assert_allclose(ranker(question, training=True), ranker(question), rtol=1e-5, atol=1e-6)
    noisy = bi_encoder(index, encoder, head)
    assert not np.allclose(noisy(question, training=True), noisy(question))


def test_dropout_is_on_what_is_read_and_on_the_hidden_units() -> None:
    """With one hidden unit of a sum: what is kept of the sum varies, and the whole of it comes and goes."""
    head = interaction_head(dim=DIM, history_length=LENGTH, pooling_heads=1, hidden_units=1, dropout=0.5)
    for weight in head.trainable_weights:
        weight.assign(np.full(weight.shape, "kernel" in weight.path))
    same = {"items": np.ones((200, LENGTH, DIM)), "present": np.ones((200, LENGTH), bool)}
    question = {"query": np.ones((200, DIM)), **same, "candidates": np.ones((200, 1, DIM))}
    found = head(question, training=True).numpy()[:, 0] - DIM  # the product of the vectors is not dropped
    assert np.unique(found.round(3)).size > 4
    assert 0.3 < np.mean(found == 0) < 0.8
    assert head(question).numpy()[:, 0] == pytest.approx(np.full(200, DIM + 2 * DIM), rel=1e-5)


def test_a_head_survives_saving(trained: tuple[ItemIndex, keras.Model, keras.Model], tmp_path: Path) -> None:
    index, encoder, head = trained
    head.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    question = {**asked(), "candidates": CANDIDATES}
    found, expected = (bi_encoder(index, encoder, one)(question) for one in (loaded, head))
    np.testing.assert_array_equal(found, expected)

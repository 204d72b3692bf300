"""Item vectors: ID vectors, means of token vectors and fused content vectors."""

import keras
import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf

from tfllmrec.layers.items import ItemBias, ItemEmbedding, shared_item_tables

ITEMS, DIM, WIDTH = 6, 4, 3
TOKENS = scipy.sparse.csr_array(np.array([[0, 0], [1, 1], [1, 0], [0, 0], [0, 1], [1, 1], [0, 0]], np.float32))
VECTORS = {"image": np.random.default_rng(0).normal(size=(ITEMS + 1, WIDTH)).astype(np.float32)}
VECTORS["image"][4] = 0  # item 4 has no image
INDICES = np.array([[0, 1, 3], [4, 0, 6]], np.int32)


def test_item_vector_is_id_vector_plus_mean_of_tokens() -> None:
    layer = ItemEmbedding.with_content(DIM, tokens=TOKENS)
    own, words = layer.id_vectors.numpy(), layer.token_vectors.numpy()
    expected = [np.zeros(DIM), own[1] + words.mean(axis=0), own[3], own[4] + words[1], np.zeros(DIM)]
    np.testing.assert_allclose(layer(np.array([0, 1, 3, 4, 0])), expected, rtol=1e-6)
    assert layer(np.zeros((2, 3), np.int32)).shape == (2, 3, DIM)


def test_token_counts_are_ignored() -> None:
    once, often = (ItemEmbedding.with_content(DIM, tokens=times * TOKENS) for times in (1, 7))
    for name in ("id_vectors", "token_vectors"):
        getattr(often, name).assign(getattr(once, name))
    np.testing.assert_array_equal(often(INDICES), once(INDICES))


@pytest.mark.parametrize(
    "tokens", [None, scipy.sparse.csr_array((ITEMS + 1, 0)), scipy.sparse.csr_array((ITEMS + 1, 2))]
)
def test_items_without_content(tokens: scipy.sparse.csr_array | None) -> None:
    layer = ItemEmbedding(ITEMS, DIM) if tokens is None else ItemEmbedding.with_content(DIM, tokens=tokens)
    np.testing.assert_array_equal(layer(np.array([0, 6])), [np.zeros(DIM), layer.id_vectors.numpy()[6]])


def test_token_means_and_fused_vectors_are_added() -> None:
    layer = ItemEmbedding.with_content(DIM, tokens=TOKENS, vectors=VECTORS)
    shares = TOKENS.toarray() / np.maximum(TOKENS.toarray().sum(axis=1, keepdims=True), 1)
    fused = layer.fusion(VECTORS).numpy()
    assert np.abs(fused[[1, 2, 3, 5, 6]]).min(axis=1).all()
    expected = layer.id_vectors.numpy() + shares @ layer.token_vectors.numpy() + fused
    expected[0] = 0
    np.testing.assert_allclose(layer(INDICES), expected[INDICES], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(layer(np.array(4)), layer.id_vectors[4] + layer.token_vectors[1], rtol=1e-6)


def test_id_dropout_keeps_content() -> None:
    layer = ItemEmbedding.with_content(DIM, tokens=scipy.sparse.vstack([TOKENS] * 300, format="csr"), id_dropout=0.3)
    all_items = np.arange(1, layer.item_count + 1)
    own = layer.id_vectors.numpy()[1:]
    without = np.isclose(layer(all_items, training=True), layer(all_items) - own, atol=1e-6).all(axis=1)
    assert without.mean() == pytest.approx(0.3, abs=0.04)
    others = layer(all_items, training=True).numpy()
    without_again = np.isclose(others, layer(all_items) - own, atol=1e-6).all(axis=1)
    assert 0 < np.mean(without & without_again) < 0.3  # resampled
    np.testing.assert_array_equal(layer(all_items, training=False), layer(all_items))


def test_modality_dropout_reaches_the_fusion() -> None:
    layer = ItemEmbedding.with_content(DIM, vectors=VECTORS, modality_dropout=0.5)
    assert layer.fusion.get_layer("gate").dropout == 0.5
    assert any(np.abs(layer(INDICES, training=True) - layer(INDICES)).max() > 1e-3 for _ in range(20))


@pytest.mark.parametrize("kinds", [["tokens"], ["vectors"], ["tokens", "vectors"]], ids="+".join)
def test_new_items_have_content_vectors_only(kinds: list[str]) -> None:
    content = {"tokens": TOKENS, "vectors": VECTORS}
    more = {"tokens": TOKENS[:3], "vectors": {"image": VECTORS["image"][:3]}}  # items 1 and 2 again
    layer = ItemEmbedding.with_content(DIM, **{kind: content[kind] for kind in kinds}, id_dropout=0.2, name="items")
    for weight in layer.trainable_weights:
        weight.assign(np.random.default_rng(1).normal(size=weight.shape))
    grown = layer.with_new_items(**{kind: more[kind] for kind in kinds})
    assert (grown.item_count, grown.id_dropout, grown.name) == (ITEMS + 2, 0.2, "items")
    all_items = np.arange(ITEMS + 1)
    np.testing.assert_allclose(grown(all_items), layer(all_items), rtol=1e-5, atol=1e-6)
    content_alone = layer(np.array([1, 2])) - layer.id_vectors.numpy()[1:3]
    np.testing.assert_allclose(grown(np.array([7, 8])), content_alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "content",
    [{}, {"tokens": TOKENS}, {"vectors": VECTORS}, {"tokens": TOKENS, "vectors": VECTORS}],
    ids=["none", "tokens", "vectors", "both"],
)
def test_lookup_equals_table(content: dict[str, object]) -> None:
    """Compare values and gradients."""
    layer = ItemEmbedding.with_content(DIM, **content) if content else ItemEmbedding(ITEMS, DIM)
    factors = tf.range(1.0, INDICES.size * DIM + 1)
    gradients = []
    for look_up in (layer, lambda items: tf.gather(layer.table(), items)):
        with tf.GradientTape() as tape:
            loss = tf.tensordot(tf.reshape(look_up(INDICES), [-1]), factors, 1)
        gradients.append(tape.gradient(loss, layer.trainable_weights))
    np.testing.assert_array_equal(layer(INDICES), layer.table().numpy()[INDICES])
    for looked_up, table in zip(*gradients, strict=True):
        assert isinstance(looked_up, tf.Tensor)  # the gradients of repeated items are summed
        np.testing.assert_allclose(looked_up, table, rtol=1e-6)
    np.testing.assert_array_equal(gradients[0][0][0], np.zeros(DIM))  # the padding has no gradient
    np.testing.assert_array_equal(layer.table()[0], np.zeros(DIM))


def test_content_inputs_are_not_trainable() -> None:
    layer = ItemEmbedding.with_content(DIM, tokens=TOKENS, vectors=VECTORS)
    assert {weight.name for weight in layer.trainable_weights} == {
        "id_vectors",
        "token_vectors",
        "kernel",
        "bias",
        "gamma",
        "beta",
    }
    assert {weight.name for weight in layer.non_trainable_weights} == {"token_indices", "token_weights", "image"}
    assert [weight.name for weight in ItemEmbedding(ITEMS, DIM).weights] == ["id_vectors"]


def test_initial_standard_deviations() -> None:
    keras.utils.set_random_seed(0)
    for token_std in (0.05, 0.2):
        layer = ItemEmbedding(2000, 8, token_count=1000, token_pairs=0, token_std=token_std)
        assert np.std(layer.id_vectors) == pytest.approx(0.05, rel=0.03)
        assert np.std(layer.token_vectors) == pytest.approx(token_std, rel=0.04)
    layer = ItemEmbedding.with_content(64, tokens=TOKENS, token_std=3.0)
    assert np.std(layer.token_vectors) == pytest.approx(3, rel=0.3)
    assert layer.get_config()["token_std"] == 3.0


def test_with_content_without_content_raises() -> None:
    with pytest.raises(ValueError, match="with_content: pass tokens, vectors, or both"):
        ItemEmbedding.with_content(DIM)


def test_shared_tables_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = ItemEmbedding.with_content(DIM, tokens=TOKENS, vectors=VECTORS)
    calls = []
    table = layer.table
    monkeypatch.setattr(layer, "table", lambda training: calls.append(training) or table(training))

    def gradients() -> list[np.ndarray]:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(INDICES, training=True)) + tf.reduce_sum(layer(INDICES[0], training=True) ** 2)
        return [np.array(tf.convert_to_tensor(part)) for part in tape.gradient(loss, layer.trainable_weights)]

    separate = gradients()
    with shared_item_tables():
        shared = gradients()
        layer(INDICES)  # inference has its own table
    assert calls == [True, True, True, False]
    for expected, actual in zip(separate, shared, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-7)
    layer.id_vectors.assign_add(tf.ones_like(layer.id_vectors))
    with shared_item_tables():
        np.testing.assert_array_equal(layer(INDICES), tf.gather(table(), INDICES))  # the former table is discarded


@pytest.mark.parametrize("dropout", ["id_dropout", "modality_dropout"])
def test_dropout_is_resampled_within_a_step(dropout: str) -> None:
    layer = ItemEmbedding.with_content(DIM, tokens=TOKENS, vectors=VECTORS, **{dropout: 0.5})
    all_items = np.arange(1, ITEMS + 1)
    with shared_item_tables():
        outputs = [layer(all_items, training=True).numpy() for _ in range(8)]
    assert len({output.tobytes() for output in outputs}) > 1


def test_item_bias_has_a_dense_gradient() -> None:
    layer = ItemBias(ITEMS)
    np.testing.assert_array_equal(layer(INDICES), np.zeros(INDICES.shape))
    layer.bias.assign(np.arange(ITEMS + 1) / 4)
    np.testing.assert_array_equal(layer(INDICES), INDICES / 4)
    assert layer.trainable_weights == [layer.bias]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(INDICES))
    gradient = tape.gradient(loss, layer.bias)
    assert isinstance(gradient, tf.Tensor)  # a sum, not IndexedSlices
    np.testing.assert_array_equal(gradient, np.bincount(INDICES.ravel(), minlength=ITEMS + 1))

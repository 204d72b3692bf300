"""An item's vector: its own, the mean of its tokens', and a fusion of given ones."""

import keras
import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf

from tfllmrec.layers.items import ItemBias, ItemEmbedding, shared_item_tables

ITEMS, DIM, WIDTH = 6, 4, 3
TOKENS = scipy.sparse.csr_array(np.array([[0, 0], [1, 1], [1, 0], [0, 0], [0, 1], [1, 1], [0, 0]], np.float32))
VECTORS = {"image": np.random.default_rng(0).normal(size=(ITEMS + 1, WIDTH)).astype(np.float32)}
VECTORS["image"][4] = 0  # item 4 has none
ASKED = np.array([[0, 1, 3], [4, 0, 6]], np.int32)


def test_an_item_is_its_own_vector_and_the_mean_of_its_tokens() -> None:
    layer = ItemEmbedding.with_content(DIM, tokens=TOKENS)
    own, words = layer.id_vectors.numpy(), layer.token_vectors.numpy()
    expected = [np.zeros(DIM), own[1] + words.mean(axis=0), own[3], own[4] + words[1], np.zeros(DIM)]
    np.testing.assert_allclose(layer(np.array([0, 1, 3, 4, 0])), expected, rtol=1e-6)
    assert layer(np.zeros((2, 3), np.int32)).shape == (2, 3, DIM)


def test_how_often_an_item_has_a_token_is_nothing() -> None:
    once, often = (ItemEmbedding.with_content(DIM, tokens=times * TOKENS) for times in (1, 7))
    for name in ("id_vectors", "token_vectors"):
        getattr(often, name).assign(getattr(once, name))
    np.testing.assert_array_equal(often(ASKED), once(ASKED))


@pytest.mark.parametrize(
    "tokens", [None, scipy.sparse.csr_array((ITEMS + 1, 0)), scipy.sparse.csr_array((ITEMS + 1, 2))]
)
def test_items_without_content(tokens: scipy.sparse.csr_array | None) -> None:
    layer = ItemEmbedding(ITEMS, DIM) if tokens is None else ItemEmbedding.with_content(DIM, tokens=tokens)
    np.testing.assert_array_equal(layer(np.array([0, 6])), [np.zeros(DIM), layer.id_vectors.numpy()[6]])


def test_tokens_and_fused_vectors_are_added() -> None:
    layer = ItemEmbedding.with_content(DIM, tokens=TOKENS, vectors=VECTORS)
    shares = TOKENS.toarray() / np.maximum(TOKENS.toarray().sum(axis=1, keepdims=True), 1)
    fused = layer.fusion(VECTORS).numpy()
    assert np.abs(fused[[1, 2, 3, 5, 6]]).min(axis=1).all()
    expected = layer.id_vectors.numpy() + shares @ layer.token_vectors.numpy() + fused
    expected[0] = 0
    np.testing.assert_allclose(layer(ASKED), expected[ASKED], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(layer(np.array(4)), layer.id_vectors[4] + layer.token_vectors[1], rtol=1e-6)


def test_id_dropout_leaves_content_alone_in_training() -> None:
    layer = ItemEmbedding.with_content(DIM, tokens=scipy.sparse.vstack([TOKENS] * 300, format="csr"), id_dropout=0.3)
    everything = np.arange(1, layer.item_count + 1)
    own = layer.id_vectors.numpy()[1:]
    without = np.isclose(layer(everything, training=True), layer(everything) - own, atol=1e-6).all(axis=1)
    assert without.mean() == pytest.approx(0.3, abs=0.04)
    others = layer(everything, training=True).numpy()
    again = np.isclose(others, layer(everything) - own, atol=1e-6).all(axis=1)
    assert 0 < np.mean(without & again) < 0.3  # drawn anew
    np.testing.assert_array_equal(layer(everything, training=False), layer(everything))


def test_modality_dropout_reaches_the_fusion() -> None:
    layer = ItemEmbedding.with_content(DIM, vectors=VECTORS, modality_dropout=0.5)
    assert layer.fusion.get_layer("gate").dropout == 0.5
    assert any(np.abs(layer(ASKED, training=True) - layer(ASKED)).max() > 1e-3 for _ in range(20))


@pytest.mark.parametrize("kinds", [["tokens"], ["vectors"], ["tokens", "vectors"]], ids="+".join)
def test_further_items_are_known_by_their_content(kinds: list[str]) -> None:
    content = {"tokens": TOKENS, "vectors": VECTORS}
    more = {"tokens": TOKENS[:3], "vectors": {"image": VECTORS["image"][:3]}}  # items 1 and 2 once more
    layer = ItemEmbedding.with_content(DIM, **{kind: content[kind] for kind in kinds}, id_dropout=0.2, name="items")
    for weight in layer.trainable_weights:
        weight.assign(np.random.default_rng(1).normal(size=weight.shape))
    grown = layer.with_new_items(**{kind: more[kind] for kind in kinds})
    assert (grown.item_count, grown.id_dropout, grown.name) == (ITEMS + 2, 0.2, "items")
    everything = np.arange(ITEMS + 1)
    np.testing.assert_allclose(grown(everything), layer(everything), rtol=1e-5, atol=1e-6)
    content_alone = layer(np.array([1, 2])) - layer.id_vectors.numpy()[1:3]
    np.testing.assert_allclose(grown(np.array([7, 8])), content_alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "content",
    [{}, {"tokens": TOKENS}, {"vectors": VECTORS}, {"tokens": TOKENS, "vectors": VECTORS}],
    ids=["none", "tokens", "vectors", "both"],
)
def test_looked_up_or_as_a_table(content: dict[str, object]) -> None:
    """Values and gradients."""
    layer = ItemEmbedding.with_content(DIM, **content) if content else ItemEmbedding(ITEMS, DIM)
    slopes = tf.range(1.0, ASKED.size * DIM + 1)
    gradients = []
    for look_up in (layer, lambda items: tf.gather(layer.table(), items)):
        with tf.GradientTape() as tape:
            loss = tf.tensordot(tf.reshape(look_up(ASKED), [-1]), slopes, 1)
        gradients.append(tape.gradient(loss, layer.trainable_weights))
    np.testing.assert_array_equal(layer(ASKED), layer.table().numpy()[ASKED])
    for looked_up, table in zip(*gradients, strict=True):
        assert isinstance(looked_up, tf.Tensor)  # what items that stand twice learn is summed up, not listed
        np.testing.assert_allclose(looked_up, table, rtol=1e-6)
    np.testing.assert_array_equal(gradients[0][0][0], np.zeros(DIM))  # the padding learns nothing
    np.testing.assert_array_equal(layer.table()[0], np.zeros(DIM))


def test_content_that_is_given_is_not_learnt() -> None:
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


def test_how_far_vectors_spread_at_the_start() -> None:
    keras.utils.set_random_seed(0)
    for token_std in (0.05, 0.2):
        layer = ItemEmbedding(2000, 8, token_count=1000, token_pairs=0, token_std=token_std)
        assert np.std(layer.id_vectors) == pytest.approx(0.05, rel=0.03)
        assert np.std(layer.token_vectors) == pytest.approx(token_std, rel=0.04)
    layer = ItemEmbedding.with_content(64, tokens=TOKENS, token_std=3.0)
    assert np.std(layer.token_vectors) == pytest.approx(3, rel=0.3)
    assert layer.get_config()["token_std"] == 3.0


def test_content_takes_some() -> None:
    with pytest.raises(ValueError, match="with_content: pass tokens, vectors, or both"):
        ItemEmbedding.with_content(DIM)


def test_tables_are_made_once_with_the_same_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = ItemEmbedding.with_content(DIM, tokens=TOKENS, vectors=VECTORS)
    made = []
    table = layer.table
    monkeypatch.setattr(layer, "table", lambda training: made.append(training) or table(training))

    def gradients() -> list[np.ndarray]:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(ASKED, training=True)) + tf.reduce_sum(layer(ASKED[0], training=True) ** 2)
        return [np.array(tf.convert_to_tensor(part)) for part in tape.gradient(loss, layer.trainable_weights)]

    apart = gradients()
    with shared_item_tables():
        together = gradients()
        layer(ASKED)  # one for serving is another
    assert made == [True, True, True, False]
    for one, other in zip(apart, together, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)
    layer.id_vectors.assign_add(tf.ones_like(layer.id_vectors))
    with shared_item_tables():
        np.testing.assert_array_equal(layer(ASKED), tf.gather(table(), ASKED))  # nothing is left of the one before


@pytest.mark.parametrize("dropout", ["id_dropout", "modality_dropout"])
def test_what_is_dropped_is_drawn_anew_within_a_step(dropout: str) -> None:
    layer = ItemEmbedding.with_content(DIM, tokens=TOKENS, vectors=VECTORS, **{dropout: 0.5})
    everything = np.arange(1, ITEMS + 1)
    with shared_item_tables():
        read = [layer(everything, training=True).numpy() for _ in range(8)]
    assert len({one.tobytes() for one in read}) > 1


def test_item_bias_has_a_dense_gradient() -> None:
    layer = ItemBias(ITEMS)
    np.testing.assert_array_equal(layer(ASKED), np.zeros(ASKED.shape))
    layer.bias.assign(np.arange(ITEMS + 1) / 4)
    np.testing.assert_array_equal(layer(ASKED), ASKED / 4)
    assert layer.trainable_weights == [layer.bias]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(ASKED))
    gradient = tape.gradient(loss, layer.bias)
    assert isinstance(gradient, tf.Tensor)  # a sum, not IndexedSlices
    np.testing.assert_array_equal(gradient, np.bincount(ASKED.ravel(), minlength=ITEMS + 1))

"""The cross-encoder: tokens of pairs, and equal scores of candidates and of all items."""

from typing import Any, ClassVar

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfllmrec.models.cross_encoder.network import (
    FRAME,
    Pairs,
    Special,
    TokenTable,
    _packed,
    cross_encoder,
    pair_scorer,
    scores_of_all,
)
from tfllmrec.models.ranker import passes as passes_module
from tfllmrec.models.ranker.passes import in_passes

CLS, SEP = 2, 3
HISTORY = np.array([[[5, 6], [7, 0], [8, 9]], [[0, 0], [0, 0], [0, 0]]], np.int32)
"""Three titles, newest first, and an empty history."""
CANDIDATES = np.array([[[11, 12, 0], [13, 0, 0]], [[14, 15, 16], [0, 0, 0]]], np.int32)


def test_a_pair_is_a_framed_history_and_candidate() -> None:
    outputs = Pairs(4, CLS, SEP)(HISTORY, CANDIDATES)
    tokens = [
        [CLS, 5, 6, 7, 8, SEP, 11, 12, 0, SEP],
        [CLS, 5, 6, 7, 8, SEP, 13, 0, 0, SEP],
        [CLS, 0, 0, 0, 0, SEP, 14, 15, 16, SEP],
        [CLS, 0, 0, 0, 0, SEP, 0, 0, 0, SEP],
    ]
    assert outputs["token_ids"].numpy().tolist() == tokens
    assert outputs["segment_ids"].numpy().tolist() == [[0] * 6 + [1] * 4] * 4
    assert outputs["padding_mask"].numpy().tolist() == [[int(token > 0) for token in row] for row in tokens]
    assert {part.dtype for part in outputs.values()} == {tf.int32}


def test_histories_are_cut_to_their_newest_tokens() -> None:
    for width, read in ((1, [5]), (3, [5, 6, 7]), (5, [5, 6, 7, 8, 9]), (8, [5, 6, 7, 8, 9, 0, 0, 0])):
        outputs = Pairs(width, CLS, SEP)(HISTORY[:1], CANDIDATES[:1, :1])["token_ids"].numpy()
        assert outputs.tolist() == [[CLS, *read, SEP, 11, 12, 0, SEP]]
        assert outputs.shape[1] == width + CANDIDATES.shape[2] + FRAME


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(st.lists(st.integers(0, 4), min_size=6, max_size=6), min_size=1, max_size=3),
    width=st.integers(1, 9),
)
def test_a_history_is_packed_without_gaps(rows: list[list[int]], width: int) -> None:
    outputs = _packed(tf.reshape(tf.constant(rows), [-1, 3, 2]), width)
    expected = [[token for token in row if token][:width] for row in rows]
    np.testing.assert_array_equal(outputs, [row + [0] * (width - len(row)) for row in expected])


def test_a_token_table_grows() -> None:
    table = TokenTable.of(np.array([[0, 0], [5, 6], [7, 0]]), name="titles")
    more = TokenTable.of(np.array([[9, 9], [8, 0]]))
    grown = table.with_more(more)
    outputs = grown(np.array([[3, 0], [1, 2]], np.int32))
    assert outputs.numpy().tolist() == [[[8, 0], [0, 0]], [[5, 6], [7, 0]]]
    assert outputs.dtype == tf.int32
    assert (grown.item_count, grown.length, grown.name) == (3, 2, "titles")
    assert (table.item_count, table.tokens.shape[0]) == (2, 3)


LENGTH, ITEMS = 4, 7
PAST = np.array([[1, 2, 3, 0], [4, 6, 7, 5], [2, 0, 0, 0], [0, 0, 0, 0]], np.int32)
"""Oldest first."""
USERS = np.arange(4, dtype=np.int32)


class EncodingScorer(keras.layers.Layer):
    """Encode the inputs in the score: the candidate + 100 * the newest title + 10,000 * the next."""

    passes: ClassVar[list[tuple[int, int]]] = []
    """Rows and candidates of every call."""

    def call(self, history: tf.Tensor, candidates: tf.Tensor) -> tf.Tensor:
        self.passes.append(tuple(candidates.shape[:2]))
        read = history[:, 0, 0] * 100 + history[:, 1, 0] * 10_000
        return tf.cast(candidates[:, :, 0] + read[:, None], tf.float32)

    def compute_output_spec(self, history: Any, candidates: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor(candidates.shape[:2], "float32")


@pytest.fixture
def encoding_ranker() -> keras.Model:
    """Titles are item indices, texts are 50 more; two of four titles are read."""
    history = keras.Input((2, 1), dtype="int32", name="history")
    candidates = keras.Input((None, 1), dtype="int32", name="candidates")
    scorer = keras.Model({"history": history, "candidates": candidates}, EncodingScorer()(history, candidates))
    numbers = np.arange(ITEMS + 1)[:, None]
    titles, texts = TokenTable.of(numbers), TokenTable.of(np.where(numbers, numbers + 50, 0))
    return cross_encoder(scorer, titles, texts, LENGTH)


def test_newest_titles_and_candidate_texts_are_read(encoding_ranker: keras.Model) -> None:
    candidates = np.array([[1, 0, 7], [7, 7, 2], [3, 4, 5], [6, 0, 0]], np.int32)
    outputs = encoding_ranker({"user": USERS, "history": PAST, "candidates": candidates})
    read = np.array([20300, 70500, 200, 0])
    np.testing.assert_array_equal(outputs, read[:, None] + np.where(candidates, candidates + 50, 0))


@pytest.mark.parametrize("pairs", [1, 3, 4, 8, 100])
def test_all_items_are_scored_in_passes(
    encoding_ranker: keras.Model, pairs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passes_module, "_PAIRS", pairs)
    all_items = np.tile(np.arange(ITEMS + 1, dtype=np.int32), (len(PAST), 1))
    expected = encoding_ranker({"user": USERS, "history": PAST, "candidates": all_items})
    model = scores_of_all(in_passes(encoding_ranker), ITEMS)
    assert model.output.shape == (None, ITEMS + 1)
    np.testing.assert_array_equal(model({"user": USERS, "history": PAST}), expected)


@pytest.mark.parametrize(
    ("rows", "count", "width", "passes"),
    [(4, 9, 3, 12), (4, 3, 3, 4), (1, 1, 1, 1), (4, 0, 0, 4), (0, 5, 3, 2), (0, 0, 0, 1)],
)
def test_a_pass_has_few_pairs(
    encoding_ranker: keras.Model, rows: int, count: int, width: int, passes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pass has pairs of one user; in training, a batch is scored at once."""
    monkeypatch.setattr(passes_module, "_PAIRS", 4)
    candidates = (np.arange(rows * count, dtype=np.int32) % (ITEMS + 1)).reshape(rows, count)
    inputs = {"user": USERS[:rows], "history": PAST[:rows], "candidates": candidates}
    expected, model = encoding_ranker(inputs), in_passes(encoding_ranker)
    EncodingScorer.passes.clear()
    np.testing.assert_array_equal(model(inputs), expected)
    assert EncodingScorer.passes == [(1, width)] * passes
    EncodingScorer.passes.clear()
    np.testing.assert_array_equal(model(inputs, training=True), expected)
    assert EncodingScorer.passes == [(rows, count)]


@pytest.fixture(scope="module")
def scorer() -> keras.Model:
    """A pair scorer of two titles of two tokens, cut to three tokens, and candidates of three."""
    import keras_nlp

    keras.utils.set_random_seed(0)
    sizes = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8, "intermediate_dim": 16, "max_sequence_length": 20}
    bert = keras_nlp.models.BertBackbone(20, **sizes, dropout=0.0)
    random = np.random.default_rng(0)
    for weight in bert.trainable_weights:  # large, so that every input has an effect
        weight.assign(random.normal(size=weight.shape))
    return pair_scorer(bert, Special(CLS, SEP), history=(2, 2), history_tokens=3, length=3, start=3.5)


INPUTS = {"history": HISTORY[:, :2], "candidates": CANDIDATES}
READ = [
    [[CLS, 5, 6, 7, SEP, 11, 12, 0, SEP], [CLS, 5, 6, 7, SEP, 13, 0, 0, SEP]],
    [[CLS, 0, 0, 0, SEP, 14, 15, 16, SEP], [CLS, 0, 0, 0, SEP, 0, 0, 0, SEP]],
]


def test_a_score_is_linear_in_the_mean_state_of_a_pairs_tokens(scorer: keras.Model) -> None:
    outputs, score = scorer(INPUTS).numpy(), scorer.get_layer("score")
    np.testing.assert_array_equal(score.bias, [3.5])
    for row, column in np.ndindex(2, 2):
        tokens = np.array([READ[row][column]], np.int32)
        mask, segments = (tokens > 0).astype(np.int32), np.array([[0] * 5 + [1] * 4], np.int32)
        pair = {"token_ids": tokens, "segment_ids": segments, "padding_mask": mask}
        states = scorer.get_layer("backbone")(pair)["sequence_output"].numpy()
        expected = states[mask > 0].mean(axis=0) @ score.kernel.numpy()[:, 0] + 3.5
        assert outputs[row, column] == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert len(np.unique(outputs.round(3))) == 4


def test_padding_is_not_read(scorer: keras.Model) -> None:
    """The embedding of [PAD] has no effect."""
    table = scorer.get_layer("backbone").token_embedding.embeddings
    outputs, before = scorer(INPUTS).numpy(), table.numpy()
    table.assign(np.concatenate([before[:1] + np.linspace(-9, 9, before.shape[1]), before[1:]]))
    changed = scorer(INPUTS).numpy()
    table.assign(before)
    np.testing.assert_allclose(changed, outputs, rtol=1e-4, atol=1e-5)


def test_every_trained_weight_has_a_gradient(scorer: keras.Model) -> None:
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(scorer(INPUTS) ** 2)
    weights = {weight.path: weight.value for weight in scorer.trainable_weights}
    gradients = tape.gradient(loss, weights)
    assert [path for path, gradient in gradients.items() if gradient is None] == []
    assert "score/kernel" in gradients
    assert len(gradients) > 10

"""Ranking of raw texts: the inputs of the models, by text and by token."""

from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfllmrec.content.bert import Bert
from tfllmrec.content.bert_loading import pretrained_bert
from tfllmrec.content.bert_vectors import text_vectors
from tfllmrec.models.bert_ranker.network import interaction_head
from tfllmrec.models.ranker.text_ranker import PairTextRanker, TextRanker
from tfllmrec.models.two_tower.network import query_encoder

LENGTH, DIM = 3, 8
LOWEST = np.finfo(np.float32).min
HISTORIES = [["old", "one", "two", "three"], ["", "new", " \xa0", "best", ""], ["one"], ["", " "]]
"""Oldest first."""
READ = [["three", "two", "one"], ["best", "new"], ["one"], []]
"""The texts that are read, newest first."""
CANDIDATES = [["one", "two", ""], ["best", "\u3000", "two"], ["a", "b", "c"], ["one", "best", "a"]]


def padded(rows: list[list[str]]) -> tf.Tensor:
    return tf.ragged.constant(rows).to_tensor("")


@pytest.fixture(scope="module")
def bert(tiny_bert: Path) -> Bert:
    return pretrained_bert(tiny_bert)


@pytest.fixture(scope="module")
def parts() -> tuple[keras.Model, keras.Model, keras.Model]:
    """Item vectors that are not zero for blank texts, an encoder and a head with random weights."""
    keras.utils.set_random_seed(0)
    inputs = {"bert": keras.Input((8,), name="bert"), "image": keras.Input((2,), name="image")}
    joined = keras.layers.Concatenate()([inputs["bert"], inputs["image"]])
    content = keras.Model(inputs, keras.layers.Dense(DIM, bias_initializer="ones")(joined))
    encoder = query_encoder(
        dim=DIM, history_length=LENGTH, user_count=5, recent_items=2, pooling_heads=2, hidden_units=8
    )
    head = interaction_head(dim=DIM, history_length=LENGTH, hidden_units=8)
    random = np.random.default_rng(0)
    for weight in (*content.weights, *encoder.weights, *head.weights):
        weight.assign(random.normal(size=weight.shape))
    return content, encoder, head


def test_a_text_is_scored_as_an_item_with_this_text_alone(
    bert: Bert, parts: tuple[keras.Model, keras.Model, keras.Model]
) -> None:
    """The user is unknown; other modalities, blank texts and padding are zeros."""
    content, encoder, head = parts

    texts = sorted({text for row in (*READ, *CANDIDATES) for text in row})
    vectors = text_vectors(texts, bert, length=6, use_cache=False)
    vectors = content({"bert": vectors, "image": np.zeros((len(texts), 2), np.float32)}).numpy()
    item = dict(zip(texts, vectors, strict=True))
    scores = TextRanker(bert, 6, content, encoder, head)(padded(HISTORIES), padded(CANDIDATES)).numpy()
    assert scores.shape == (4, 3)
    for row, (read, candidates) in enumerate(zip(READ, CANDIDATES, strict=True)):
        items, present = np.zeros((1, LENGTH, DIM), np.float32), np.zeros((1, LENGTH), bool)
        for position, text in enumerate(read):
            items[0, position], present[0, position] = item[text], True
        query = encoder({"user": np.zeros(1, np.int32), "items": items, "present": present}).numpy()
        for position, text in enumerate(candidates):
            if not text.strip():
                assert scores[row, position] == LOWEST
                continue
            known = {"query": query, "items": items, "present": present}
            expected = head({**known, "candidates": item[text][None, None]}).numpy()[0, 0]
            assert scores[row, position] == pytest.approx(expected, rel=1e-3, abs=1e-3)
    assert len(np.unique(scores[scores > LOWEST].round(2))) == 10


class RecordingScorer(keras.layers.Layer):
    """Record the inputs of every call; the score of a candidate is its first token."""

    calls: ClassVar[list[tuple[Any, Any]]] = []

    def call(self, history: tf.Tensor, candidates: tf.Tensor) -> tf.Tensor:
        self.calls.append((history, candidates))
        return tf.cast(candidates[:, :, 0], tf.float32)

    def compute_output_spec(self, history: Any, candidates: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor(candidates.shape[:2], "float32")


def test_a_pair_scorer_receives_tokens_without_frame(bert: Bert) -> None:
    """Titles, newest first, have separators; candidates have none. Long texts are cut."""

    def ids(text: str, length: int) -> list[int]:
        tokens = [bert.tokenizer.token_to_id(token) for token in text.split()]
        return [*tokens, *[0] * (length - len(tokens))]

    history = keras.Input((2, 4), dtype="int32", name="history")
    candidates = keras.Input((None, 3), dtype="int32", name="candidates")
    scorer = keras.Model({"history": history, "candidates": candidates}, RecordingScorer()(history, candidates))
    request = [["x", "ab", "", "c"], [" ", "abcde"], [""]], [["ab", "", "c d e f"], ["a", "b", "a"], ["a", "b", " "]]
    ranker = PairTextRanker(bert, scorer)
    RecordingScorer.calls.clear()
    scores = ranker(*map(padded, request)).numpy()
    titles, texts = (np.concatenate(part).tolist() for part in zip(*RecordingScorer.calls, strict=True))
    blank = [0, 0, 0, 0]
    assert titles == [
        [ids("c [UNK]", 4), ids("a ##b [UNK]", 4)],  # the vocabulary has no ";"
        [ids("a ##b ##c ##d", 4), blank],
        [blank, blank],
    ]
    a, b = ids("a", 3), ids("b", 3)
    assert texts == [[ids("a ##b", 3), [0, 0, 0], ids("c d e", 3)], [a, b, a], [a, b, [0, 0, 0]]]
    assert scores.tolist() == [[a[0], LOWEST, ids("c", 1)[0]], [a[0], b[0], a[0]], [a[0], b[0], LOWEST]]

"""Ranking of raw texts: histories and candidates outside the catalog."""

from collections.abc import Callable, Iterable

import keras
import numpy as np
import tensorflow as tf

from tfllmrec.content.bert import Bert
from tfllmrec.content.bert_encoder import text_encoder
from tfllmrec.content.item_texts import ITEM_SEPARATOR
from tfllmrec.content.text_tensors import has_text
from tfllmrec.evaluation.blocks import block_size, row_blocks
from tfllmrec.layers.history import MostRecentFirst, most_recent
from tfllmrec.layers.top_items import LOWEST
from tfllmrec.models.base.cores import MAX_CANDIDATES
from tfllmrec.models.base.request_indices import rows_of
from tfllmrec.models.base.signature import Core, Input, InputKind, OutputKind, Outputs, Signature
from tfllmrec.models.ranker.passes import in_passes
from tfllmrec_client.requests import RankRequest, rank_request

BERT = "bert"
"""The column of the item table, and the modality, with BERT's vectors."""

_TEXTS = 1024  # texts that BERT reads at a time

ScoreTexts = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


class TextRanker:
    """Score texts by a bi-encoder: histories string [B, any] oldest first, candidates string [B, N] to float32 [B, N].

    A text is scored as an item that is known by this text alone. A search query is the most recent text of a history.
    Blank texts are ignored; a blank candidate has float32's lowest score.

    Args:
        bert: encodes texts.
        length: tokens of a text that are read.
        content: {"bert": float32 [n, D of BERT]} to item vectors float32 [n, D].
        encoder: a `tfllmrec.models.two_tower.network.query_encoder`.
        head: a `tfllmrec.models.bert_ranker.network.interaction_head`.

    Attributes:
        models: all models that are called.
    """

    def __init__(self, bert: Bert, length: int, content: keras.Model, encoder: keras.Model, head: keras.Model) -> None:
        self._encode, self._content = text_encoder(bert, length), content
        self._query, self._head = encoder, head
        self.models = [bert.backbone, content, encoder, head]
        self._history_length, self._dim = encoder.input["items"].shape[1:]

    def __call__(self, history: tf.Tensor, candidates: tf.Tensor) -> tf.Tensor:
        """Score candidates."""
        recent = _most_recent_first(history, self._history_length)
        present, known = has_text(recent), has_text(candidates)
        texts = tf.concat([recent, candidates], axis=1)
        vectors = self._item_vectors(self._encode(tf.reshape(texts, [-1])))
        vectors = tf.reshape(vectors, [tf.shape(texts)[0], tf.shape(texts)[1], self._dim])
        vectors *= tf.cast(tf.concat([present, known], axis=1), vectors.dtype)[..., None]
        shape = [-1, self._history_length, self._dim]
        items, candidate_vectors = tf.reshape(vectors[:, : shape[1]], shape), vectors[:, shape[1] :]
        unknown_user = tf.zeros(tf.shape(history)[:1], tf.int32)
        query = self._query({"user": unknown_user, "items": items, "present": present}, training=False)
        inputs = {"query": query, "items": items, "present": present, "candidates": candidate_vectors}
        return tf.where(known, self._head(inputs, training=False), LOWEST)

    def _item_vectors(self, text_vectors: tf.Tensor) -> tf.Tensor:
        """Vectors of items that have this modality alone."""
        rows = tf.shape(text_vectors)[0]
        missing = {name: tf.zeros([rows, tensor.shape[1]]) for name, tensor in self._content.input.items()}
        return self._content({**missing, BERT: text_vectors}, training=False)


class PairTextRanker:
    """Score texts by a cross-encoder; see `TextRanker`.

    Args:
        bert: the backbone and its tokenizer.
        scorer: a `tfllmrec.models.cross_encoder.network.pair_scorer`.

    Attributes:
        models: all models that are called.
    """

    def __init__(self, bert: Bert, scorer: keras.Model) -> None:
        self._tokens, self._scorer = bert.token_ids, in_passes(scorer)
        self._titles, self._length = scorer.input["history"].shape[1:], scorer.input["candidates"].shape[2]
        self.models = [scorer]

    def __call__(self, history: tf.Tensor, candidates: tf.Tensor) -> tf.Tensor:
        """Score candidates."""
        count, width = self._titles
        recent = _most_recent_first(history, count)
        recent = tf.where(has_text(recent), recent + ITEM_SEPARATOR, "")
        titles = tf.reshape(self._tokens(tf.reshape(recent, [-1]), width), [-1, count, width])
        texts = self._tokens(tf.reshape(candidates, [-1]), self._length)
        texts = tf.reshape(texts, [tf.shape(candidates)[0], tf.shape(candidates)[1], self._length])
        scores = self._scorer({"history": titles, "candidates": texts}, training=False)
        return tf.where(has_text(candidates), scores, LOWEST)


def score_texts(
    ranker: ScoreTexts, histories: Iterable[Iterable[str]], candidates: Iterable[Iterable[str]]
) -> list[np.ndarray]:
    """Score raw texts.

    Args:
        ranker: a `TextRanker` or `PairTextRanker`.
        histories: texts, oldest first, one sequence a row; a search query may be the last.
        candidates: texts, one sequence a row.

    Returns:
        For every row scores float32; float32's lowest for blank candidates.

    Raises:
        InputError: If the rows do not match, or a string is given for a sequence.
    """
    request = rank_request(candidates, histories=histories, call="score_texts")
    widest = sum(max(map(len, part), default=0) for part in (request.histories, request.candidates))
    blocks = row_blocks(len(request.users), block_size(widest, cells=_TEXTS))
    return [scores for rows in blocks for scores in _score_block(ranker, rows_of(request, rows))]


def _score_block(ranker: ScoreTexts, request: RankRequest) -> list[np.ndarray]:
    parts = request.histories, request.candidates
    texts = ([[text.encode("utf-8", "replace") for text in row] for row in part] for part in parts)
    padded = [tf.ragged.constant(part, dtype=tf.string, ragged_rank=1).to_tensor("") for part in texts]
    scores = ranker(*padded).numpy()
    return [row[: len(texts)] for row, texts in zip(scores, request.candidates, strict=True)]


def text_function(ranker: ScoreTexts) -> ScoreTexts:
    """Return a ranker of texts as a traced function."""
    texts = tf.TensorSpec([None, None], tf.string)
    return tf.function(ranker, input_signature=[texts, texts])


def rank_texts_signature(ranker: ScoreTexts) -> Signature:
    """Declare the signature `rank_texts`, which scores raw texts."""

    def score(inputs: dict[str, tf.Tensor]) -> Outputs:
        candidates = inputs["candidate_texts"]
        scores = ranker(inputs["history_texts"], candidates[:, :MAX_CANDIDATES])
        missing = tf.shape(candidates)[1] - tf.shape(scores)[1]
        return {"scores": tf.pad(scores, [[0, 0], [0, missing]], constant_values=LOWEST)}

    texts = (Input(InputKind.TEXTS, "history_texts"), Input(InputKind.TEXTS, "candidate_texts"))
    meaning = "Scores of raw texts as candidates, after a history of raw texts, oldest first."
    return Signature(
        "rank_texts", Core("rank_texts", score, texts, compiled=False), {"scores": OutputKind.SCORES}, meaning
    )


def _most_recent_first(texts: tf.Tensor, count: int) -> tf.Tensor:
    """Return the most recent non-blank texts of every row: string [B, count], "" on the right."""
    positions = tf.where(has_text(texts), tf.range(1, tf.shape(texts)[1] + 1), 0)
    chosen = MostRecentFirst()(most_recent(positions, count))
    return tf.gather(tf.pad(texts, [[0, 0], [1, 0]], constant_values=""), chosen, batch_dims=1)

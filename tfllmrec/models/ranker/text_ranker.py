"""Rankers asked in raw texts: histories and candidates that no catalogue knows."""

import keras
import tensorflow as tf

from tfllmrec.content.pretrained import Bert
from tfllmrec.content.templates import BETWEEN_ITEMS
from tfllmrec.content.text_vectors import text_encoder, written
from tfllmrec.layers.history import NewestFirst, newest
from tfllmrec.layers.top_items import LOWEST
from tfllmrec.models.cross_encoder.network import in_passes

BERT = "bert"
"""The column of the item table, and the modality, that BERT's vectors are."""


class TextRanker:
    """A bi-encoder for texts: histories string [B, any] oldest first, candidates string [B, N] -> float32 [B, N].

    A text is what an item would be that is known by this text alone. What a user searches for is one more text of the
    history, the newest. Blank texts are nothing: as a candidate one has float32's lowest score.

    Args:
        bert: makes vectors of texts.
        length: tokens of a text that are read.
        content: {"bert": float32 [n, D of BERT]} -> item vectors float32 [n, D].
        encoder: a `tfllmrec.models.two_tower.network.query_encoder`.
        head: a `tfllmrec.models.bert_ranker.network.interaction_head`.

    Attributes:
        models: all that it asks.
    """

    def __init__(
        self,
        bert: Bert,
        length: int,
        content: keras.Model,
        encoder: keras.Model,
        head: keras.Model,
    ) -> None:
        self._encode, self._content = text_encoder(bert, length), content
        self._query, self._head = encoder, head
        self.models = [bert.backbone, content, encoder, head]
        self._history_length, self._dim = encoder.input["items"].shape[1:]

    def __call__(self, history: tf.Tensor, candidates: tf.Tensor) -> tf.Tensor:
        """See the class."""
        read = _newest_first(history, self._history_length)
        there, asked = written(read), written(candidates)
        texts = tf.concat([read, candidates], axis=1)
        vectors = self._item_vectors(self._encode(tf.reshape(texts, [-1])))
        vectors = tf.reshape(vectors, [tf.shape(texts)[0], tf.shape(texts)[1], self._dim])
        vectors *= tf.cast(tf.concat([there, asked], axis=1), vectors.dtype)[..., None]
        shape = [-1, self._history_length, self._dim]
        items, candidate_vectors = tf.reshape(vectors[:, : shape[1]], shape), vectors[:, shape[1] :]
        nobody = tf.zeros(tf.shape(history)[:1], tf.int32)
        query = self._query({"user": nobody, "items": items, "present": there}, training=False)
        known = {"query": query, "items": items, "present": there}
        return tf.where(asked, self._head({**known, "candidates": candidate_vectors}, training=False), LOWEST)

    def _item_vectors(self, of_texts: tf.Tensor) -> tf.Tensor:
        """Of items that have this one modality."""
        inputs = self._content.input
        missing = {name: tf.zeros([tf.shape(of_texts)[0], given.shape[1]]) for name, given in inputs.items()}
        return self._content({**missing, BERT: of_texts}, training=False)


class PairTextRanker:
    """The same with a cross-encoder.

    Args:
        bert: its backbone and tokenizer.
        scorer: a `tfllmrec.models.cross_encoder.network.pair_scorer`.

    Attributes:
        models: all that it asks.
    """

    def __init__(self, bert: Bert, scorer: keras.Model) -> None:
        self._tokens, self._scorer = bert.token_ids, in_passes(scorer)
        self._titles, self._length = scorer.input["history"].shape[1:], scorer.input["candidates"].shape[2]
        self.models = [scorer]

    def __call__(self, history: tf.Tensor, candidates: tf.Tensor) -> tf.Tensor:
        """See `TextRanker`."""
        count, width = self._titles
        read = _newest_first(history, count)
        read = tf.where(written(read), read + BETWEEN_ITEMS, "")
        titles = tf.reshape(self._tokens(tf.reshape(read, [-1]), width), [-1, count, width])
        texts = self._tokens(tf.reshape(candidates, [-1]), self._length)
        texts = tf.reshape(texts, [tf.shape(candidates)[0], tf.shape(candidates)[1], self._length])
        scores = self._scorer({"history": titles, "candidates": texts}, training=False)
        return tf.where(written(candidates), scores, LOWEST)


def _newest_first(texts: tf.Tensor, count: int) -> tf.Tensor:
    """The newest texts of every row that are not blank: string [B, count], "" on the right."""
    places = tf.where(written(texts), tf.range(1, tf.shape(texts)[1] + 1), 0)
    chosen = NewestFirst()(newest(places, count))
    return tf.gather(tf.pad(texts, [[0, 0], [1, 0]], constant_values=""), chosen, batch_dims=1)

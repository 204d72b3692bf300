"""A bi-encoder asked in raw texts: histories and candidates that no catalogue knows."""

import keras
import tensorflow as tf

from tfllmrec.content.pretrained import Bert
from tfllmrec.content.text_vectors import text_encoder, written
from tfllmrec.models.history import NewestFirst, newest
from tfllmrec.models.top_items import LOWEST

BERT = "bert"
"""The column of the item table, and the modality, that BERT's vectors are."""


class TextRanker:
    """Scores candidates for a history, both as texts: string [B, any] oldest first, [B, N] -> float32 [B, N].

    A text is what an item would be that is known by this text alone. What a user searches for is one more text of the
    history, the newest. Blank texts are nothing: as a candidate one has float32's lowest score.

    Args:
        bert: makes vectors of texts.
        length: tokens of a text that are read.
        content: {"bert": float32 [n, D of BERT]} -> item vectors float32 [n, D].
        encoder: a `tfllmrec.models.two_tower.query_encoder`.
        head: a `tfllmrec.models.bi_encoder.interaction_head`.

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
        read = self._newest_first(history)
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

    def _newest_first(self, history: tf.Tensor) -> tf.Tensor:
        """The newest texts of every row that are not blank: string [B, L], "" on the right."""
        places = tf.where(written(history), tf.range(1, tf.shape(history)[1] + 1), 0)
        chosen = NewestFirst()(newest(places, self._history_length))
        return tf.gather(tf.pad(history, [[0, 0], [1, 0]], constant_values=""), chosen, batch_dims=1)

    def _item_vectors(self, of_texts: tf.Tensor) -> tf.Tensor:
        """Of items that have this one modality."""
        inputs = self._content.input
        missing = {name: tf.zeros([tf.shape(of_texts)[0], given.shape[1]]) for name, given in inputs.items()}
        return self._content({**missing, BERT: of_texts}, training=False)

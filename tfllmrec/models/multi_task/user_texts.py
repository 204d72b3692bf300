"""Vectors of user texts (reviews, searches) by a BERT: stored ones of known users, and those of a request."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import tensorflow as tf

from tfllmrec.content.bert import Bert
from tfllmrec.content.bert_encoder import mean_text_encoder
from tfllmrec.content.bert_loading import SMALL, bert_from_name, pretrained_bert
from tfllmrec.content.bert_vectors import text_vectors
from tfllmrec.content.item_texts import items_to_texts
from tfllmrec.content.user_text_means import UserTextMeans, running_means
from tfllmrec.data.dataset import Dataset
from tfllmrec.errors import InputError
from tfllmrec.models.base.saving import reading

_BERT, _VECTORS = "bert", "user_texts.npz"


class TextEncoder(tf.Module):
    """Map the texts of a request to vectors; rows without texts have the stored vector of the user.

    Args:
        bert: the BERT.
        length: tokens of a text that are read.
        vectors: the stored vectors, float32 [rows, W]; row 0 is zeros.
        rows: the row of every user, int32 [users + 1].

    Attributes:
        vectors: the stored vectors.
        rows: the row of every user, int64 [users + 1].
    """

    def __init__(self, bert: Bert, length: int, vectors: np.ndarray, rows: np.ndarray) -> None:
        super().__init__(name="text_encoder")
        self._encode = mean_text_encoder(bert, length)
        self.vectors = tf.Variable(vectors, trainable=False)
        self.rows = tf.Variable(rows.astype(np.int64), trainable=False)  # a GPU has no int32 variables

    def __call__(self, texts: tf.Tensor | None, users: tf.Tensor) -> tf.Tensor:
        """Map texts string [B, any], or None, and users int32 [B] to the means of vectors, float32 [B, W]."""
        rows = tf.gather(tf.convert_to_tensor(self.rows), users)
        stored = tf.gather(tf.convert_to_tensor(self.vectors), rows)
        if texts is None:
            return stored
        vectors, present = self._encode(texts)
        return tf.where(present[:, None], vectors, stored)


@dataclass(frozen=True)
class UserTexts:
    """The texts of users.

    Attributes:
        bert: the BERT that reads them.
        encoder: maps users and texts to vectors.
    """

    bert: Bert
    encoder: TextEncoder

    @classmethod
    def learn(cls, data: Dataset, name: str, *, length: int, seed: int) -> tuple[Self, UserTextMeans]:
        """Encode the texts of a data set.

        Args:
            data: a data set with texts in its interactions.
            name: the name of a BERT; see `tfllmrec.content.bert_loading.bert_from_name`.
            length: tokens of a text that are read.
            seed: seed of a small BERT.

        Returns:
            The texts of users, and their vectors before every interaction.

        Raises:
            InputError: If no interaction has a text, or the BERT does not exist.
        """
        texts = data.interactions["text"].to_numpy() if "text" in data.interactions else np.array([])
        present = np.array([bool(text.strip()) for text in texts], bool)
        if not present.any():
            raise InputError("interactions: column text is missing or empty; leave backbone out")
        texts = texts[present]
        bert = bert_from_name(name, [*items_to_texts(data.items), *texts], length=length, seed=seed)
        vectors = text_vectors([*texts], bert, length=length, use_cache=name != SMALL)
        written = running_means(vectors, present, data.histories.offsets)
        kept, rows = np.unique(written.latest, return_inverse=True)
        return cls(bert, TextEncoder(bert, length, written.means[kept], rows)), written

    @property
    def width(self) -> int:
        """The width of the vectors, W."""
        return int(self.encoder.vectors.shape[1])

    def encode(self, users: np.ndarray, texts: Sequence[Sequence[str]] = ()) -> tf.Tensor:
        """Return the vectors of users int32 [B], float32 [B, W]; texts of a row replace the stored ones."""
        if not any(map(len, texts)):
            return self.encoder(None, users)
        rows = tf.ragged.constant([[*row] for row in texts], tf.string, ragged_rank=1)
        return self._function(rows.to_tensor(""), users)

    @cached_property
    def _function(self) -> Callable[..., Any]:
        signature = [tf.TensorSpec([None, None], tf.string), tf.TensorSpec([None], tf.int32)]
        return tf.function(self.encoder, input_signature=signature)

    def save(self, folder: Path) -> None:
        """Write the BERT and the stored vectors to the folder of a model."""
        shutil.rmtree(folder / _BERT, ignore_errors=True)  # of an earlier save
        self.bert.save(folder / _BERT)
        np.savez(folder / _VECTORS, vectors=self.encoder.vectors.numpy(), rows=self.encoder.rows.numpy())

    @classmethod
    def load(cls, folder: Path, length: int) -> Self:
        """Read what `save` wrote."""
        with reading(folder / _VECTORS) as path, np.load(path) as file:
            vectors, rows = file["vectors"], file["rows"]
        bert = pretrained_bert(folder / _BERT)
        return cls(bert, TextEncoder(bert, length, vectors, rows))

"""Users' own texts (reviews, searches) as vectors of a BERT: those that are stored, and those given with a question."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import tensorflow as tf

from tfllmrec.content.backbone import SMALL, backbone
from tfllmrec.content.pretrained import Bert, pretrained
from tfllmrec.content.templates import item_texts
from tfllmrec.content.text_vectors import mean_encoder, text_vectors
from tfllmrec.content.written import Written, running_means
from tfllmrec.data.dataset import Dataset
from tfllmrec.errors import InputError
from tfllmrec.models.base.saving import reading

_BERT, _VECTORS = "bert", "user_texts.npz"


class UserTexts:
    """What known users wrote, one vector each, and what makes such vectors.

    Args:
        bert: makes vectors of texts.
        length: tokens of a text that are read.
        vectors: float32 [rows, D]; row 0 is zeros.
        rows: the row of every user, int32 [users + 1].

    Attributes:
        encode: texts string [B, any] -> the mean of their vectors float32 [B, D], and whether there is any, bool [B].
    """

    def __init__(self, bert: Bert, length: int, vectors: np.ndarray, rows: np.ndarray) -> None:
        self.bert, self.vectors, self.rows = bert, vectors, rows
        self.encode = mean_encoder(bert, length)
        self._encode: Callable[..., Any] = tf.function(
            self.encode, input_signature=[tf.TensorSpec([None, None], tf.string)]
        )

    @classmethod
    def learnt(cls, data: Dataset, name: str, *, length: int, seed: int) -> tuple[Self, Written]:
        """Of a data set, and what was known at every interaction.

        Args:
            data: its interactions have texts.
            name: of a BERT; see `tfllmrec.content.backbone.backbone`.
            length: tokens of a text that are read.
            seed: of a small BERT.

        Raises:
            InputError: no interaction has a text, or there is no such BERT.
        """
        texts = data.interactions["text"].to_numpy() if "text" in data.interactions else np.array([])
        there = np.array([bool(text.strip()) for text in texts], bool)
        if not there.any():
            raise InputError("interactions: column text has nothing that users wrote; leave backbone out")
        texts = texts[there]
        bert = backbone(name, [*item_texts(data.items), *texts], length=length, seed=seed)
        vectors = text_vectors([*texts], bert, length=length, keep=name != SMALL)
        written = running_means(vectors, there, data.histories.offsets)
        kept, rows = np.unique(written.newest, return_inverse=True)
        return cls(bert, length, written.states[kept], rows.astype(np.int32)), written

    @property
    def width(self) -> int:
        """D."""
        return int(self.vectors.shape[1])

    def of(self, users: np.ndarray, texts: Sequence[Sequence[str]] = ()) -> np.ndarray:
        """Vectors of users int32 [B]: of the texts that are given in a row, else of what is stored; float32 [B, D]."""
        stored = self.vectors[self.rows[users]]
        if not any(map(len, texts)):
            return stored
        rows = tf.ragged.constant([[*row] for row in texts], tf.string, ragged_rank=1)
        given, there = self._encode(rows.to_tensor(""))
        return np.where(there.numpy()[:, None], given, stored)

    def save(self, folder: Path) -> None:
        """Write to the folder of a model."""
        shutil.rmtree(folder / _BERT, ignore_errors=True)  # that of a save before
        self.bert.save(folder / _BERT)
        np.savez(folder / _VECTORS, vectors=self.vectors, rows=self.rows)

    @classmethod
    def load(cls, folder: Path, length: int) -> Self:
        """Read what `save` wrote."""
        with reading(folder / _VECTORS) as path, np.load(path) as file:
            vectors, rows = file["vectors"], file["rows"]
        return cls(pretrained(folder / _BERT), length, vectors, rows)

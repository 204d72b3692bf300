"""The signatures of a ranker: scores of candidates that were given, by id or as raw texts."""

from typing import Any

import tensorflow as tf

from tfllmrec.export.id_mapper import Names
from tfllmrec.export.numeric_core import Core
from tfllmrec.export.signature import ID_ROWS, IDS, INDEX_ROWS, INDICES, Answer, signature
from tfllmrec.export.string_ops import widened
from tfllmrec.export.target import Target
from tfllmrec.layers.history import newest
from tfllmrec.layers.top_items import LOWEST
from tfllmrec.models.base.recommender import Recommender
from tfllmrec.models.ranker.model import Ranker

MOST_CANDIDATES = 1024
"""Candidates of a row that are scored; those after them have the lowest score."""


def ranker_of(recommender: Recommender) -> Ranker | None:
    """The recommender itself, or that of a cascade; None where nothing ranks."""
    return recommender if isinstance(recommender, Ranker) else getattr(recommender, "ranker", None)


class Ranking(tf.Module):
    """What is exported of a ranker beside what every recommender has.

    Args:
        ranker: fitted.
        names: what ids mean.
        target: where it is to run.

    Attributes:
        cores: one, "candidates": users [B], histories [B, L], candidates [B, N], all int32 -> scores float32 [B, N].
    """

    def __init__(self, ranker: Ranker, names: Names, target: Target) -> None:
        super().__init__()
        self._names, self._history_length, self._target = names, ranker.history_length, target
        model, self._texts = ranker.ranker, ranker.text_ranker()  # no attribute is a Keras model; see `Servable`

        def scores(user: tf.Tensor, history: tf.Tensor, candidates: tf.Tensor) -> tf.Tensor:
            found = model({"user": user, "history": history, "candidates": candidates}, training=False)
            return tf.where(candidates > 0, found, LOWEST)

        self.cores = {"candidates": Core(scores, target)}

    def signatures(self) -> dict[str, Any]:
        """Every signature by its name."""
        history = tf.TensorSpec([None, self._history_length], tf.int32)
        return {
            "rank": signature(self.rank, user_id=IDS, history=ID_ROWS, candidate_item_ids=ID_ROWS),
            "rank_ids": signature(self.rank_ids, user=INDICES, history=history, candidates=INDEX_ROWS),
            "rank_texts": signature(self.rank_texts, history_texts=ID_ROWS, candidate_texts=ID_ROWS),
        }

    def rank(self, user_id: tf.Tensor, history: tf.Tensor, candidate_item_ids: tf.Tensor) -> Answer:
        """Scores of candidates: string [B], [B, any], [B, N] -> scores float32 [B, N].

        "" and unknown candidates have float32's lowest score.
        """
        user, given = self._names.users(user_id), self._names.items(history)
        read = newest(self._names.read(user, given), self._history_length)
        return self._scores(user, read, self._names.items(candidate_item_ids))

    def rank_ids(self, user: tf.Tensor, history: tf.Tensor, candidates: tf.Tensor) -> Answer:
        """The same in indices: int32 [B], [B, L], [B, N]; nothing stored is read."""
        user, history, candidates = self._names.in_indices(user, history, candidates)
        return self._scores(user, newest(history, self._history_length), candidates)

    def rank_texts(self, history_texts: tf.Tensor, candidate_texts: tf.Tensor) -> Answer:
        """Scores of what nobody has in a catalogue: string [B, any] oldest first, [B, N] -> scores float32 [B, N]."""
        scores = self._texts(history_texts, candidate_texts[:, :MOST_CANDIDATES])
        return {"scores": filled(scores, candidate_texts)}

    def _scores(self, user: tf.Tensor, history: tf.Tensor, candidates: tf.Tensor) -> Answer:
        scores = self.cores["candidates"](user, history, asked_of(candidates, self._target))
        return {"scores": filled(scores, candidates)}


def asked_of(candidates: tf.Tensor, target: Target) -> tf.Tensor:
    """The candidates that a core is asked for, int32 [B, any]: not too many, and of few widths for a compiled one."""
    candidates = candidates[:, :MOST_CANDIDATES]
    return widened(candidates, 2) if target.compiled else candidates


def filled(scores: tf.Tensor, candidates: tf.Tensor) -> tf.Tensor:
    """Scores [B, n] as wide as the candidates [B, any]; float32's lowest where none was computed."""
    scores = scores[:, : tf.shape(candidates)[1]]
    missing = tf.shape(candidates)[1] - tf.shape(scores)[1]
    return tf.pad(scores, [[0, 0], [0, missing]], constant_values=LOWEST)

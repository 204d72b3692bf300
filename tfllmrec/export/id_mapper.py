"""What ids mean to a model: users, items and the histories that are stored with an export."""

import tensorflow as tf

from tfllmrec.export.signature import Answer
from tfllmrec.export.string_ops import Lookup, StoredHistories, Strings, known, widened
from tfllmrec.export.target import Target
from tfllmrec.layers.history import newest
from tfllmrec.models.base.fitted_data import FittedData

EXCLUDED_BASE = 8
"""Exclusions of compiled cores have one of few widths: 1, 8, 64, 512, 4096, ..."""


class Names(tf.Module):
    """Ids to indices and back, as all signatures of an export read and write them.

    Args:
        fitted_data: the recommender's.
        history_length: items of a history that the model reads, L.
        target: where the export is to run.
    """

    def __init__(self, fitted_data: FittedData, history_length: int, target: Target) -> None:
        super().__init__()
        self._user_count, self._item_count = len(fitted_data.users), len(fitted_data.items)
        self._history_length, self._few_widths = history_length, target.compiled
        self.users, self.items = Lookup(fitted_data.users), Lookup(fitted_data.items)
        self._titles = Strings(fitted_data.titles)
        self._stored = StoredHistories(fitted_data.histories)

    def read(self, user: tf.Tensor, given: tf.Tensor) -> tf.Tensor:
        """The history the model reads, int32 [B, L]: the given one [B, any], or the stored one where none is given."""
        has_given = tf.reduce_any(given > 0, axis=1)
        stored = self._stored(tf.where(has_given, 0, user))  # nobody's history is empty
        return newest(tf.concat([stored, given], axis=1), self._history_length)

    def asked(self, user_id: tf.Tensor, history: tf.Tensor, exclude_item_ids: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Users, histories to read and everything to exclude, for a core."""
        user, given = self.users(user_id), self.items(history)
        excluded = tf.concat([self.items(exclude_item_ids), given, self._stored(user)], axis=1)
        return user, self.read(user, given), self._widened(excluded)

    def asked_after(self, history: tf.Tensor, exclude_item_ids: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """The same where nothing is known of the users."""
        given = self.items(history)
        excluded = tf.concat([self.items(exclude_item_ids), given], axis=1)
        read = newest(given, self._history_length)
        return nobody(read), read, self._widened(excluded)

    def asked_in_indices(self, user: tf.Tensor, history: tf.Tensor, exclude: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """The same of indices; nothing stored is added."""
        user, history, excluded = self.in_indices(user, history, exclude)
        return user, history, self._widened(excluded)

    def in_indices(self, user: tf.Tensor, history: tf.Tensor, items: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Users, histories to read and other items, with indices that nobody has as 0."""
        history = newest(known(history, self._item_count), self._history_length)
        return known(user, self._user_count), history, known(items, self._item_count)

    def _widened(self, excluded: tf.Tensor) -> tf.Tensor:
        return widened(excluded, EXCLUDED_BASE) if self._few_widths else excluded

    def named(self, items: tf.Tensor, scores: tf.Tensor) -> Answer:
        """Items int32 [B, K] and their scores, with ids and titles."""
        return {"item_ids": self.items.ids(items), "titles": self._titles(items), "scores": scores}


def nobody(rows: tf.Tensor) -> tf.Tensor:
    """The unknown user for every row: [B, any] -> int32 [B]."""
    return tf.zeros(tf.shape(rows)[:1], tf.int32)

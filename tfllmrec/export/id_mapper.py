"""Look-ups between ids and indices, and the histories stored with an export."""

import tensorflow as tf

from tfllmrec.export.string_ops import Lookup, StoredHistories, Strings
from tfllmrec.layers.history import most_recent
from tfllmrec.models.base.fitted_data import FittedData


class IdMapper(tf.Module):
    """Maps ids to indices and back, for all signatures of an export.

    Args:
        fitted_data: ids, titles and stored histories.

    Attributes:
        users: look-up of user ids.
        items: look-up of item ids.
        features: look-up of user features, or None.
        scenarios: look-up of scenarios, or None.
        feature_columns: number of features per user, F.
    """

    def __init__(self, fitted_data: FittedData) -> None:
        super().__init__(name="ids")
        self.users, self.items = Lookup(fitted_data.users), Lookup(fitted_data.items)
        self.features = None if fitted_data.features is None else Lookup(fitted_data.features.vocabulary)
        self.feature_columns = 0 if fitted_data.features is None else len(fitted_data.features.columns)
        self.scenarios = None if fitted_data.scenarios is None else Lookup(fitted_data.scenarios)
        self._titles = Strings(fitted_data.titles)
        self._stored = StoredHistories(fitted_data.histories)

    def stored(self, user: tf.Tensor) -> tf.Tensor:
        """Return the complete stored histories of users, int32 [B] -> int32 [B, longest]."""
        return self._stored(user)

    def history(self, user: tf.Tensor, requested: tf.Tensor, length: int) -> tf.Tensor:
        """Return the history that a model reads, int32 [B, L].

        Args:
            user: user indices, int32 [B].
            requested: history in the request, int32 [B, any]; the stored history replaces it in rows where it is empty.
            length: number of items that the model reads, L.
        """
        has_history = tf.reduce_any(requested > 0, axis=1)
        stored = self._stored(tf.where(has_history, 0, user))  # the unknown user's history is empty
        return most_recent(tf.concat([stored, requested], axis=1), length)

    def named(self, items: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the ids and titles of items int32 [B, K]."""
        return {"item_ids": self.items.ids(items), "titles": self._titles(items)}

"""The signatures of vectors: users', items', and the items near an item."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfllmrec.export.as_function import plain
from tfllmrec.export.id_mapper import Names
from tfllmrec.export.precision import StoredWeights
from tfllmrec.export.scann_index import ScannIndex
from tfllmrec.export.signature import ID_ROWS, IDS, Answer, signature
from tfllmrec.export.string_ops import rows
from tfllmrec.layers.top_items import LOWEST, top_items
from tfllmrec.models.base.fitted_data import FittedData

_TRIED = 1000  # users that an approximate index is tried with


class Vectors(tf.Module):
    """What a recommender matches: vectors of queries, if it has a model of them, and of all items.

    Args:
        recommender: one with an `index`.
        names: of the export.
        stored: the weights of its models, which are in use where this is made.
        top_k: items in an answer, K.
    """

    def __init__(self, recommender: Any, names: Names, stored: StoredWeights, top_k: int) -> None:
        super().__init__(name="vectors")
        self._names, self._top_k = names, top_k
        index = recommender.index
        self._items, self._all = (lambda items: index(items)), (lambda: index.read_all(tf.float32))
        self._biases = stored.of(index.biases) if index.biased else None
        self._inverse_norms = tf.Variable(tf.math.reciprocal_no_nan(tf.norm(self._all(), axis=1)), trainable=False)
        query_model = getattr(recommender, "query_model", None)
        self._queries = None if query_model is None else plain(query_model)

    def signatures(self) -> dict[str, Any]:
        """Every signature by its name, as a `tf.function` with named inputs."""
        found = {
            "embed_items": signature(self.embed_items, item_ids=IDS),
            "similar_items": signature(self.similar_items, item_id=IDS, exclude_item_ids=ID_ROWS),
        }
        if self._queries is not None:
            found["embed_query"] = signature(self.embed_query, user_id=IDS, history=ID_ROWS)
        return found

    def embed_query(self, user_id: tf.Tensor, history: tf.Tensor) -> Answer:
        """Query vectors: string [B], [B, any] -> embedding float32 [B, D]."""
        assert self._queries is not None, "this family has no query model"
        user, given = self._names.users(user_id), self._names.items(history)
        return {"embedding": self._queries(user, self._names.read(user, given))}

    def embed_items(self, item_ids: tf.Tensor) -> Answer:
        """Item vectors: string [B] -> embeddings float32 [B, D]; item 0's zeros for unknown items.

        Where items have a bias there are biases float32 [B] as well: a score is query . item + bias.
        """
        items = self._names.items(item_ids)
        answer = {"embeddings": self._items(items)}
        return answer if self._biases is None else answer | {"biases": rows(self._biases, items)}

    def similar_items(self, item_id: tf.Tensor, exclude_item_ids: tf.Tensor) -> Answer:
        """The items with the nearest vectors: string [B], [B, any] -> item_ids, titles, scores, each [B, K].

        Scores are cosines. The item itself does not come back. An unknown item is like nothing: no items,
        rather than popular ones that would pass for similar.
        """
        item = self._names.items(item_id)
        asked = self._items(item) * rows(self._inverse_norms, item)[:, None]
        cosines = tf.matmul(asked, self._all(), transpose_b=True) * self._inverse_norms
        excluded = tf.concat([self._names.items(exclude_item_ids), item[:, None]], axis=1)
        return self._names.named(*top_items(tf.where(item[:, None] > 0, cosines, LOWEST), excluded, self._top_k))

    def queries(self, user: tf.Tensor, history: tf.Tensor, features: tf.Tensor | None = None) -> tf.Tensor:
        """What a `scann_index` is asked: query vectors, with a 1 for the items' biases where they have any."""
        assert self._queries is not None, "this family has no query model"
        vectors = self._queries(user, history, features)
        return vectors if self._biases is None else tf.pad(vectors, [[0, 0], [0, 1]], constant_values=1.0)

    def scann_index(self, fitted_data: FittedData) -> ScannIndex:
        """An index of the items, tried with the stored histories of some users."""
        users = tf.constant(np.random.default_rng(0).permutation(len(fitted_data.users))[:_TRIED] + 1, tf.int32)
        histories = self._names.read(users, tf.zeros([len(users), 0], tf.int32))
        vectors = self._all() if self._biases is None else tf.concat([self._all(), self._biases[:, None]], axis=1)
        return ScannIndex(vectors.numpy(), self.queries(users, histories).numpy(), self._top_k)

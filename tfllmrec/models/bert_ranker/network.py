"""The interaction head of a bi-encoder: scores from the vectors of a query, a history and candidates."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tfllmrec.layers.history import MostRecentFirst, recency_biases
from tfllmrec.layers.item_index import ItemIndex
from tfllmrec.layers.scoring import scoring_inputs


@keras.saving.register_keras_serializable("tfllmrec")
class TargetAttention(keras.layers.Layer):
    """Attention from candidates to a history (after Zhou et al., 2018, KDD).

    A head returns a weighted mean of the products of the candidate with the items of the history. The weights are a
    softmax over the history of an age bias plus the scaled product of the candidate with a key of the item.

    Maps history float32 [B, L, D], newest first, present bool [B, L] and candidates float32 [B, N, D] to float32
    [B, N, heads]; zeros for an empty history.

    Args:
        pooling_heads: number of weighted means.
    """

    def __init__(self, pooling_heads: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pooling_heads = pooling_heads

    def build(self, history_shape: Any, present_shape: Any, candidates_shape: Any) -> None:
        length, dim = history_shape[1:]
        # Keys are computed from the history, which is shorter than the list of candidates.
        self.keys = keras.layers.Dense(self.pooling_heads * dim, name="keys")
        self.keys.build(history_shape)
        self.age_bias = self.add_weight(shape=(self.pooling_heads, length), name="age_bias")
        self.age_bias.assign(recency_biases(self.pooling_heads, length))

    def call(self, history: tf.Tensor, present: tf.Tensor, candidates: tf.Tensor) -> tf.Tensor:
        length, dim = history.shape[1:]
        keys = tf.reshape(self.keys(history), [-1, length, self.pooling_heads, dim])
        fit = tf.einsum("bnd,blhd->bnhl", candidates, keys) / np.sqrt(dim) + self.age_bias
        weights = tf.nn.softmax(tf.where(present[:, None, None], fit, _MASKED), axis=-1)
        products = tf.matmul(candidates, history, transpose_b=True)  # padding has zero vectors
        return tf.reduce_sum(weights * products[:, :, None], axis=-1)

    def compute_output_spec(
        self, history: keras.KerasTensor, present: keras.KerasTensor, candidates: keras.KerasTensor
    ) -> keras.KerasTensor:
        return keras.KerasTensor((*candidates.shape[:2], self.pooling_heads), "float32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "pooling_heads": self.pooling_heads}


_MASKED = -1e9


def interaction_head(
    *,
    dim: int,
    history_length: int,
    pooling_heads: int = 2,
    hidden_units: int = 64,
    dropout: float = 0.2,
    mean_rating: float | None = None,
) -> keras.Model:
    """Build the model that scores candidates: the product of query and candidate vectors plus a perceptron.

    The perceptron reads the elementwise products of query and candidate and the output of `TargetAttention`. Its last
    layer starts at zero, so an untrained head ranks as the vectors do.

    Args:
        dim: width D of all vectors.
        history_length: length of histories, L.
        pooling_heads: heads of `TargetAttention`.
        hidden_units: units of the perceptron.
        dropout: dropout of the inputs and the hidden units of the perceptron.
        mean_rating: initial score for the prediction of ratings. Ratings are the output of the perceptron alone,
            because a likely item is not always a liked one; it reads the candidate vectors, too. None for ranking.

    Returns:
        A model of {"query": float32 [B, D], "items": float32 [B, L, D] newest first, "present": bool [B, L],
        "candidates": float32 [B, N, D]} to scores float32 [B, N].
    """
    query = keras.Input((dim,), name="query")
    items = keras.Input((history_length, dim), name="items")
    present = keras.Input((history_length,), dtype="bool", name="present")
    candidates = keras.Input((None, dim), name="candidates")
    products = query[:, None] * candidates
    attended = TargetAttention(pooling_heads, name="target_attention")(items, present, candidates)
    parts = [products, attended] if mean_rating is None else [products, attended, candidates]
    read = keras.layers.Dropout(dropout)(keras.layers.Concatenate()(parts))
    inner = keras.layers.Dropout(dropout)(
        keras.layers.Dense(hidden_units, activation="relu", name="hidden_units")(read)
    )
    start = keras.initializers.Constant(mean_rating or 0.0)
    added = keras.layers.Dense(1, kernel_initializer="zeros", bias_initializer=start, name="added")(inner)
    scores = ops.squeeze(added, axis=-1)
    if mean_rating is None:
        scores += ops.sum(products, axis=-1)
    inputs = {"query": query, "items": items, "present": present, "candidates": candidates}
    return keras.Model(inputs, scores, name="interaction_head")


def bi_encoder(items: keras.layers.Layer, encoder: keras.Model, head: keras.Model) -> keras.Model:
    """Build the model of {"user": int32 [B], "history": int32 [B, L], "candidates": int32 [B, N]} to scores [B, N].

    Args:
        items: maps item indices to vectors: an `ItemEmbedding`, or a fixed table for serving.
        encoder: a `tfllmrec.models.two_tower.network.query_encoder`.
        head: an `interaction_head`.
    """
    inputs = scoring_inputs(encoder.input["items"].shape[1])
    candidates = keras.Input((None,), dtype="int32", name="candidates")
    query = _query_inputs(inputs, items, encoder)
    return keras.Model({**inputs, "candidates": candidates}, head({**query, "candidates": items(candidates)}))


def scores_of_all(index: ItemIndex, encoder: keras.Model, head: keras.Model) -> keras.Model:
    """Build the model of {"user": int32 [B], "history": int32 [B, L]} to scores of all items, [B, items + 1].

    Args:
        index: the vectors of all items.
        encoder: a `tfllmrec.models.two_tower.network.query_encoder`.
        head: an `interaction_head`.
    """
    inputs = scoring_inputs(encoder.input["items"].shape[1])
    query = _query_inputs(inputs, index, encoder)
    return keras.Model(inputs, _AllItemScores(index, head)(query["query"], query["items"], query["present"]))


def _query_inputs(inputs: dict[str, Any], items: keras.layers.Layer, encoder: keras.Model) -> dict[str, Any]:
    """Return the inputs of the head except the candidates."""
    most_recent_first = MostRecentFirst()(inputs["history"])
    vectors, present = items(most_recent_first), most_recent_first > 0
    return {"query": _FrozenEncoder(encoder)(inputs["user"], vectors, present), "items": vectors, "present": present}


class _FrozenEncoder(keras.layers.Layer):
    """Call an encoder without dropout, also in training: a functional model would pass `training` on to it."""

    def __init__(self, encoder: keras.Model) -> None:
        super().__init__()
        self._encoder = encoder

    def call(self, user: tf.Tensor, items: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
        return self._encoder({"user": user, "items": items, "present": present}, training=False)

    def compute_output_spec(
        self, user: keras.KerasTensor, items: keras.KerasTensor, present: keras.KerasTensor
    ) -> keras.KerasTensor:
        return keras.KerasTensor((user.shape[0], items.shape[2]), "float32")


class _AllItemScores(keras.layers.Layer):
    """Score all items of an index, a user at a time: attention for a batch of users would take gigabytes."""

    def __init__(self, index: ItemIndex, head: keras.Model) -> None:
        super().__init__()
        self._index, self._head = index, head

    def call(self, query: tf.Tensor, items: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
        all_items = self._index.read_all(query.dtype)[None]

        def score(row: dict[str, tf.Tensor]) -> tf.Tensor:
            batch = {name: part[None] for name, part in row.items()}
            return self._head({**batch, "candidates": all_items}, training=False)[0]

        rows = {"query": query, "items": items, "present": present}
        return tf.map_fn(score, rows, fn_output_signature=tf.float32)

    def compute_output_spec(
        self, query: keras.KerasTensor, items: keras.KerasTensor, present: keras.KerasTensor
    ) -> keras.KerasTensor:
        return keras.KerasTensor((query.shape[0], self._index.item_count + 1), "float32")

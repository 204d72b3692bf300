"""Query and candidate towers as functional models over item and user indices."""

from dataclasses import dataclass
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tfllmrec.layers.history import MostRecentFirst, recency_biases
from tfllmrec.layers.items import ItemEmbedding
from tfllmrec.layers.scoring import scoring_inputs
from tfllmrec.layers.users import FeatureMean, StoredFeatures


@keras.saving.register_keras_serializable("tfllmrec")
class HistoryPooling(keras.layers.Layer):
    """Pool a history to several weighted means.

    The weights of a head are a softmax over the history of an age bias plus the scaled product of the item with a query
    computed from the newest items. The age biases start as exponential decays, one per head.

    Maps items float32 [B, L, D], newest first with zeros for padding, present bool [B, L] and newest float32 [B, n] to
    float32 [B, heads * D]; zeros for an empty history.

    Args:
        pooling_heads: number of weighted means.
    """

    def __init__(self, pooling_heads: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pooling_heads = pooling_heads

    def build(self, items_shape: Any, present_shape: Any, newest_shape: Any) -> None:
        length, dim = items_shape[1:]
        self.query = keras.layers.Dense(self.pooling_heads * dim, name="query")
        self.query.build(newest_shape)
        self.age_bias = self.add_weight(shape=(self.pooling_heads, length), name="age_bias")
        self.age_bias.assign(recency_biases(self.pooling_heads, length))

    def call(self, items: Any, present: Any, newest: Any) -> Any:
        dim = items.shape[2]
        query = tf.reshape(self.query(newest), (-1, self.pooling_heads, dim))
        fit = tf.matmul(query, items, transpose_b=True) / np.sqrt(dim) + self.age_bias
        weights = tf.nn.softmax(tf.where(present[:, None], fit, -1e9), axis=-1)
        return tf.reshape(tf.matmul(weights, items), (-1, self.pooling_heads * dim))

    def compute_output_spec(self, items: Any, present: Any, newest: Any) -> keras.KerasTensor:
        return keras.KerasTensor((items.shape[0], self.pooling_heads * items.shape[2]), "float32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "pooling_heads": self.pooling_heads}


def query_encoder(
    *,
    dim: int,
    history_length: int,
    user_count: int | None,
    features: tuple[int, int] | None = None,
    recent_items: int = 3,
    pooling_heads: int = 4,
    hidden_units: int = 256,
    feature_dropout: float = 0.3,
    dropout: float = 0.3,
) -> keras.Model:
    """Build the model that encodes a user and the item vectors of a history as a query vector.

    Its inputs are the vectors of the newest items, the pooled history, the user vector and the mean vector of the user
    features. A perceptron with one hidden layer is added to a linear path and layer-normalised.

    Args:
        dim: width D of item, user and query vectors.
        history_length: length of histories, L.
        user_count: number of users with a vector, or None for a model without user vectors.
        features: number of different features, and of features of a user, F; None for a model without features.
        recent_items: newest items that are separate inputs.
        pooling_heads: heads of `HistoryPooling`.
        hidden_units: units of the perceptron.
        feature_dropout: dropout of the inputs.
        dropout: dropout of the hidden units.

    Returns:
        A model of {"user": int32 [B], "items": float32 [B, L, D], "present": bool [B, L]} to float32 [B, D]. Items are
        newest first, with zeros for padding. With features, "features": int32 [B, F] is another input.
    """
    recent_items = min(recent_items, history_length)
    user = keras.Input((), dtype="int32", name="user")
    items = keras.Input((history_length, dim), name="items")
    present = keras.Input((history_length,), dtype="bool", name="present")
    last = ops.reshape(items[:, :recent_items], (-1, recent_items * dim))
    inputs = {"user": user, "items": items, "present": present}
    parts = [last, HistoryPooling(pooling_heads, name="pooling")(items, present, last)]
    if user_count is not None:
        own = keras.layers.Embedding(
            user_count + 1, dim, keras.initializers.RandomNormal(stddev=0.01), name="user_vectors"
        )
        parts.append(own(user))
    if features is not None:
        count, columns = features
        inputs["features"] = keras.Input((columns,), dtype="int32", name="features")
        parts.append(FeatureMean(count, dim, name="feature_mean")(inputs["features"]))
    joined = keras.layers.Dropout(feature_dropout)(keras.layers.Concatenate()(parts))
    inner = keras.layers.Dropout(dropout)(keras.layers.Dense(hidden_units, activation="relu")(joined))
    query = keras.layers.Dense(dim)(inner) + keras.layers.Dense(dim, use_bias=False, name="linear")(joined)
    query = keras.layers.LayerNormalization(name="query")(query)
    return keras.Model(inputs, query, name="query_encoder")


def query_tower(encoder: keras.Model, items: keras.layers.Layer, stored: StoredFeatures | None = None) -> keras.Model:
    """Build the model of {"user": int32 [B], "history": int32 [B, L] oldest first} to query vectors float32 [B, D].

    Args:
        encoder: a `query_encoder`.
        items: maps item indices to vectors: an `ItemEmbedding`, or a fixed table for serving.
        stored: features of known users, for an encoder that reads features. Another input, "user_features": int32
            [B, F], replaces them.
    """
    inputs = scoring_inputs(encoder.input["items"].shape[1], 0 if stored is None else stored.columns)
    most_recent_first = MostRecentFirst()(inputs["history"])
    read = {"user": inputs["user"], "items": items(most_recent_first), "present": most_recent_first > 0}
    if stored is not None:
        read["features"] = stored(inputs["user"], inputs["user_features"])
    return keras.Model(inputs, encoder(read), name="query_tower")


def candidate_tower(items: keras.layers.Layer, dropout: float = 0.0) -> keras.Model:
    """Build the model of item indices int32 [C] to candidate vectors float32 [C, D].

    Args:
        items: maps item indices to vectors.
        dropout: dropout of the vectors.
    """
    item = keras.Input((), dtype="int32", name="item")
    return keras.Model(item, keras.layers.Dropout(dropout)(items(item)), name="candidate_tower")


@dataclass(frozen=True)
class TwoTowerNetwork:
    """The trained towers.

    Attributes:
        model: both towers as one flat model, which saves shared layers once: {"user", "history", perhaps
            "user_features", "item"} to {"query": float32 [B, D], "candidate": float32 [C, D]}.
        query_tower: a `query_tower`.
        candidate_tower: a `candidate_tower`.
        encoder: the `query_encoder`.
        items: the item embedding.
        stored_features: the features of known users, or None.
    """

    model: keras.Model
    query_tower: keras.Model
    candidate_tower: keras.Model
    encoder: keras.Model
    items: ItemEmbedding
    stored_features: StoredFeatures | None

    @classmethod
    def of(
        cls,
        encoder: keras.Model,
        items: ItemEmbedding,
        stored_features: StoredFeatures | None = None,
        candidate_dropout: float = 0.0,
    ) -> Self:
        """Build both towers around an encoder and an item embedding."""
        queries, candidates = query_tower(encoder, items, stored_features), candidate_tower(items, candidate_dropout)
        inputs = {**queries.input, "item": candidates.input}
        outputs = {"query": queries.output, "candidate": candidates.output}
        return cls._of_model(keras.Model(inputs, outputs, name="two_towers"), encoder, items, stored_features)

    @classmethod
    def restore(cls, model: keras.Model, *, features: bool = False) -> Self:
        """Take a loaded model apart.

        Args:
            model: a saved `TwoTowerNetwork.model`.
            features: whether it reads user features.
        """
        stored_features = model.get_layer("stored_features") if features else None
        return cls._of_model(model, model.get_layer("query_encoder"), model.get_layer("items"), stored_features)

    @classmethod
    def _of_model(
        cls, model: keras.Model, encoder: keras.Model, items: ItemEmbedding, stored_features: StoredFeatures | None
    ) -> Self:
        inputs = {name: tensor for name, tensor in model.input.items() if name != "item"}
        queries = keras.Model(inputs, model.output["query"], name="query_tower")
        candidates = keras.Model(model.input["item"], model.output["candidate"], name="candidate_tower")
        return cls(model, queries, candidates, encoder, items, stored_features)

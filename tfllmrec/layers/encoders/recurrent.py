"""Recurrent encoder: item vectors of a history to a state at every position, and a head from states to queries."""

from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from tfllmrec.layers.history import recency_biases

Cell = Literal["lstm", "gru"]
Precision = Literal["float32", "bfloat16"]

_CELLS = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}
_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


@keras.saving.register_keras_serializable("tfllmrec")
class HistoryMeans(keras.layers.Layer):
    """Weighted means of the items up to every position of a history.

    The weights of a head are a softmax over trainable biases of the items' ages, which start as exponential decays,
    one rate per head. Items float32 [B, L, D], oldest first -> float32 [B, L, heads * D]; position t sees items 0..t.

    Args:
        pooling_heads: number of weighted means.
    """

    def __init__(self, pooling_heads: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pooling_heads = pooling_heads

    def build(self, items_shape: Any) -> None:
        length = items_shape[1]
        self.age_bias = self.add_weight(shape=(self.pooling_heads, length), name="age_bias")
        self.age_bias.assign(recency_biases(self.pooling_heads, length))
        ages = np.arange(length)[:, None] - np.arange(length)
        self._ages, self._future = np.maximum(ages, 0), ages < 0

    def call(self, items: Any) -> Any:
        length, dim = items.shape[1:]
        biases = tf.gather(tf.convert_to_tensor(self.age_bias), self._ages, axis=1)
        weights = tf.nn.softmax(tf.where(self._future, -1e9, biases), axis=-1)
        flat = tf.reshape(weights, (1, self.pooling_heads * length, length))
        means = tf.reshape(tf.matmul(flat, items), (-1, self.pooling_heads, length, dim))
        return tf.reshape(tf.transpose(means, (0, 2, 1, 3)), (-1, length, self.pooling_heads * dim))

    def compute_output_spec(self, items: Any) -> keras.KerasTensor:
        return keras.KerasTensor((*items.shape[:2], self.pooling_heads * items.shape[2]), "float32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "pooling_heads": self.pooling_heads}


def history_encoder(
    *,
    dim: int,
    history_length: int,
    units: int,
    cell: Cell = "lstm",
    layers: int = 1,
    pooling_heads: int = 0,
    normalise: bool = False,
    input_dropout: float = 0.2,
    dropout: float = 0.2,
    precision: Precision = "float32",
) -> keras.Model:
    """Build the encoder that maps item vectors to a state after every item.

    It stacks recurrent layers (Hidasi et al., 2016, ICLR) with residual connections from the second layer on, and
    optionally concatenates weighted means of the items so far. Histories are padded on the right and no state depends
    on later positions, so the layers need no mask.

    Args:
        dim: width D of the item vectors.
        history_length: number of positions L.
        units: units of every recurrent layer.
        cell: "lstm" or "gru".
        layers: number of recurrent layers.
        pooling_heads: number of weighted means (`HistoryMeans`); 0 adds none.
        normalise: apply LayerNorm to the item vectors.
        input_dropout: dropout rate of the item vectors and of the means.
        dropout: dropout rate of the recurrent layers' outputs.
        precision: compute type of the recurrent layers; weights and states are float32.

    Returns:
        Model: item vectors float32 [B, L, D], oldest first -> states float32 [B, L, units + heads * D].
    """
    items = keras.Input((history_length, dim), name="items")
    vectors = keras.layers.LayerNormalization(name="normalised")(items) if normalise else items
    state = keras.layers.Dropout(input_dropout)(vectors)
    for number in range(layers):
        name = f"{cell}_{number + 1}"
        recurrent = _CELLS[cell](units, return_sequences=True, name=name, dtype=_POLICIES[precision])
        new = keras.layers.Dropout(dropout)(recurrent(state))
        state = state + new if number else new
    if pooling_heads:
        means = keras.layers.Dropout(input_dropout)(HistoryMeans(pooling_heads, name="means")(vectors))
        state = keras.layers.Concatenate()([state, means])
    return keras.Model(items, state, name="history_encoder")


def query_head(
    width: int,
    dim: int,
    *,
    hidden_units: int = 0,
    dropout: float = 0.2,
    query_dropout: float = 0.0,
    name: str = "query_head",
) -> keras.Model:
    """Build the head that maps states to query vectors.

    It is a linear projection, optionally plus a perceptron with one hidden layer, followed by LayerNorm. There is no
    projection if the states are as wide as the query vectors and there is no perceptron.

    Args:
        width: width F of the states.
        dim: width D of the query vectors.
        hidden_units: hidden units of the perceptron; 0 adds no perceptron.
        dropout: dropout rate of the hidden units.
        query_dropout: dropout rate of the query vectors.
        name: name of the model.

    Returns:
        Model: states float32 [n, F] -> query vectors float32 [n, D].
    """
    state = keras.Input((width,), name="state")
    query = state
    if hidden_units or width != dim:
        query = keras.layers.Dense(dim, name="linear")(state)
    if hidden_units:
        inner = keras.layers.Dropout(dropout)(
            keras.layers.Dense(hidden_units, activation="relu", name="hidden_units")(state)
        )
        query = query + keras.layers.Dense(dim, use_bias=False, name="perceptron")(inner)
    query = keras.layers.LayerNormalization(name="query")(query)
    return keras.Model(state, keras.layers.Dropout(query_dropout)(query), name=name)

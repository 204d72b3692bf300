"""Task heads: ratings and likes of user-item pairs, and logits of labels."""

from typing import Any

import keras
import tensorflow as tf

from tfllmrec.layers.items import ItemBias, gather_with_dense_gradient


@keras.saving.register_keras_serializable("tfllmrec")
class UserBias(keras.layers.Layer):
    """A learnt bias of every user; 0 for unknown users. int32 [n] -> float32 [n].

    Args:
        user_count: number of known users.
    """

    def __init__(self, user_count: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.user_count = user_count
        self.bias = self.add_weight(shape=(user_count + 1,), initializer="zeros", name="bias")

    def call(self, users: tf.Tensor) -> tf.Tensor:
        """Look up biases."""
        return tf.where(users > 0, gather_with_dense_gradient(self.bias, users), 0.0)

    def compute_output_spec(self, users: keras.KerasTensor) -> keras.KerasTensor:
        """Return the spec of the biases [n]."""
        return keras.KerasTensor(users.shape, "float32")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "user_count": self.user_count}


def pair_head(
    dim: int, users: int, items: int, *, hidden_units: int = 64, dropout: float = 0.2, start: float = 0.0, name: str
) -> keras.Model:
    """Build a head for pairs of a user and an item: a perceptron over both vectors and their product, and biases.

    Args:
        dim: width of both vectors, D.
        users: number of users with a bias.
        items: number of items with a bias.
        hidden_units: units of the perceptron.
        dropout: dropout of its inputs and of its units.
        start: initial output for all pairs.
        name: name of the model.

    Returns:
        {"query": float32 [n, D], "candidate": float32 [n, D], "user": int32 [n], "item": int32 [n]} to float32 [n].
    """
    query, candidate = (keras.Input((dim,), name=side) for side in ("query", "candidate"))
    user, item = (keras.Input((), dtype="int32", name=side) for side in ("user", "item"))
    pair = keras.layers.Concatenate()([query, candidate, query * candidate])
    hidden = keras.layers.Dense(hidden_units, activation="relu", name="hidden_units")(
        keras.layers.Dropout(dropout)(pair)
    )
    initial = keras.initializers.Constant(start)
    output = keras.layers.Dense(1, bias_initializer=initial, name="output")(keras.layers.Dropout(dropout)(hidden))
    biases = UserBias(users, name="user_bias")(user) + ItemBias(items, name="item_bias")(item)
    inputs = {"query": query, "candidate": candidate, "user": user, "item": item}
    return keras.Model(inputs, keras.ops.squeeze(output, axis=-1) + biases, name=name)


def label_head(dim: int, labels: int, *, text_width: int = 0, dropout: float = 0.0, name: str) -> keras.Model:
    """Build a head for labels.

    Args:
        dim: width of the vectors, D.
        labels: number of labels.
        text_width: width of the vectors of user texts, W; 0 for a head that does not read them.
        dropout: dropout of the vectors.
        name: name of the model.

    Returns:
        {"query": float32 [n, D], with texts also "written": float32 [n, W]} to logits float32 [n, labels].
    """
    inputs = {"query": keras.Input((dim,), name="query")}
    logits = keras.layers.Dense(labels, name="logits")(keras.layers.Dropout(dropout)(inputs["query"]))
    if text_width:
        inputs["written"] = keras.Input((text_width,), name="written")
        of_texts = keras.layers.Dense(labels, use_bias=False, kernel_initializer="zeros", name="text_logits")
        logits += of_texts(inputs["written"])
    return keras.Model(inputs, logits, name=name)

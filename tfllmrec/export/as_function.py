"""Models as functions of users, histories and what else some of them read."""

from collections.abc import Callable

import keras
import tensorflow as tf


def plain(model: keras.Model) -> Callable[..., tf.Tensor]:
    """A model of users, histories and perhaps users' features as a function, which `tf.Module` does not track."""
    width = model.input["user_features"].shape[1] if "user_features" in model.input else None

    def answer(
        user: tf.Tensor, history: tf.Tensor, features: tf.Tensor | None = None, exclude: tf.Tensor | None = None
    ) -> tf.Tensor:
        inputs = {"user": user, "history": history}
        if "exclude" in model.input:
            inputs["exclude"] = exclude
        if width is not None:
            inputs["user_features"] = tf.zeros([tf.shape(user)[0], width], tf.int32) if features is None else features
        return model(inputs, training=False)

    return answer

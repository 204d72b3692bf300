"""Scoring of many candidates in passes of bounded memory."""

import keras
import tensorflow as tf

_PAIRS = 128  # pairs a pass; states of 100 tokens each are 80 MB in the widest layer of a small BERT


def in_passes(ranker: keras.Model) -> keras.Model:
    """Return a ranker that scores few pairs in a pass; all pairs in one pass would take gigabytes.

    Args:
        ranker: a `tfllmrec.models.cross_encoder.network.cross_encoder`, or a `pair_scorer`; its inputs have users on
            the first axis.
    """
    return keras.Model(ranker.input, _InPasses(ranker)(ranker.input), name=ranker.name)


class _InPasses(keras.layers.Layer):
    """Call a ranker on some candidates of one user at a time; in training on all."""

    def __init__(self, ranker: keras.Model) -> None:
        super().__init__()
        self._ranker = ranker

    def call(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        if training:
            return self._ranker(inputs, training=True)
        shape = tf.shape(inputs["candidates"])
        rows, count = shape[0], shape[1]
        passes = tf.maximum(1, -(-count // _PAIRS))  # passes a row
        size = -(-count // passes)
        users = tf.maximum(1, rows)  # `map_fn` fails on no rows
        padded = {name: _pad(tensor, 0, users - rows) for name, tensor in inputs.items()}
        repeated = {name: tf.repeat(tensor, passes, axis=0) for name, tensor in padded.items()}
        candidates = _pad(padded["candidates"], 1, passes * size - count)
        repeated["candidates"] = tf.reshape(candidates, tf.concat([[users * passes, size], shape[2:]], axis=0))

        def score(row: dict[str, tf.Tensor]) -> tf.Tensor:
            return self._ranker({name: tensor[None] for name, tensor in row.items()}, training=False)[0]

        scores = tf.map_fn(score, repeated, fn_output_signature=tf.float32, parallel_iterations=1)
        return tf.reshape(scores, [users, passes * size])[:rows, :count]

    def compute_output_spec(self, inputs: dict[str, keras.KerasTensor], training: bool = False) -> keras.KerasTensor:
        return keras.KerasTensor(inputs["candidates"].shape[:2], "float32")


def _pad(values: tf.Tensor, axis: int, missing: tf.Tensor) -> tf.Tensor:
    """Pad an axis with zeros at its end."""
    return tf.pad(values, [[0, missing if position == axis else 0] for position in range(values.shape.rank)])

"""Text encoders of a BERT as TensorFlow functions: mean token states of length 1."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from tfllmrec.content.bert import Bert
from tfllmrec.content.text_tensors import has_text, import_keras_nlp

if TYPE_CHECKING:
    import tensorflow as tf


def text_encoder(bert: Bert, length: int) -> "Callable[[tf.Tensor], tf.Tensor]":
    """Return a function from texts to vectors, which also works in served graphs: string [n] -> float32 [n, D].

    A vector is the mean of the token states of a text, scaled to length 1; the vector of a blank text is zero.

    Args:
        bert: the model.
        length: tokens per text; capped at the maximum length of the model.
    """
    keras_nlp = import_keras_nlp()
    import tensorflow as tf

    preprocess, embedder = bert.preprocessor(length), keras_nlp.models.BertTextEmbedder(bert.backbone)

    def encode(texts: tf.Tensor) -> tf.Tensor:
        tokens = preprocess(texts)
        longest = tf.reduce_max(tf.reduce_sum(tf.cast(tokens["padding_mask"], tf.int32), axis=1))
        vectors = embedder({name: values[:, :longest] for name, values in tokens.items()})
        return tf.where(has_text(texts)[:, None], tf.cast(vectors, tf.float32), 0.0)

    return encode


def mean_text_encoder(bert: Bert, length: int) -> "Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]":
    """Return a function from rows of texts to the mean of their vectors and a mask of the rows that have a text.

    The function maps string [B, any] to float32 [B, D] and bool [B]. Blank texts are ignored; a row without texts has
    zeros.

    Args:
        bert: the model.
        length: tokens per text.
    """
    import tensorflow as tf

    encode = text_encoder(bert, length)

    def mean(texts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        is_text = has_text(texts)
        # The leading "" keeps the batch non-empty.
        vectors = encode(tf.concat([[""], tf.boolean_mask(texts, is_text)], axis=0))[1:]
        rows = tf.where(is_text)[:, 0]
        return tf.math.unsorted_segment_mean(vectors, rows, tf.shape(texts)[0]), tf.reduce_any(is_text, axis=1)

    return mean

"""Texts as string tensors for the tokenizers of KerasNLP."""

from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING

from tfllmrec.quiet import suppress_widget_warnings

if TYPE_CHECKING:
    import tensorflow as tf


def import_keras_nlp() -> ModuleType:
    """Import `keras_nlp`, which takes seconds, without its warning about notebook widgets."""
    with suppress_widget_warnings():
        import keras_nlp
    return keras_nlp


def text_dataset(texts: Sequence[str]) -> "tf.data.Dataset":
    """Return texts as a `tf.data.Dataset` of string tensors []; a lone surrogate is replaced by "?"."""
    import tensorflow as tf

    utf8 = [text.encode("utf-8", "replace") for text in texts]
    return tf.data.Dataset.from_tensor_slices(tf.constant(utf8, tf.string, shape=[len(utf8)]))


def normalise_spaces(texts: "tf.Tensor") -> "tf.Tensor":
    """Replace Unicode spaces (no-break, ideographic, ...) and NUL, at which KerasNLP does not split, by plain spaces.

    Args:
        texts: string of any shape.
    """
    import tensorflow as tf

    return tf.strings.regex_replace(texts, r"[\p{Z}\x00]", " ")


def has_text(texts: "tf.Tensor") -> "tf.Tensor":
    """Return a mask of the texts that are not blank: string of any shape -> bool."""
    import tensorflow as tf

    return tf.strings.strip(normalise_spaces(texts)) != ""

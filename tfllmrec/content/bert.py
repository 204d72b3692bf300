"""BERT with its tokenizer: token ids, fingerprint, saving."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfllmrec.content.text_tensors import import_keras_nlp, normalise_spaces, text_dataset
from tfllmrec.files import atomic_folder

_TOKENIZER_OPTIONS = ("lowercase", "strip_accents")


@dataclass(frozen=True, eq=False)
class Bert:
    """BERT encoder and its tokenizer.

    Attributes:
        backbone: `keras_nlp.models.BertBackbone`.
        tokenizer: `keras_nlp.models.BertTokenizer`.

    Example:
        >>> import keras_nlp
        >>> words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "花", "alien"]
        >>> tokenizer = keras_nlp.models.BertTokenizer(words, lowercase=True)
        >>> bert = Bert(keras_nlp.models.BertBackbone(len(words), 1, 2, 8, 16), tokenizer)
        >>> bert.token_ids(tf.constant(["Alien", ""]), 2).numpy()
        array([[6, 0],
               [0, 0]], dtype=int32)
        >>> bert.preprocessor(4)(tf.constant(["Alien"]))["token_ids"].numpy()
        array([[2, 6, 3, 0]], dtype=int32)
        >>> bert.unknown_share(["花园"])
        0.5
    """

    backbone: Any
    tokenizer: Any

    @property
    def fingerprint(self) -> str:
        """Hash of tokenizer and weights; equal for two models that encode texts equally, wherever they are stored."""
        digest, tokenizer = hashlib.sha256(), self.tokenizer
        settings = (self.backbone.num_heads, tokenizer.lowercase, tokenizer.strip_accents, tokenizer.vocabulary)
        digest.update(repr(settings).encode())
        for weight in self.backbone.weights:
            digest.update(f"{weight.shape} {weight.dtype}".encode() + weight.numpy().tobytes())
        return digest.hexdigest()

    def with_bfloat16_compute(self) -> "Bert":
        """Return a copy with float32 weights that computes in bfloat16."""
        config = {**self.backbone.get_config(), "dtype": "mixed_bfloat16"}
        backbone = type(self.backbone).from_config(config)
        backbone.set_weights(self.backbone.get_weights())
        return Bert(backbone, self.tokenizer)

    def preprocessor(self, length: int) -> Callable[..., Any]:
        """Return a function from texts to the inputs of the model; it also works in `tf.data` and in served graphs.

        The function takes one or several string tensors [B]. Several are joined with [SEP]; the first has precedence
        if they do not fit. It returns {"token_ids": int32, "segment_ids": int32, "padding_mask": bool}, each
        [B, length].

        Args:
            length: tokens per text, including [CLS] and [SEP]; capped at the maximum length of the model.
        """
        keras_nlp = import_keras_nlp()

        sequence_length = min(length, self.backbone.max_sequence_length)
        # TF Serving up to 2.19 lacks an operation that truncate="round_robin" needs.
        pack = keras_nlp.models.BertTextEmbedderPreprocessor(
            self.tokenizer, sequence_length=sequence_length, truncate="waterfall"
        )

        def preprocess(*texts: Any) -> Any:
            return pack(tuple(normalise_spaces(text) for text in texts), y=None)

        return preprocess

    def token_ids(self, texts: Any, length: int) -> Any:
        """Return the tokens of texts without [CLS] and [SEP]: string [n] -> int32 [n, length], 0 on the right."""
        import tensorflow as tf

        @tf.function(autograph=False)  # outside of a graph KerasNLP returns lists
        def tokenize(texts: tf.Tensor) -> tf.Tensor:
            return self.tokenizer(normalise_spaces(texts)).to_tensor(0, shape=[None, length])

        return tf.cast(tokenize(texts), tf.int32)

    def unknown_share(self, texts: Sequence[str]) -> float:
        """Return the share of [UNK] among the tokens of the texts; 0 if there are no tokens."""
        import tensorflow as tf

        unknown, tokens = 0, 0
        oov = self.tokenizer.token_to_id(self.tokenizer.oov_token)
        batches = text_dataset(texts).batch(1024)
        for ids in batches.map(lambda batch: self.tokenizer(normalise_spaces(batch)).flat_values):
            unknown += int(tf.math.count_nonzero(ids == oov))
            tokens += len(ids)
        return unknown / max(tokens, 1)

    def save(self, folder: str | Path) -> None:
        """Write a folder in Keras format, for `pretrained_bert` and for `from_preset` of KerasNLP, atomically.

        Args:
            folder: a path that does not exist.

        Raises:
            InputError: If the folder exists or cannot be created.
        """
        with atomic_folder(Path(folder)) as staging:
            self.backbone.save_to_preset(str(staging))
            self.tokenizer.save_to_preset(str(staging))


def write_tokenizer(tokenizer: Any, path: Path) -> None:
    """Write a `keras_nlp.models.BertTokenizer` as JSON, for models that store the weights of BERT themselves."""
    options = {name: getattr(tokenizer, name) for name in _TOKENIZER_OPTIONS}
    content = {"vocabulary": list(tokenizer.vocabulary), **options}
    path.write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")


def read_tokenizer(path: Path) -> Any:
    """Read a tokenizer that `write_tokenizer` wrote."""
    keras_nlp = import_keras_nlp()

    content = json.loads(path.read_text(encoding="utf-8"))
    return keras_nlp.models.BertTokenizer(content["vocabulary"], **{name: content[name] for name in _TOKENIZER_OPTIONS})

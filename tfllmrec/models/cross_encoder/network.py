"""A cross-encoder: one BERT reads a history and a candidate together and scores them."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import keras
import numpy as np
import tensorflow as tf

from tfllmrec.layers.history import MostRecentFirst
from tfllmrec.layers.scoring import scoring_inputs

FRAME = 3
"""The number of special tokens of a pair: [CLS] and two [SEP]."""
BACKBONE = "backbone"
"""The name of the BERT layer in a `pair_scorer`."""


class Special(NamedTuple):
    """The ids of [CLS] and [SEP]; [PAD] is 0."""

    start: int
    separator: int


@keras.saving.register_keras_serializable("tfllmrec")
class TokenTable(keras.layers.Layer):
    """Map item indices int32 of any shape to the token ids of their texts, int32 [..., T], 0 on the right.

    Args:
        item_count: number of items.
        length: tokens of a text, T.
    """

    def __init__(self, item_count: int, length: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.item_count, self.length = item_count, length
        # TensorFlow has no int32 variables on a GPU.
        shape, fixed = (item_count + 1, length), {"initializer": "zeros", "trainable": False}
        self.tokens = self.add_weight(shape=shape, dtype="int64", name="tokens", **fixed)

    @classmethod
    def of(cls, tokens: np.ndarray, **kwargs: Any) -> Self:
        """Create the layer from a table [items + 1, T] with zeros in row 0."""
        layer = cls(len(tokens) - 1, tokens.shape[1], **kwargs)
        layer.tokens.assign(tokens)
        return layer

    def with_more(self, more: Self) -> Self:
        """Return a layer with the items of another one appended; row 0 of the other is ignored."""
        return self.of(np.concatenate([self.tokens, more.tokens[1:]]), name=self.name)

    def call(self, items: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.gather(tf.convert_to_tensor(self.tokens), items), tf.int32)

    def compute_output_spec(self, items: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor((*items.shape, self.length), "int32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "item_count": self.item_count, "length": self.length}


@keras.saving.register_keras_serializable("tfllmrec")
class Pairs(keras.layers.Layer):
    """Join every candidate with the history of its user: [CLS] history [SEP] candidate [SEP].

    The tokens of the history are packed without padding between its texts and cut to `history_tokens`. Candidates start
    at the same position in all pairs, so neither part truncates the other.

    Maps history int32 [B, L, S], newest first, and candidates int32 [B, N, T] to {"token_ids", "segment_ids",
    "padding_mask"}, each int32 [B * N, history_tokens + T + FRAME].

    Args:
        history_tokens: tokens of the history that are kept.
        start: the id of [CLS].
        separator: the id of [SEP].
    """

    def __init__(self, history_tokens: int, start: int, separator: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.history_tokens, self.start, self.separator = history_tokens, start, separator

    def call(self, history: tf.Tensor, candidates: tf.Tensor) -> dict[str, tf.Tensor]:
        shape, width = tf.shape(candidates), self.history_tokens
        packed = tf.repeat(_packed(history, width), shape[1], axis=0)
        candidates = tf.reshape(candidates, [-1, candidates.shape[2]])
        first = tf.fill([tf.shape(candidates)[0], 1], self.start)
        separator = tf.fill([tf.shape(candidates)[0], 1], self.separator)
        token_ids = tf.concat([first, packed, separator, candidates, separator], axis=1)
        positions = tf.range(tf.shape(token_ids)[1])[None]
        return {
            "token_ids": token_ids,
            "segment_ids": tf.broadcast_to(tf.cast(positions > width + 1, tf.int32), tf.shape(token_ids)),
            "padding_mask": tf.cast(token_ids > 0, tf.int32),
        }

    def compute_output_spec(self, history: Any, candidates: Any) -> dict[str, keras.KerasTensor]:
        shape = (None, self.history_tokens + candidates.shape[2] + FRAME)
        return {name: keras.KerasTensor(shape, "int32") for name in ("token_ids", "segment_ids", "padding_mask")}

    def get_config(self) -> dict[str, Any]:
        names = ("history_tokens", "start", "separator")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _packed(tokens: tf.Tensor, width: int) -> tf.Tensor:
    """Return the first tokens of every row that are not 0: int32 [B, L, S] to [B, width]."""
    flat = tf.pad(tf.reshape(tokens, [-1, tokens.shape[1] * tokens.shape[2]]), [[0, 0], [0, width]])
    backwards = tf.range(flat.shape[1], 0, -1)
    chosen = tf.math.top_k(tf.where(flat > 0, backwards, 0), width)
    return tf.where(chosen.values > 0, tf.gather(flat, chosen.indices, batch_dims=1), 0)


def pair_scorer(
    backbone: keras.Model,
    special: Special,
    *,
    history: tuple[int, int],
    history_tokens: int,
    length: int,
    start: float = 0.0,
) -> keras.Model:
    """Build the model that scores pairs of tokenized texts: a linear function of the mean state of a pair's tokens.

    Args:
        backbone: a `keras_nlp.models.BertBackbone`.
        special: its special tokens.
        history: number of texts of a history, L, and tokens of each, S.
        history_tokens: see `Pairs`.
        length: tokens of a candidate, T.
        start: initial bias of the scores, such as a mean rating.

    Returns:
        A model of {"history": int32 [B, L, S] newest first, "candidates": int32 [B, N, T]} to scores float32 [B, N].
    """
    read = keras.Input(history, dtype="int32", name="history")
    candidates = keras.Input((None, length), dtype="int32", name="candidates")
    pairs = Pairs(history_tokens, *special, name="pairs")(read, candidates)
    backbone.name = BACKBONE
    backbone.get_layer("pooled_dense").trainable = False  # its output is unused
    states = backbone(pairs)["sequence_output"]
    pooled = keras.layers.GlobalAveragePooling1D(dtype="float32")(states, mask=pairs["padding_mask"])
    bias = keras.initializers.Constant(start)
    scores = keras.layers.Dense(1, bias_initializer=bias, name="score", dtype="float32")(pooled)
    shaped = _Reshaped(name="scores")(scores, candidates)
    return keras.Model({"history": read, "candidates": candidates}, shaped, name="pair_scorer")


@keras.saving.register_keras_serializable("tfllmrec")
class _Reshaped(keras.layers.Layer):
    """Reshape scores of pairs [B * N, 1] to scores of candidates [B, N]."""

    def call(self, scores: tf.Tensor, candidates: tf.Tensor) -> tf.Tensor:
        return tf.reshape(scores, tf.shape(candidates)[:2])

    def compute_output_spec(self, scores: Any, candidates: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor(candidates.shape[:2], "float32")


def cross_encoder(scorer: keras.Model, titles: TokenTable, texts: TokenTable, history_length: int) -> keras.Model:
    """Build the model of {"user": int32 [B], "history": int32 [B, L], "candidates": int32 [B, N]} to scores [B, N].

    Args:
        scorer: a `pair_scorer`.
        titles: tokens of the items of a history.
        texts: tokens of candidates.
        history_length: length of histories, L; the scorer reads the most recent items.
    """
    inputs = scoring_inputs(history_length)
    candidates = keras.Input((None,), dtype="int32", name="candidates")
    newest = MostRecentFirst()(inputs["history"])[:, : scorer.input["history"].shape[1]]
    scores = scorer({"history": titles(newest), "candidates": texts(candidates)})
    return keras.Model({**inputs, "candidates": candidates}, scores)


@dataclass(frozen=True)
class CrossEncoderNetwork:
    """The trained network.

    Attributes:
        model: a `cross_encoder`.
        scorer: its `pair_scorer`.
        backbone: the BERT in it.
        titles: the tokens of titles.
        texts: the tokens of candidates.
    """

    model: keras.Model
    scorer: keras.Model
    backbone: keras.Model
    titles: TokenTable
    texts: TokenTable

    @classmethod
    def of(cls, scorer: keras.Model, titles: TokenTable, texts: TokenTable, history_length: int) -> Self:
        """Build the network around a `pair_scorer`."""
        model = cross_encoder(scorer, titles, texts, history_length)
        return cls(model, scorer, scorer.get_layer(BACKBONE), titles, texts)

    @classmethod
    def restore(cls, model: keras.Model) -> Self:
        """Take a loaded `CrossEncoderNetwork.model` apart."""
        scorer, titles, texts = (model.get_layer(name) for name in ("pair_scorer", "titles", "texts"))
        return cls(model, scorer, scorer.get_layer(BACKBONE), titles, texts)


def scores_of_all(ranker: keras.Model, item_count: int) -> keras.Model:
    """Build the model of {"user": int32 [B], "history": int32 [B, L]} to scores of all items, [B, items + 1].

    Args:
        ranker: a `cross_encoder`, wrapped by `in_passes`.
        item_count: number of items.
    """
    inputs = {name: tensor for name, tensor in ranker.input.items() if name != "candidates"}
    return keras.Model(inputs, ranker({**inputs, "candidates": _AllItems(item_count)(inputs["user"])}))


class _AllItems(keras.layers.Layer):
    """Return all items as the candidates of every user: users int32 [B] to int32 [B, items + 1]."""

    def __init__(self, item_count: int) -> None:
        super().__init__()
        self._columns = item_count + 1

    def call(self, user: tf.Tensor) -> tf.Tensor:
        return tf.tile(tf.range(self._columns)[None], [tf.shape(user)[0], 1])

    def compute_output_spec(self, user: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor((user.shape[0], self._columns), "int32")

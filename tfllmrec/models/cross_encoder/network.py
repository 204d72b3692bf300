"""A cross-encoder: one BERT reads a history and a candidate together and scores them."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import keras
import numpy as np
import tensorflow as tf

from tfllmrec.layers.history import MostRecentFirst
from tfllmrec.layers.scoring import scoring_inputs

FRAME = 3
"""[CLS], [SEP] and [SEP] of a pair."""
BACKBONE = "backbone"
"""The name of BERT in a `pair_scorer`."""


class Special(NamedTuple):
    """The token ids that frame a pair; [PAD] is 0."""

    start: int
    separator: int


@keras.saving.register_keras_serializable("tfllmrec")
class TokenTable(keras.layers.Layer):
    """The tokens of items' texts: item indices int32 of any shape -> token ids int32 [..., T], 0 on the right.

    Args:
        item_count: items in the catalogue.
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
        """The layer of a table [items + 1, T]; row 0 is zeros."""
        layer = cls(len(tokens) - 1, tokens.shape[1], **kwargs)
        layer.tokens.assign(tokens)
        return layer

    def with_more(self, more: Self) -> Self:
        """The layer with further items; row 0 of theirs is not looked at."""
        return self.of(np.concatenate([self.tokens, more.tokens[1:]]), name=self.name)

    def call(self, items: tf.Tensor) -> tf.Tensor:
        """See the class."""
        return tf.cast(tf.gather(tf.convert_to_tensor(self.tokens), items), tf.int32)

    def compute_output_spec(self, items: keras.KerasTensor) -> keras.KerasTensor:
        """[..., T]."""
        return keras.KerasTensor((*items.shape, self.length), "int32")

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "item_count": self.item_count, "length": self.length}


@keras.saving.register_keras_serializable("tfllmrec")
class Pairs(keras.layers.Layer):
    """Every candidate beside its user's history, as BERT reads two texts: [CLS] history [SEP] candidate [SEP].

    The history's tokens stand one after the other, without the gaps between its texts, as many as have room; a
    candidate begins at the same place in all pairs, so neither cuts the other off.

    (history int32 [B, L, S] newest first, candidates int32 [B, N, T]) -> {"token_ids", "segment_ids", "padding_mask"},
    each int32 [B * N, history_tokens + T + FRAME].

    Args:
        history_tokens: room for the history.
        start: the id of [CLS].
        separator: the id of [SEP].
    """

    def __init__(self, history_tokens: int, start: int, separator: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.history_tokens, self.start, self.separator = history_tokens, start, separator

    def call(self, history: tf.Tensor, candidates: tf.Tensor) -> dict[str, tf.Tensor]:
        """See the class."""
        shape, width = tf.shape(candidates), self.history_tokens
        packed = tf.repeat(_packed(history, width), shape[1], axis=0)
        candidates = tf.reshape(candidates, [-1, candidates.shape[2]])
        first = tf.fill([tf.shape(candidates)[0], 1], self.start)
        separator = tf.fill([tf.shape(candidates)[0], 1], self.separator)
        token_ids = tf.concat([first, packed, separator, candidates, separator], axis=1)
        places = tf.range(tf.shape(token_ids)[1])[None]
        return {
            "token_ids": token_ids,
            "segment_ids": tf.broadcast_to(tf.cast(places > width + 1, tf.int32), tf.shape(token_ids)),
            "padding_mask": tf.cast(token_ids > 0, tf.int32),
        }

    def compute_output_spec(self, history: Any, candidates: Any) -> dict[str, keras.KerasTensor]:
        """[B * N, history_tokens + T + FRAME]."""
        shape = (None, self.history_tokens + candidates.shape[2] + FRAME)
        return {name: keras.KerasTensor(shape, "int32") for name in ("token_ids", "segment_ids", "padding_mask")}

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        names = ("history_tokens", "start", "separator")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _packed(tokens: tf.Tensor, width: int) -> tf.Tensor:
    """The first tokens of every row that are not 0: int32 [B, L, S] -> [B, width]."""
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
    """Scores of pairs of texts, as tokens: {"history", "candidates"} -> float32 [B, N].

    A linear function of the mean of the states of a pair's tokens.

    Args:
        backbone: a `keras_nlp.models.BertBackbone`.
        special: its framing tokens.
        history: texts of a history, L, and tokens of each, S.
        history_tokens: see `Pairs`.
        length: tokens of a candidate, T.
        start: about what scores are at first; a mean rating, say.

    Returns:
        {"history": int32 [B, L, S] newest first, "candidates": int32 [B, N, T]} -> float32 [B, N].
    """
    read = keras.Input(history, dtype="int32", name="history")
    candidates = keras.Input((None, length), dtype="int32", name="candidates")
    pairs = Pairs(history_tokens, *special, name="pairs")(read, candidates)
    backbone.name = BACKBONE
    backbone.get_layer("pooled_dense").trainable = False  # makes an output that is not read
    states = backbone(pairs)["sequence_output"]
    pooled = keras.layers.GlobalAveragePooling1D(dtype="float32")(states, mask=pairs["padding_mask"])
    bias = keras.initializers.Constant(start)
    scores = keras.layers.Dense(1, bias_initializer=bias, name="score", dtype="float32")(pooled)
    shaped = _Reshaped(name="scores")(scores, candidates)
    return keras.Model({"history": read, "candidates": candidates}, shaped, name="pair_scorer")


@keras.saving.register_keras_serializable("tfllmrec")
class _Reshaped(keras.layers.Layer):
    """Scores of pairs [B * N, 1] as those of candidates [B, N]."""

    def call(self, scores: tf.Tensor, candidates: tf.Tensor) -> tf.Tensor:
        return tf.reshape(scores, tf.shape(candidates)[:2])

    def compute_output_spec(self, scores: Any, candidates: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor(candidates.shape[:2], "float32")


def cross_encoder(scorer: keras.Model, titles: TokenTable, texts: TokenTable, history_length: int) -> keras.Model:
    """A ranker of item indices: {"user": int32 [B], "history": int32 [B, L], "candidates": int32 [B, N]} -> [B, N].

    Args:
        scorer: a `pair_scorer`.
        titles: what is read of the items of a history.
        texts: what is read of a candidate.
        history_length: L; the scorer reads the newest of it.
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
    """The same of every item: {"user", "history"} -> [B, items + 1].

    Args:
        ranker: a `cross_encoder`, `in_passes`.
        item_count: items in the catalogue.
    """
    inputs = {name: given for name, given in ranker.input.items() if name != "candidates"}
    return keras.Model(inputs, ranker({**inputs, "candidates": _Everything(item_count)(inputs["user"])}))


class _Everything(keras.layers.Layer):
    """All items as everybody's candidates: users int32 [B] -> int32 [B, items + 1]."""

    def __init__(self, item_count: int) -> None:
        super().__init__()
        self._columns = item_count + 1

    def call(self, user: tf.Tensor) -> tf.Tensor:
        return tf.tile(tf.range(self._columns)[None], [tf.shape(user)[0], 1])

    def compute_output_spec(self, user: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor((user.shape[0], self._columns), "int32")

"""The next-item network: query vectors from recurrent states, with input and output item vectors shared."""

from dataclasses import dataclass
from typing import Self

import keras

from tfllmrec.layers.history import LastState
from tfllmrec.layers.items import ItemBias, ItemEmbedding


def query_model(items: keras.layers.Layer, encoder: keras.Model, head: keras.Model) -> keras.Model:
    """Build the model of {"history": int32 [B, L], oldest first, zeros on the right} to query vectors float32 [B, D].

    Args:
        items: maps item indices to vectors: an `ItemEmbedding`, or a fixed table for serving.
        encoder: a `history_encoder`.
        head: a `query_head`.
    """
    history = keras.Input((encoder.input.shape[1],), dtype="int32", name="history")
    query = head(LastState(name="last_state")(encoder(items(history)), history))
    return keras.Model({"history": history}, query, name="query_model")


def candidate_model(items: keras.layers.Layer, bias: ItemBias, dropout: float = 0.0) -> keras.Model:
    """Build the model of item indices int32 [C] to {"candidate": vectors float32 [C, D], "bias": float32 [C]}.

    Args:
        items: maps item indices to vectors.
        bias: biases of items.
        dropout: dropout of the vectors.
    """
    item = keras.Input((), dtype="int32", name="item")
    candidate = keras.layers.Dropout(dropout)(items(item))
    return keras.Model(item, {"candidate": candidate, "bias": bias(item)}, name="candidate_model")


@dataclass(frozen=True)
class NextItemNetwork:
    """The trained network.

    Attributes:
        model: both sides as one flat model, which saves shared layers once: {"history", "item"} to {"query": float32
            [B, D], "candidate": float32 [C, D], "bias": float32 [C]}.
        queries: a `query_model`.
        candidates: a `candidate_model`.
        items: the item embedding.
        encoder: the `history_encoder`.
        head: the `query_head`.
    """

    model: keras.Model
    queries: keras.Model
    candidates: keras.Model
    items: ItemEmbedding
    encoder: keras.Model
    head: keras.Model

    @classmethod
    def of(
        cls,
        items: ItemEmbedding,
        encoder: keras.Model,
        head: keras.Model,
        bias: ItemBias,
        candidate_dropout: float = 0.0,
    ) -> Self:
        """Build both sides around an encoder and an item embedding."""
        queries, candidates = query_model(items, encoder, head), candidate_model(items, bias, candidate_dropout)
        inputs = {**queries.input, "item": candidates.input}
        model = keras.Model(inputs, {"query": queries.output, **candidates.output}, name="next_item")
        return cls._of_model(model, items, encoder, head)

    @classmethod
    def restore(cls, model: keras.Model) -> Self:
        """Take a loaded `NextItemNetwork.model` apart."""
        layers = (model.get_layer(name) for name in ("items", "history_encoder", "query_head"))
        return cls._of_model(model, *layers)

    @classmethod
    def _of_model(cls, model: keras.Model, items: ItemEmbedding, encoder: keras.Model, head: keras.Model) -> Self:
        queries = keras.Model({"history": model.input["history"]}, model.output["query"], name="query_model")
        outputs = {name: model.output[name] for name in ("candidate", "bias")}
        candidates = keras.Model(model.input["item"], outputs, name="candidate_model")
        return cls(model, queries, candidates, items, encoder, head)

"""Both sides of the next-item model: queries from histories, and candidates with biases."""

import keras

from tfllmrec.layers.history import LastState
from tfllmrec.layers.items import ItemBias


def query_model(items: keras.layers.Layer, encoder: keras.Model, head: keras.Model) -> keras.Model:
    """{"history": int32 [B, L], oldest first, zeros on the right} -> query vectors of its end, float32 [B, D].

    Args:
        items: what turns item indices into vectors: the `ItemEmbedding`, or a table frozen for serving.
        encoder: a `tfllmrec.layers.encoders.recurrent.history_encoder`.
        head: a `tfllmrec.layers.encoders.recurrent.query_head`.
    """
    history = keras.Input((encoder.input.shape[1],), dtype="int32", name="history")
    query = head(LastState(name="last_state")(encoder(items(history)), history))
    return keras.Model({"history": history}, query, name="query_model")


def candidate_model(items: keras.layers.Layer, bias: ItemBias, dropout: float = 0.0) -> keras.Model:
    """Item indices int32 [C] -> {"candidate": vectors float32 [C, D], "bias": float32 [C]}.

    Args:
        items: what turns item indices into vectors.
        bias: their biases.
        dropout: on the vectors.
    """
    item = keras.Input((), dtype="int32", name="item")
    candidate = keras.layers.Dropout(dropout)(items(item))
    return keras.Model(item, {"candidate": candidate, "bias": bias(item)}, name="candidate_model")


def next_item_model(queries: keras.Model, candidates: keras.Model) -> keras.Model:
    """Both sides as one flat model, which saves and loads what they share once.

    Args:
        queries: a `query_model`.
        candidates: a `candidate_model`.

    Returns:
        {"history", "item"} -> {"query": float32 [B, D], "candidate": float32 [C, D], "bias": float32 [C]}.
    """
    inputs = {**queries.input, "item": candidates.input}
    return keras.Model(inputs, {"query": queries.output, **candidates.output}, name="next_item")


def sides_of(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """The query model and the candidate model of a `next_item_model`; layers and weights are the same."""
    return (
        keras.Model({"history": model.input["history"]}, model.output["query"], name="query_model"),
        keras.Model(
            model.input["item"], {name: model.output[name] for name in ("candidate", "bias")}, name="candidate_model"
        ),
    )

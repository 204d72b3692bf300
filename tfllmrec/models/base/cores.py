"""The cores that most families share: best items, scores of candidates, query and item vectors, similar items."""

from collections.abc import Callable

import keras
import tensorflow as tf

from tfllmrec.layers.item_index import ItemIndex
from tfllmrec.layers.top_items import LOWEST, top_items
from tfllmrec.models.base.built_models import BuiltModels
from tfllmrec.models.base.signature import (
    CANDIDATES,
    EXCLUDED,
    FEATURES,
    HISTORY,
    ITEM,
    SCENARIO,
    USER,
    Core,
    Input,
    InputKind,
    OutputKind,
    Outputs,
    Signature,
)

MAX_CANDIDATES = 1024
"""Candidates of a row that an export scores; later ones have float32's lowest score."""
_OPTIONAL = {"user_features": FEATURES, "scenario": SCENARIO}
_ITEMS = {"items": OutputKind.ITEMS, "scores": OutputKind.SCORES}
_SCENARIO_KNOWN = {"scenario_known": OutputKind.FLAGS}


def model_inputs(model: keras.Model) -> tuple[Input, ...]:
    """The request inputs that a model of users and histories reads."""
    return (USER, HISTORY, *(given for name, given in _OPTIONAL.items() if name in model.input))


def call_model(model: keras.Model, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
    """Call a model on those of the inputs that it reads."""
    return model({name: inputs[name] for name in model.input}, training=False)


def scenario_flags(inputs: dict[str, tf.Tensor]) -> Outputs:
    """Return whether the scenario of each row is known, if the inputs have one."""
    return {"scenario_known": inputs["scenario"] > 0} if "scenario" in inputs else {}


def flags_of(inputs: tuple[Input, ...]) -> dict[str, OutputKind]:
    """The kinds of the outputs of `scenario_flags`."""
    return _SCENARIO_KNOWN if SCENARIO in inputs else {}


def best_items_core(built: BuiltModels, top_k: int) -> Core:
    """The core that scores all items and returns the best ones, item indices and scores [B, K]."""

    def best(inputs: dict[str, tf.Tensor]) -> Outputs:
        items, scores = top_items(call_model(built.scorer, inputs), inputs["exclude"], top_k)
        return {"items": items, "scores": scores, **scenario_flags(inputs)}

    inputs = model_inputs(built.scorer)
    return Core("best", best, (*inputs[:2], EXCLUDED, *inputs[2:]), built.history_length)


def retrieval_signatures(core: Core, *, main: str) -> list[Signature]:
    """The signatures of a `best_items_core`.

    Args:
        core: the core.
        main: the family's main signature: `next_items` is added for "next_items"; `recommend` is an alias of `retrieve`
            for "recommend".
    """
    outputs = _ITEMS | flags_of(core.inputs)
    if SCENARIO in core.inputs:  # requests without a scenario have no results
        meaning = (
            "The best items of a scenario for a user, after a history given in the request or else the stored one. "
            "Given, stored and excluded items are not returned. An unknown scenario has no items."
        )
        return [Signature("recommend", core, outputs, meaning, with_ids=True)]
    short = (USER, HISTORY, EXCLUDED)
    aliases = ("recommend",) if main == "recommend" else ()
    meaning = (
        "The best items for a user, after a history given in the request or else the stored one. Given, stored and "
        "excluded items are not returned."
    )
    signatures = [Signature("retrieve", core, outputs, meaning, short, aliases=aliases, with_ids=True)]
    if main == "next_items":
        meaning = "The best items after a history. Items of the history and excluded items are not returned."
        signatures.append(Signature("next_items", core, outputs, meaning, (HISTORY, EXCLUDED), with_ids=True))
    if FEATURES in core.inputs:
        meaning = "`retrieve` with features of the users, which have precedence over stored ones."
        names = ("retrieve_with_features",)
        signatures.append(
            Signature("retrieve_with_options", core, outputs, meaning, (*short, FEATURES), aliases=names, with_ids=True)
        )
    return signatures


def candidate_scores_core(built: BuiltModels) -> Core:
    """The core that scores candidates, float32 [B, N]; unknown candidates have float32's lowest score."""
    scorer = built.candidate_scorer

    def by_candidates(inputs: dict[str, tf.Tensor]) -> Outputs:
        scores = call_model(scorer, inputs)
        return scores if isinstance(scores, dict) else {"scores": scores}

    def by_all(inputs: dict[str, tf.Tensor]) -> Outputs:
        no_exclusions = tf.zeros([tf.shape(inputs["user"])[0], 0], tf.int32)
        scores = call_model(built.scorer, {**inputs, "exclude": no_exclusions})
        return {"scores": tf.gather(scores, inputs["candidates"], batch_dims=1)}

    compute: Callable[[dict[str, tf.Tensor]], Outputs] = by_all if scorer is None else by_candidates

    def score(inputs: dict[str, tf.Tensor]) -> Outputs:
        known = inputs["candidates"] > 0
        outputs = {name: tf.where(known, scores, LOWEST) for name, scores in compute(inputs).items()}
        return outputs | scenario_flags(inputs)

    model = built.scorer if scorer is None else scorer
    inputs = model_inputs(model)
    return Core("candidates", score, (*inputs[:2], CANDIDATES, *inputs[2:]), model.input["history"].shape[1])


def rank_signature(built: BuiltModels) -> Signature:
    """The signature `rank`, which scores candidates."""
    core, model = candidate_scores_core(built), built.candidate_scorer
    names = model.output if model is not None and isinstance(model.output, dict) else ("scores",)
    outputs = dict.fromkeys(names, OutputKind.SCORES) | flags_of(core.inputs)
    inputs = tuple(given for given in core.inputs if given != FEATURES)
    meaning = (
        "Scores of candidates for a user, after a history given in the request or else the stored one. Unknown "
        f"candidates and those after the {MAX_CANDIDATES:,}th of a row have float32's lowest score."
    )
    return Signature("rank", core, outputs, meaning, inputs, with_ids=True)


class SimilarItems(tf.Module):
    """Find the items with the highest cosine to an item.

    Args:
        index: vectors of all items.
        top_k: items to return, K.
    """

    def __init__(self, index: ItemIndex, top_k: int) -> None:
        super().__init__(name="similar_items")
        self._read, self._read_all, self._top_k = index.__call__, (lambda: index.read_all(tf.float32)), top_k
        norms = tf.norm(self._read_all(), axis=1)
        self.inverse_norms = tf.Variable(tf.math.reciprocal_no_nan(norms), trainable=False)

    def __call__(self, inputs: dict[str, tf.Tensor]) -> Outputs:
        """Map item int32 [B] and exclude int32 [B, any] to items int32 and cosines float32 [B, K].

        The item itself is not returned. An unknown item has no similar items.
        """
        item, inverse_norms = inputs["item"], tf.convert_to_tensor(self.inverse_norms)
        query = self._read(item) * tf.gather(inverse_norms, item)[:, None]
        cosines = tf.matmul(query, self._read_all(), transpose_b=True) * inverse_norms
        excluded = tf.concat([inputs["exclude"], item[:, None]], axis=1)
        items, scores = top_items(tf.where(item[:, None] > 0, cosines, LOWEST), excluded, self._top_k)
        return {"items": items, "scores": scores}


def embed_items_core(index: ItemIndex) -> Core:
    """The core that looks up item vectors and, where items have them, biases."""

    def embed(inputs: dict[str, tf.Tensor]) -> Outputs:
        outputs = {"embeddings": index(inputs["item"])}
        if index.biased:
            outputs["biases"] = tf.gather(tf.convert_to_tensor(index.biases), inputs["item"])
        return outputs

    return Core("embed_items", embed, (Input(InputKind.ITEM, "item_ids"),), compiled=False)


def embed_query_core(model: keras.Model, history_length: int) -> Core:
    """The core that computes query vectors, float32 [B, D]."""

    def embed(inputs: dict[str, tf.Tensor]) -> Outputs:
        return {"embedding": call_model(model, inputs)}

    return Core("embed_query", embed, model_inputs(model), history_length, compiled=False)


def vector_signatures(built: BuiltModels, top_k: int) -> list[Signature]:
    """The signatures `embed_items` and `similar_items`, and `embed_query` for a family with a query model."""
    index = built.index
    if index is None:
        return []
    biases = {"biases": OutputKind.VECTORS} if index.biased else {}
    signatures = [
        Signature(
            "embed_items",
            embed_items_core(index),
            {"embeddings": OutputKind.VECTORS, **biases},
            "Item vectors; zeros for unknown items. With biases, a score is query . item + bias.",
        ),
        Signature(
            "similar_items",
            Core("similar_items", SimilarItems(index, top_k), (ITEM, EXCLUDED), compiled=False),
            _ITEMS,
            "The items with the highest cosine to an item, which is not returned itself. An unknown item has none.",
        ),
    ]
    if built.query_model is not None:
        core = embed_query_core(built.query_model, built.history_length)
        meaning = "Query vectors of users, after a history given in the request or else the stored one."
        outputs = {"embedding": OutputKind.VECTORS}
        signatures.append(Signature("embed_query", core, outputs, meaning, (USER, HISTORY)))
    return signatures

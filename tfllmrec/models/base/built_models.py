"""The record of the Keras models that a family builds."""

from collections.abc import Callable
from dataclasses import dataclass

import keras

from tfllmrec.layers.item_index import ItemIndex


def _no_update() -> None:
    """Do nothing: the served models share all weights with the trained one."""


@dataclass(frozen=True, kw_only=True)
class BuiltModels:
    """The models of a fitted recommender.

    Attributes:
        model: the trained model, which is saved.
        scorer: the scoring model, {"user": int32 [B], "history": int32 [B, L]} to scores of all items float32
            [B, items + 1]. It may read "user_features" int32 [B, F], "scenario" int32 [B] and "exclude" int32 [B, any].
        history_length: most recent items that are read, L.
        query_model: the scorer's inputs to query vectors float32 [B, D], or None.
        index: vectors of all items, or None.
        scores_are_products: whether scores are products of query vectors and item vectors, plus the items' biases.
        candidate_scorer: {"user", "history", "candidates": int32 [B, N]} to scores float32 [B, N], or to a dictionary
            with "scores"; None gathers from the scores of all items.
        subset_by_candidates: whether `candidate_scorer` ranks targets among some items; the scorer would cost more.
        max_pairs: pairs of a target and an item that may be scored in one call, or None for any number.
        served_models: further models that signatures call.
        backbone: the BERT in these models, or None.
        update: copies trained weights to the models that score.
    """

    model: keras.Model
    scorer: keras.Model
    history_length: int
    query_model: keras.Model | None = None
    index: ItemIndex | None = None
    scores_are_products: bool = False
    candidate_scorer: keras.Model | None = None
    subset_by_candidates: bool = False
    max_pairs: int | None = None
    served_models: tuple[keras.Model, ...] = ()
    backbone: keras.Model | None = None
    update: Callable[[], None] = _no_update

    @property
    def reads_scenarios(self) -> bool:
        """Return whether the scoring model reads a scenario."""
        return "scenario" in self.scorer.input

    @property
    def all_served(self) -> list[keras.Model]:
        """All models that an export calls."""
        optional = (self.query_model, self.candidate_scorer)
        return [self.scorer, *(model for model in optional if model is not None), *self.served_models]

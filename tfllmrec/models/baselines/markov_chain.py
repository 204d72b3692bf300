"""Markov chain: items that often follow the last few items."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import scipy.sparse
from pydantic.dataclasses import dataclass

from tfllmrec.data.dataset import Dataset
from tfllmrec.data.histories import Histories
from tfllmrec.layers.item_to_item import SparseItemToItem, item_to_item_model
from tfllmrec.models.base.built_models import BuiltModels
from tfllmrec.models.base.config import STRICT, Config, Fraction, Numbers, Positive, given_options
from tfllmrec.models.base.recommender import Recommender
from tfllmrec.models.base.trainer import TrainingLog

_POPULARITY_WEIGHT = 1e-6
"""Decides between items without a transition, and is too small for any other effect."""


@dataclass(frozen=True, config=STRICT)
class MarkovChainConfig(Config):
    """The options of `MarkovChain`."""

    transition_weights: Numbers = (1.0, 0.5, 0.3)
    recent_items: Positive = 5
    decay: Fraction = 0.7


class MarkovChain(Recommender):
    """Decayed transition counts, a baseline that beats most published neural models on short histories.

    Transitions at distance 1, 2 and 3 are counted with weights 1, 0.5 and 0.3 and divided by 1 + the interactions of
    the source item. A score is the sum over the last five items of a user, each weighted by 0.7 ** age.

    Args:
        transition_weights: weight of a transition at distance 1, 2, ...
        recent_items: most recent items that contribute successors.
        decay: weight of an item's successors relative to those of the following item.
        history_length: most recent items of a user that the model reads.
        seed: seed of every random choice.
        config: a complete configuration instead of single options.

    Example:
        >>> from tfllmrec import checkerboard, leave_one_out
        >>> split = leave_one_out(checkerboard().data)
        >>> MarkovChain().fit(split.train).recommend(histories=[["i00", "i02"]], k=2)
           row user_id  rank item_id         title     score
        0    0             1     i04   even item 4  0.359618
        1    0             2     i10  even item 10  0.348368
    """

    family = "markov_chain"
    config_class = MarkovChainConfig

    def __init__(
        self,
        *,
        transition_weights: Sequence[float] | None = None,
        recent_items: int | None = None,
        decay: float | None = None,
        history_length: int | None = None,
        seed: int | None = None,
        config: MarkovChainConfig | None = None,
    ) -> None:
        super().__init__(config, given_options(locals()))

    def _fit(self, train: Dataset, *_: Any) -> tuple[BuiltModels, TrainingLog]:
        counts, config = self.fitted_data.counts, self.config
        transitions = count_transitions(train.histories, len(counts), config.transition_weights)
        matrix = scipy.sparse.diags_array(1 / (1 + counts)) @ transitions
        model = item_to_item_model(
            SparseItemToItem.from_matrix(matrix),
            counts,
            config.history_length,
            decay=config.decay,
            recent_items=config.recent_items,
            popularity_weight=_POPULARITY_WEIGHT,
        )
        return self._restore(model), {}

    def _restore(self, model: keras.Model, folder: Path | None = None) -> BuiltModels:
        return BuiltModels(model=model, scorer=model, history_length=self.config.history_length)


def count_transitions(histories: Histories, size: int, weights: Sequence[float]) -> scipy.sparse.csr_array:
    """Count weighted transitions from items to later items.

    Args:
        histories: item indices.
        size: number of item indices, padding included.
        weights: `weights[d - 1]` is the weight of a transition at distance d.

    Returns:
        Weighted counts [size, size].

    Example:
        >>> from tfllmrec.data import Histories
        >>> count_transitions(Histories.from_rows([[1, 2, 3]]), 4, [1.0, 0.5]).toarray()[1]
        array([0. , 0. , 1. , 0.5])
    """
    values, rows = histories.values, np.repeat(np.arange(len(histories)), histories.lengths)
    total = scipy.sparse.csr_array((size, size), dtype=np.float64)
    for distance, weight in enumerate(weights, start=1):
        same = rows[:-distance] == rows[distance:]
        pairs = (values[:-distance][same], values[distance:][same])
        total += scipy.sparse.csr_array((np.full(len(pairs[0]), weight), pairs), shape=(size, size))
    return total

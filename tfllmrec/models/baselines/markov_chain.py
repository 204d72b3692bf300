"""Baseline: what tends to follow the last few items."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse
from pydantic.dataclasses import dataclass

from tfllmrec.data.dataset import Dataset
from tfllmrec.data.histories import Histories
from tfllmrec.layers.scoring import SparseItemToItem, item_to_item_model
from tfllmrec.models.base.config import STRICT, Config, Fraction, Positive
from tfllmrec.models.base.recommender import Recommender

_POPULARITY_WEIGHT = 1e-6
"""Small enough to decide between items without a transition only."""


@dataclass(frozen=True, config=STRICT)
class MarkovChainConfig(Config):
    """Attributes beside those of every `Config`.

    transition_weights: weight of a transition from an item to the next, to the one after it, and so on.
    recent_items: how many of the newest items are asked for their successors.
    decay: weight of an item's successors relative to those of the item after it.
    """

    transition_weights: tuple[float, ...] = (1.0, 0.5, 0.3)
    recent_items: Positive = 5
    decay: Fraction = 0.7


class MarkovChain(Recommender):
    """Decayed transition counts: a baseline that beats most published neural models on short histories.

    Transitions at distance 1, 2 and 3 are counted with weights 1, 0.5 and 0.3 and divided by 1 + the source item's
    interactions; a score is the sum over the user's last five items, each weighted by 0.7 ** age.
    """

    family = "markov_chain"
    config_class = MarkovChainConfig

    def _fit(self, train: Dataset, *_: Any) -> None:
        counts = self.fitted_data.counts
        transitions = count_transitions(train.histories, len(counts), self.config.transition_weights)
        matrix = scipy.sparse.diags_array(1 / (1 + counts)) @ transitions
        self.model = item_to_item_model(
            SparseItemToItem.from_matrix(matrix),
            counts,
            self.history_length,
            decay=self.config.decay,
            recent_items=self.config.recent_items,
            popularity_weight=_POPULARITY_WEIGHT,
        )
        self._assemble()


def count_transitions(histories: Histories, size: int, weights: Sequence[float]) -> scipy.sparse.csr_array:
    """Weighted counts of item -> later item, [size, size]; `weights[d - 1]` for a distance of d inside a history.

    Example:
        >>> count_transitions(Histories.from_rows([[1, 2, 3]]), 4, [1.0, 0.5]).toarray()[1]
        array([0. , 0. , 1. , 0.5])
    """
    values, rows = histories.values, np.repeat(np.arange(len(histories)), histories.lengths)
    total = scipy.sparse.csr_array((size, size), dtype=np.float64)
    for distance, weight in enumerate(weights, start=1):
        same = rows[:-distance] == rows[distance:]
        places = (values[:-distance][same], values[distance:][same])
        total += scipy.sparse.csr_array((np.full(len(places[0]), weight), places), shape=(size, size))
    return total

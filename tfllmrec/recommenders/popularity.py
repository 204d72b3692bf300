"""Baseline: everybody gets what most people had."""

from typing import Any

import keras

from tfllmrec.data.dataset import Dataset
from tfllmrec.models.scoring import PopularityScores, scoring_inputs
from tfllmrec.recommenders.base import Recommender
from tfllmrec.recommenders.config import Config


class Popularity(Recommender):
    """Scores every item by log(1 + its interactions), the same for all users.

    Example:
        >>> Popularity().fit(split.train).recommend(["42"], k=10)
    """

    family = "popularity"
    config_class = Config

    def _fit(self, train: Dataset, *_: Any, **__: Any) -> None:
        user, history = scoring_inputs(self.history_length)
        scores = PopularityScores(len(self.catalogue.items)).set_counts(self.catalogue.counts)(history)
        self.model = keras.Model({"user": user, "history": history}, scores)
        self._assemble()

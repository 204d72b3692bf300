"""Baseline: everybody gets what most people had."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from pydantic.dataclasses import dataclass

from tfllmrec.data.dataset import Dataset
from tfllmrec.layers.scoring import PopularityScores, UnlessEmpty, scoring_inputs
from tfllmrec.layers.users import SegmentPopularity, StoredFeatures
from tfllmrec.models.base.config import STRICT, Config
from tfllmrec.models.base.fitted_data import FittedData
from tfllmrec.models.base.recommender import Recommender


@dataclass(frozen=True, config=STRICT)
class PopularityConfig(Config):
    """Attributes beside those of every `Config`.

    segment: a column of the user table; what counts is what users with the same value had. "" counts everybody.
    """

    segment: str = ""


class Popularity(Recommender):
    """Scores every item by log(1 + its interactions), the same for all users, or for all of a segment.

    Example:
        >>> Popularity().fit(split.train).recommend(["42"], k=10)
        >>> Popularity(segment="gender").fit(split.train).recommend(user_features=[["gender=F"]], k=10)
    """

    family = "popularity"
    config_class = PopularityConfig

    @property
    def _user_columns(self) -> tuple[str, ...]:
        return (self.config.segment,) if self.config.segment else ()

    def _fit(self, train: Dataset, *_: Any) -> None:
        features = self.fitted_data.features
        inputs = scoring_inputs(self.history_length, 0 if features is None else 1)
        stored = None if features is None else StoredFeatures.of(features.stored)
        self.model = keras.Model(inputs, popularity(self.fitted_data, inputs, self.config.segment, stored))
        self._assemble()


def popularity(
    fitted_data: FittedData,
    inputs: Mapping[str, keras.KerasTensor],
    segment: str = "",
    stored: StoredFeatures | None = None,
) -> keras.KerasTensor:
    """What is popular, float32 [B, items + 1].

    Args:
        fitted_data: whose interactions count.
        inputs: of a scoring model.
        segment: a column of users' features, or "" for everybody.
        stored: the features of known users, where there is a segment.
    """
    if not segment or stored is None or fitted_data.features is None:
        return PopularityScores(len(fitted_data.items)).set_counts(fitted_data.counts)(inputs["history"])
    made_by, counts = fitted_data.segment_counts(segment)
    layer = SegmentPopularity.of(counts, made_by, len(fitted_data.features.vocabulary))
    return layer(stored(inputs["user"], inputs["user_features"]))


def popular_if_empty(
    scores: keras.KerasTensor, popular: keras.KerasTensor, inputs: Mapping[str, keras.KerasTensor]
) -> keras.KerasTensor:
    """Scores [B, items + 1], and what is popular instead where the history is empty."""
    return UnlessEmpty()(scores, popular, inputs["history"])


def popular_candidates_if_empty(
    scores: keras.KerasTensor, fitted_data: FittedData, inputs: Mapping[str, keras.KerasTensor]
) -> keras.KerasTensor:
    """Scores of candidates [B, N], and how popular they are instead where the history is empty.

    Args:
        scores: of the candidates.
        fitted_data: whose interactions count.
        inputs: of a ranker.
    """
    table = keras.layers.Embedding(len(fitted_data.counts), 1, trainable=False)
    popular = keras.ops.squeeze(table(inputs["candidates"]), axis=-1)
    table.embeddings.assign(np.log1p(fitted_data.counts)[:, None])
    return UnlessEmpty()(scores, popular, inputs["history"])

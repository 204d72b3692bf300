"""Popularity scores, and the fallback to them where the history is empty."""

from collections.abc import Mapping

import keras
import numpy as np

from tfllmrec.layers.scoring import FallbackIfEmpty, PopularityScores
from tfllmrec.layers.users import SegmentPopularity, StoredFeatures
from tfllmrec.models.base.fitted_data import FittedData

Inputs = Mapping[str, keras.KerasTensor]


def popularity_scores(
    fitted_data: FittedData, inputs: Inputs, segment: str = "", stored: StoredFeatures | None = None
) -> keras.KerasTensor:
    """Score every item by log(1 + its interactions), float32 [B, items + 1].

    Args:
        fitted_data: the counts.
        inputs: the inputs of a scoring model.
        segment: a column of the user features; interactions of users with the same value are counted. "" counts all.
        stored: the features of known users, for a segment.
    """
    if not segment or stored is None or fitted_data.features is None:
        return PopularityScores(len(fitted_data.items)).set_counts(fitted_data.counts)(inputs["history"])
    features, counts = fitted_data.segment_counts(segment)
    layer = SegmentPopularity.from_counts(counts, features, len(fitted_data.features.vocabulary))
    return layer(stored(inputs["user"], inputs["user_features"]))


def popular_if_empty(scores: keras.KerasTensor, popular: keras.KerasTensor, inputs: Inputs) -> keras.KerasTensor:
    """Replace scores [B, items + 1] by popularity scores where the history is empty."""
    return FallbackIfEmpty()(scores, popular, inputs["history"])


def popular_candidates_if_empty(
    scores: keras.KerasTensor, fitted_data: FittedData, inputs: Inputs
) -> keras.KerasTensor:
    """Replace scores of candidates [B, N] by popularity scores where the history is empty.

    Args:
        scores: scores of the candidates.
        fitted_data: the counts.
        inputs: the inputs of a candidate scorer.
    """
    table = keras.layers.Embedding(len(fitted_data.counts), 1, trainable=False)
    popular = keras.ops.squeeze(table(inputs["candidates"]), axis=-1)
    table.embeddings.assign(np.log1p(fitted_data.counts)[:, None])
    return FallbackIfEmpty()(scores, popular, inputs["history"])

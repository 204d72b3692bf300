"""Held-out ratings, to evaluate rating prediction."""

from dataclasses import dataclass, replace

import numpy as np

from tfllmrec.data.dataset import Dataset
from tfllmrec.data.splits import Targets, targets_at
from tfllmrec.errors import InputError


@dataclass(frozen=True, eq=False)
class HeldOutRatings:
    """A data set without some of its ratings, and the interactions with these ratings as targets.

    Attributes:
        data: all interactions, the held-out ones without their rating.
        targets: the held-out interactions with their ratings.
    """

    data: Dataset
    targets: Targets


def held_out_ratings(data: Dataset, fraction: float = 0.1, *, seed: int = 0) -> HeldOutRatings:
    """Remove a seeded fraction of the ratings and keep their interactions.

    Raises:
        InputError: If there are no ratings, or the fraction leaves no ratings to train on or to evaluate on.
    """
    rated = np.flatnonzero(np.isfinite(data.ratings))
    count = round(fraction * len(rated)) if 0 < fraction < 1 else 0
    if not 0 < count < len(rated):
        raise InputError(
            f"held-out ratings: a fraction of {fraction} of {len(rated)} ratings leaves none to train on or none to "
            "evaluate on; give another fraction between 0 and 1"
        )
    mask = np.zeros(len(data.interactions), bool)
    mask[np.random.default_rng(seed).choice(rated, count, replace=False)] = True
    ratings = data.interactions["rating"].where(~mask)
    notes = (*data.notes, f"{count:,} ratings held out")
    train = replace(data, interactions=data.interactions.assign(rating=ratings), notes=notes)
    return HeldOutRatings(train, targets_at(data, mask))

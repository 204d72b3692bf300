"""Ratings kept back, so that a model can be asked for them."""

from dataclasses import dataclass, replace

import numpy as np

from tfllmrec.data.dataset import Dataset
from tfllmrec.data.splits import Targets, targets_at
from tfllmrec.errors import InputError


@dataclass(frozen=True, eq=False)
class HeldOutRatings:
    """A data set without some of its ratings, and those as targets.

    Attributes:
        data: all interactions are in it, the chosen ones without their rating.
        targets: these, with their ratings, after what their users did before.
    """

    data: Dataset
    targets: Targets


def held_out_ratings(data: Dataset, fraction: float = 0.1, *, seed: int = 0) -> HeldOutRatings:
    """Take the ratings of a seeded fraction of the rated interactions away; that they happened stays known.

    Raises:
        InputError: there are no ratings, or the fraction leaves none on either side.
    """
    rated = np.flatnonzero(np.isfinite(data.ratings))
    count = round(fraction * len(rated)) if 0 < fraction < 1 else 0
    if not 0 < count < len(rated):
        raise InputError(f"hidden ratings: a fraction of {fraction} of {len(rated)} ratings leaves none on one side")
    rows = np.zeros(len(data.interactions), bool)
    rows[np.random.default_rng(seed).choice(rated, count, replace=False)] = True
    ratings = data.interactions["rating"].where(~rows)
    notes = (*data.notes, f"{count:,} ratings kept back")
    hidden = replace(data, interactions=data.interactions.assign(rating=ratings), notes=notes)
    return HeldOutRatings(hidden, targets_at(data, rows))

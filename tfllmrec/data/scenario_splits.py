"""Splits of data with scenarios: leave-one-out in each of them, and users who have one taken away."""

from dataclasses import dataclass, replace

import numpy as np

from tfllmrec.data.dataset import Dataset
from tfllmrec.data.histories import Histories
from tfllmrec.data.splits import Split, Targets, is_first_interaction, repeats_note, targets_at
from tfllmrec.errors import InputError


def leave_one_out_by_scenario(data: Dataset) -> Split:
    """A user's last item of every scenario is a test target, the one before it a validation target.

    For tables that know the order within a scenario only: what a target's user did before it is all that came earlier
    in its scenario, and, ahead of that, what of the others is in the training part. A user with fewer than three
    interactions in a scenario is only trained on there.

    Raises:
        InputError: there are no scenarios, or nobody has three interactions in one.
    """
    groups = _groups(data)
    to_come, lengths = _to_come(groups)
    held_out = (to_come < 2) & (lengths >= 3)
    if not held_out.any():
        raise InputError("leave-one-out by scenario: nobody has the three interactions in one that it takes")
    first_time = is_first_interaction(data)
    validation, test = (held_out & first_time & (to_come == place) for place in (1, 0))
    return Split(
        data.keep(~held_out, *repeats_note(held_out & ~first_time)),
        _targets(data, validation, ~held_out),
        _targets(data, test, ~held_out),
        data.keep(~(held_out & (to_come == 0))),
    )


@dataclass(frozen=True, eq=False)
class MissingScenario:
    """A training part in which some users have nothing in one of their scenarios, and what they had there.

    Attributes:
        data: the data set without those interactions.
        targets: each of them, after all that its user had in other scenarios.
    """

    data: Dataset
    targets: Targets


def missing_scenario(data: Dataset, fraction: float = 0.5, *, seed: int = 0) -> MissingScenario:
    """Take one seeded scenario away from a seeded fraction of the users who have two or more.

    Args:
        data: a data set with scenarios.
        fraction: of these users.
        seed: of who and which.

    Raises:
        InputError: there are no scenarios, or no such users.
    """
    groups = np.unique(_groups(data))
    users, scenarios = np.divmod(groups, _width(data))
    several = np.flatnonzero(np.bincount(users) > 1)
    random = np.random.default_rng(seed)
    chosen = random.choice(several, round(fraction * len(several)), replace=False)
    if not len(chosen):
        raise InputError(f"missing scenario: no user among {fraction} of those with two scenarios or more")
    taken = [random.choice(groups[(users == user) & (scenarios > 0)]) for user in np.sort(chosen)]
    rows = np.isin(_groups(data), taken)
    note = f"{len(chosen):,} users without one of their scenarios ({int(rows.sum()):,} interactions)"
    return MissingScenario(data.keep(~rows, note), _targets(data, rows & is_first_interaction(data), ~rows, own=False))


def _targets(data: Dataset, rows: np.ndarray, train: np.ndarray, *, own: bool = True) -> Targets:
    """Interactions as targets, after what of their users' other scenarios is trained on.

    Args:
        data: the data set.
        rows: the interactions, bool [n].
        train: those that are trained on, bool [n].
        own: whether all that came earlier in a target's own scenario follows.
    """
    targets, places = targets_at(data, rows), np.flatnonzero(rows)
    everything = Histories(np.arange(len(rows), dtype=np.int32), data.histories.offsets)
    spans = everything.take(targets.users)  # all interactions of every target's user
    target = np.repeat(np.arange(len(places)), spans.lengths)
    in_own = data.scenario_indices[spans.values] == data.scenario_indices[places][target]
    kept = np.where(in_own, own & (spans.values < places[target]), train[spans.values])
    order = np.lexsort((spans.values, in_own, target))
    order = order[kept[order]]
    lengths = np.bincount(target[kept], minlength=len(places))
    return replace(targets, histories=Histories.from_lengths(data.item_indices[spans.values[order]], lengths))


def _groups(data: Dataset) -> np.ndarray:
    """One number for every user and scenario together, int64 [n]."""
    if data.scenarios is None:
        raise InputError("interactions: column scenario is missing; a split by scenario needs it")
    return data.user_indices.astype(np.int64) * _width(data) + data.scenario_indices


def _width(data: Dataset) -> int:
    return 1 + (0 if data.scenarios is None else len(data.scenarios))


def _to_come(groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of every interaction, how many of its group follow it, and how many the group has: int64 [n] each."""
    order = np.argsort(groups, kind="stable")
    _, group, sizes = np.unique(groups[order], return_inverse=True, return_counts=True)
    places, lengths = np.empty(len(groups), np.int64), np.empty(len(groups), np.int64)
    places[order] = np.arange(len(groups)) - (np.cumsum(sizes) - sizes)[group]
    lengths[order] = sizes[group]
    return lengths - 1 - places, lengths

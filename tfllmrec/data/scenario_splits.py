"""Splits of data with scenarios: leave-one-out per scenario, and users without interactions in one scenario."""

from dataclasses import dataclass, replace

import numpy as np

from tfllmrec.data.dataset import Dataset
from tfllmrec.data.histories import Histories
from tfllmrec.data.splits import Split, Targets, is_first_interaction, repeats_note, targets_at
from tfllmrec.errors import InputError


def leave_one_out_by_scenario(data: Dataset) -> Split:
    """Split off a user's last item of every scenario as test target and the one before it as validation target.

    For tables in which the order is known within a scenario only. The history of a target is the user's training items
    of the other scenarios, followed by everything earlier in the target's scenario. A user with fewer than three
    interactions in a scenario is used for training only in that scenario.

    Raises:
        InputError: If there are no scenarios, or no user has three interactions in one.
    """
    later, lengths = _positions_in_groups(_user_scenarios(data))
    held_out = (later < 2) & (lengths >= 3)
    if not held_out.any():
        raise InputError(
            "leave-one-out by scenario: no user has three interactions in one scenario (train, validation, test)"
        )
    is_first = is_first_interaction(data)
    validation, test = (held_out & is_first & (later == count) for count in (1, 0))
    return Split(
        data.keep(~held_out, *repeats_note(held_out & ~is_first)),
        _targets(data, validation, ~held_out),
        _targets(data, test, ~held_out),
        data.keep(~(held_out & (later == 0))),
    )


@dataclass(frozen=True, eq=False)
class MissingScenario:
    """A training part in which some users have no interactions in one of their scenarios, and these as targets.

    Attributes:
        data: the data set without the removed interactions.
        targets: the removed interactions, each after all of its user's interactions in other scenarios.
    """

    data: Dataset
    targets: Targets


def missing_scenario(data: Dataset, fraction: float = 0.5, *, seed: int = 0) -> MissingScenario:
    """Remove one sampled scenario from a sampled fraction of the users who have two or more.

    Args:
        data: a data set with scenarios.
        fraction: share of these users.
        seed: of the sampled users and scenarios.

    Raises:
        InputError: If there are no scenarios, or no such users.
    """
    groups = np.unique(_user_scenarios(data))
    users, scenarios = np.divmod(groups, _num_scenarios(data))
    candidates = np.flatnonzero(np.bincount(users) > 1)
    generator = np.random.default_rng(seed)
    sampled = generator.choice(candidates, round(fraction * len(candidates)), replace=False)
    if not len(sampled):
        raise InputError(
            f"missing scenario: a fraction of {fraction} of {len(candidates)} users with two or more scenarios leaves "
            "no user; give a larger fraction or data with more scenarios per user"
        )
    removed = [generator.choice(groups[(users == user) & (scenarios > 0)]) for user in np.sort(sampled)]
    mask = np.isin(_user_scenarios(data), removed)
    note = f"{len(sampled):,} users without one of their scenarios ({int(mask.sum()):,} interactions)"
    targets = _targets(data, mask & is_first_interaction(data), ~mask, own_scenario=False)
    return MissingScenario(data.keep(~mask, note), targets)


def _targets(data: Dataset, mask: np.ndarray, train: np.ndarray, *, own_scenario: bool = True) -> Targets:
    """Return interactions as targets after their users' training items of other scenarios.

    Args:
        data: the data set.
        mask: the interactions, bool [n].
        train: the training part, bool [n].
        own_scenario: whether everything earlier in the target's own scenario follows.
    """
    targets, target_rows = targets_at(data, mask), np.flatnonzero(mask)
    all_rows = Histories(np.arange(len(mask), dtype=np.int32), data.histories.offsets)
    of_users = all_rows.take(targets.users)  # the rows of all interactions of every target's user
    rows, target = of_users.values, np.repeat(np.arange(len(target_rows)), of_users.lengths)
    in_own = data.scenario_indices[rows] == data.scenario_indices[target_rows][target]
    kept = np.where(in_own, own_scenario & (rows < target_rows[target]), train[rows])
    order = np.lexsort((rows, in_own, target))
    order = order[kept[order]]
    lengths = np.bincount(target[kept], minlength=len(target_rows))
    return replace(targets, histories=Histories.from_lengths(data.item_indices[rows[order]], lengths))


def _user_scenarios(data: Dataset) -> np.ndarray:
    """Return one number for every pair of user and scenario, int64 [n]."""
    if data.scenarios is None:
        raise InputError("interactions: column scenario is missing or empty; a split by scenario needs it")
    return data.user_indices.astype(np.int64) * _num_scenarios(data) + data.scenario_indices


def _num_scenarios(data: Dataset) -> int:
    """Count the scenarios, with index 0 for interactions that have none."""
    return 1 + (0 if data.scenarios is None else len(data.scenarios))


def _positions_in_groups(groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return, for every interaction, the number of later ones in its group and the group's size: int64 [n] each."""
    order = np.argsort(groups, kind="stable")
    _, group, sizes = np.unique(groups[order], return_inverse=True, return_counts=True)
    positions, lengths = np.empty(len(groups), np.int64), np.empty(len(groups), np.int64)
    positions[order] = np.arange(len(groups)) - (np.cumsum(sizes) - sizes)[group]
    lengths[order] = sizes[group]
    return lengths - 1 - positions, lengths

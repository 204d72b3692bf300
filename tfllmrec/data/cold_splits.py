"""Cold-start splits: items or users without training interactions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Integral, Real

import numpy as np

from tfllmrec.arguments import require_type
from tfllmrec.data.arguments import require_dataset
from tfllmrec.data.dataset import Dataset
from tfllmrec.data.histories import Histories
from tfllmrec.data.splits import Targets, is_first_interaction, is_last_interaction, repeats_note, targets_at
from tfllmrec.errors import InputError


@dataclass(frozen=True, eq=False)
class ColdItems:
    """A training part without the cold items, and every interaction with them as a target.

    Attributes:
        train: the data set without the interactions of cold items.
        targets: all interactions with cold items; histories are strictly earlier and contain no cold items.
        items: indices of the cold items, int32, sorted.
    """

    train: Dataset
    targets: Targets
    items: np.ndarray


def cold_items(data: Dataset, fraction: float = 0.1, *, seed: int = 0) -> ColdItems:
    """Remove a seeded fraction of the items from training.

    Raises:
        InputError: If `fraction` is not between 0 and 1, or leaves no cold or no warm item.
    """
    require_dataset("cold_items", "data", data)
    items = _sample_indices(len(data.item_vocabulary), fraction, seed, "items")
    is_cold = np.isin(data.item_indices, items)
    is_first = is_first_interaction(data)
    targets = targets_at(data, is_cold & is_first)
    is_warm = ~np.isin(targets.histories.values, items)
    warm_before = np.concatenate([[0], np.cumsum(is_warm)])
    histories = Histories(targets.histories.values[is_warm], warm_before[targets.histories.offsets])
    note = f"{len(items):,} cold items ({int(is_cold.sum()):,} interactions) removed"
    train = data.keep(~is_cold, note, *repeats_note(is_cold & ~is_first))
    return ColdItems(train, replace(targets, histories=histories), items)


@dataclass(frozen=True, eq=False)
class ColdUsers:
    """A training part without the cold users, and their last items as targets after short histories.

    Attributes:
        train: the data set without the cold users.
        targets: by history length, the targets with histories cut to that many most recent items; the user index is
            0, because the model does not know these users.
        target_users: the user of every target, int32, to look up user features.
        users: indices of the cold users, int32, sorted.
    """

    train: Dataset
    targets: dict[int, Targets]
    target_users: np.ndarray
    users: np.ndarray


def cold_users(
    data: Dataset, fraction: float = 0.1, *, history_lengths: Sequence[int] = (0, 1, 3), seed: int = 0
) -> ColdUsers:
    """Remove a seeded fraction of the users from training; their last items are targets.

    Args:
        data: the data set.
        fraction: share of the users that are cold.
        history_lengths: lengths of the histories before the targets.
        seed: of the sampled users.

    Raises:
        InputError: If `fraction` is not between 0 and 1, or leaves no cold or no warm user.
    """
    require_dataset("cold_users", "data", data)
    users = _sample_indices(len(data.user_vocabulary), fraction, seed, "users")
    is_cold = np.isin(data.user_indices, users)
    is_last = is_cold & is_last_interaction(data)
    is_first = is_first_interaction(data)
    last = targets_at(data, is_last & is_first)
    unknown = np.zeros_like(last.users)
    note = f"{len(users):,} cold users ({int(is_cold.sum()):,} interactions) removed"
    return ColdUsers(
        data.keep(~is_cold, note, *repeats_note(is_last & ~is_first)),
        {length: replace(last, users=unknown, histories=last.histories.truncate(length)) for length in history_lengths},
        last.users,
        users,
    )


def _sample_indices(size: int, fraction: float, seed: int, name: str) -> np.ndarray:
    require_type(f"cold_{name}", "fraction", fraction, Real, "pass a number between 0 and 1")
    require_type(f"cold_{name}", "seed", seed, Integral, "pass a whole number")
    count = round(size * fraction) if 0 < fraction < 1 else 0
    if not 0 < count < size:
        raise InputError(
            f"cold {name}: a fraction of {fraction} of {size} {name} leaves no cold or no warm {name}; give another "
            "fraction between 0 and 1"
        )
    return np.sort(np.random.default_rng(seed).choice(size, count, replace=False) + 1).astype(np.int32)

"""Splits by time: leave-one-out and temporal, with a training part and targets to evaluate on."""

from dataclasses import dataclass
from numbers import Real

import numpy as np

from tfllmrec.arguments import require_type
from tfllmrec.data.arguments import require_dataset
from tfllmrec.data.dataset import Dataset
from tfllmrec.data.histories import Histories
from tfllmrec.data.id_order import IdOrder
from tfllmrec.errors import InputError


@dataclass(frozen=True, eq=False)
class Targets:
    """Evaluation queries with the item that came next.

    Attributes:
        users: user index, int32 [n]; 0 for a user that is unknown to the model.
        histories: all items of the user before the target, oldest first (n rows); these are filtered as seen.
        items: the target item, int32 [n].
        ratings: the target's rating, float32 [n], NaN where it was not rated; None if the table has no ratings.
        scenarios: the target's scenario, int32 [n]; None if the table has no scenarios.
        id_order: the ids of the indices, which a model checks before it reads them; None if they are not known.
    """

    users: np.ndarray
    histories: Histories
    items: np.ndarray
    ratings: np.ndarray | None = None
    scenarios: np.ndarray | None = None
    id_order: IdOrder | None = None

    def __len__(self) -> int:
        return len(self.items)

    def take(self, rows: np.ndarray) -> "Targets":
        """Return the given rows, in the given order."""
        ratings, scenarios = (None if column is None else column[rows] for column in (self.ratings, self.scenarios))
        histories = self.histories.take(rows)
        return Targets(self.users[rows], histories, self.items[rows], ratings, scenarios, self.id_order)

    def rated(self) -> "Targets":
        """Return the targets that have a rating; none if the table has no ratings."""
        return self.take(np.flatnonzero([] if self.ratings is None else np.isfinite(self.ratings)))


@dataclass(frozen=True, eq=False)
class Split:
    """Training part, validation targets for model selection, and test targets for the report.

    Attributes:
        train: all interactions before the validation targets.
        validation: targets for early stopping and model selection.
        test: targets to report once.
        before_test: `train` and the validation part, to fit a model that will be served; metrics of that model are
            never reported.
    """

    train: Dataset
    validation: Targets
    test: Targets
    before_test: Dataset


def leave_one_out(data: Dataset) -> Split:
    """Split off the last item of each user as test target and the one before it as validation target.

    The training part ends before the validation target; the test history includes it. A user with fewer than three
    interactions stays in the training part. A repeat of an earlier item is not a target. The notes of `train` count
    both.

    Raises:
        InputError: If no user has three interactions.
    """
    require_dataset("leave_one_out", "data", data)
    later = _later_interactions(data)
    lengths = data.histories.lengths[data.user_indices]
    held_out = (later < 2) & (lengths >= 3)
    if not held_out.any():
        raise InputError("leave-one-out: no user has the three interactions that it needs (train, validation, test)")
    is_first = is_first_interaction(data)
    short = int(np.sum((data.histories.lengths > 0) & (data.histories.lengths < 3)))
    notes = [f"{short:,} users with fewer than 3 interactions are used for training only"] if short else []
    return Split(
        data.keep(~held_out, *notes, *repeats_note(held_out & ~is_first)),
        targets_at(data, held_out & is_first & (later == 1)),
        targets_at(data, held_out & is_first & (later == 0)),
        data.keep(~(held_out & (later == 0)), *notes),
    )


def leave_last_out(data: Dataset) -> tuple[Dataset, Targets]:
    """Split off the last item of each user as a target, to train a ranker on.

    A retriever that is fitted on the first part has not seen the targets, so it retrieves them as it retrieves those
    of an evaluation. A user with a single interaction stays in the first part. A repeat of an earlier item is not a
    target.

    Raises:
        InputError: If no user has two interactions.
    """
    is_last = (_later_interactions(data) == 0) & (data.histories.lengths[data.user_indices] >= 2)
    if not is_last.any():
        raise InputError("leave-last-out: no user has the two interactions that it needs")
    is_first = is_first_interaction(data)
    return data.keep(~is_last, *repeats_note(is_last & ~is_first)), targets_at(data, is_last & is_first)


def temporal_split(data: Dataset, validation_from: float, test_from: float) -> Split:
    """Split the table at two times: train before `validation_from`, test from `test_from` on.

    Every interaction of a later part is a target; its history is everything the user did before it, in the order of
    the table. A repeat of an earlier item is not a target.

    Args:
        data: a data set whose timestamps are times.
        validation_from: first time of the validation part, in the unit of the table (Unix seconds for dates).
        test_from: first time of the test part.

    Raises:
        InputError: If the timestamps are positions, which do not compare between users, or a part is empty.
    """
    require_dataset("temporal_split", "data", data)
    for name, time in (("validation_from", validation_from), ("test_from", test_from)):
        require_type("temporal_split", name, time, Real, "pass a number in the unit of the timestamps")
    if data.positions:
        raise InputError(
            "temporal split: the timestamps are positions in each user's history and do not compare between "
            "users; use leave_one_out"
        )
    times = data.interactions["timestamp"].to_numpy()
    is_first = is_first_interaction(data)
    train = times < validation_from
    validation = is_first & ~train & (times < test_from)
    test = is_first & (times >= test_from)
    for name, part in (("training", train), ("validation", validation), ("test", test)):
        if not part.any():
            raise InputError(
                f"temporal split: the {name} part is empty; choose other times between {times.min()} and {times.max()}"
            )
    return Split(
        data.keep(train, *repeats_note(~train & ~is_first)),
        targets_at(data, validation),
        targets_at(data, test),
        data.keep(times < test_from),
    )


def targets_at(data: Dataset, mask: np.ndarray) -> Targets:
    """Return the interactions with a true `mask`, bool [n], as targets after everything their users did before."""
    rows = np.flatnonzero(mask)
    users = data.user_indices[rows]
    histories = data.histories.slices(data.histories.offsets[users], rows)
    ratings = data.interactions["rating"].to_numpy(np.float32)[rows] if "rating" in data.interactions else None
    scenarios = None if data.scenarios is None else data.scenario_indices[rows]
    return Targets(users, histories, data.item_indices[rows], ratings, scenarios, data.id_order)


def is_first_interaction(data: Dataset) -> np.ndarray:
    """Return a mask of the interactions that are the first of their user with their item, bool [n]."""
    return ~data.interactions.duplicated(["user_id", "item_id"]).to_numpy()


def repeats_note(mask: np.ndarray) -> tuple[str, ...]:
    """Return the note that counts held-out interactions that are not targets, if there are any."""
    count = int(mask.sum())
    return (f"{count:,} held-out interactions repeat an earlier item and are not targets",) if count else ()


def is_last_interaction(data: Dataset) -> np.ndarray:
    """Return a mask of the last interaction of every user, bool [n]."""
    return _later_interactions(data) == 0


def _later_interactions(data: Dataset) -> np.ndarray:
    """Count the later interactions of the same user, int64 [n]; 0 for a user's last."""
    return data.histories.offsets[data.user_indices + 1] - 1 - np.arange(len(data.interactions))

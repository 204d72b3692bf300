"""What a model is fitted on and what it is asked: leave-one-out, temporal, cold-item and cold-user splits."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tfllmrec.data.dataset import Dataset
from tfllmrec.data.histories import Histories
from tfllmrec.errors import InputError


@dataclass(frozen=True, eq=False)
class Targets:
    """Questions with a known answer: after this history, which item came next?

    Attributes:
        users: user index, int32 [n]; 0 for a user the model must not know.
        histories: everything the user had before the target, oldest first (n rows); also what is filtered as
            seen.
        items: the item that came, int32 [n].
        ratings: what the user gave it, float32 [n], where the table has ratings; NaN where they gave none.
        scenarios: where it came, int32 [n], where the table has scenarios.
    """

    users: np.ndarray
    histories: Histories
    items: np.ndarray
    ratings: np.ndarray | None = None
    scenarios: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.items)

    def take(self, rows: np.ndarray) -> "Targets":
        """Some of the questions, in this order."""
        ratings, scenarios = (None if one is None else one[rows] for one in (self.ratings, self.scenarios))
        return Targets(self.users[rows], self.histories.take(rows), self.items[rows], ratings, scenarios)

    def rated(self) -> "Targets":
        """The questions whose items were rated, none where the table has no ratings."""
        return self.take(np.flatnonzero([] if self.ratings is None else np.isfinite(self.ratings)))


@dataclass(frozen=True, eq=False)
class Split:
    """A data set to fit on, and the targets to choose with (validation) and to report (test, once).

    Attributes:
        train: what comes before the validation targets.
        validation: targets to choose with.
        test: targets to report, once.
        before_test: `train` and the validation part: what to fit a model on that will be served, and never one
            that will be reported.
    """

    train: Dataset
    validation: Targets
    test: Targets
    before_test: Dataset


def leave_one_out(data: Dataset) -> Split:
    """The last item of a user is the test target, the one before it the validation target.

    The training part ends before the validation target; the test history includes it. A user with fewer than
    three interactions stays in training whole. A repeat of an earlier item is not a target. Both are counted
    in the notes of `train`.

    Raises:
        InputError: no user has three interactions.
    """
    age = _interactions_to_come(data)
    lengths = data.histories.lengths[data.user_indices]
    held_out = (age < 2) & (lengths >= 3)
    if not held_out.any():
        raise InputError("leave-one-out: no user has the three interactions it takes (train, validation, test)")
    first_time = is_first_interaction(data)
    short = int(np.sum((data.histories.lengths > 0) & (data.histories.lengths < 3)))
    notes = [f"{short:,} users with fewer than 3 interactions are only trained on"] if short else []
    return Split(
        data.keep(~held_out, *notes, *repeats_note(held_out & ~first_time)),
        targets_at(data, held_out & first_time & (age == 1)),
        targets_at(data, held_out & first_time & (age == 0)),
        data.keep(~(held_out & (age == 0)), *notes),
    )


def leave_last_out(data: Dataset) -> tuple[Dataset, Targets]:
    """What comes before every user's last item, and those last items as targets: to train a ranker on.

    A retriever fitted on the first part has not met the targets, so it finds them as it will find those of a report.
    A user with a single interaction stays in the first part. A repeat of an earlier item is no target.

    Raises:
        InputError: no user has two interactions.
    """
    last = (_interactions_to_come(data) == 0) & (data.histories.lengths[data.user_indices] >= 2)
    if not last.any():
        raise InputError("leave-last-out: no user has the two interactions it takes")
    first_time = is_first_interaction(data)
    return data.keep(~last, *repeats_note(last & ~first_time)), targets_at(data, last & first_time)


def temporal_split(data: Dataset, validation_from: float, test_from: float) -> Split:
    """Cut the table at two moments: train before `validation_from`, test from `test_from` on.

    Every interaction of a later part is a target, its history all that the user did strictly before it in the
    table's order; repeats of an earlier item are no targets.

    Args:
        data: a data set whose timestamps are times.
        validation_from: first moment of the validation part, in the table's unit (Unix seconds for dates).
        test_from: first moment of the test part.

    Raises:
        InputError: the timestamps are positions, which do not compare between users, or a part is empty.
    """
    if data.positions:
        raise InputError(
            "temporal split: the timestamps are positions in each user's history and do not compare between "
            "users; use leave_one_out"
        )
    times = data.interactions["timestamp"].to_numpy()
    first_time = is_first_interaction(data)
    train = times < validation_from
    validation = first_time & ~train & (times < test_from)
    test = first_time & (times >= test_from)
    for name, part in (("training", train), ("validation", validation), ("test", test)):
        if not part.any():
            raise InputError(
                f"temporal split: the {name} part is empty; the times run from {times.min()} to {times.max()}"
            )
    return Split(
        data.keep(train, *repeats_note(~train & ~first_time)),
        targets_at(data, validation),
        targets_at(data, test),
        data.keep(times < test_from),
    )


@dataclass(frozen=True, eq=False)
class ColdItems:
    """A training part without some items, and every interaction with them as a target.

    Attributes:
        train: the data set without the cold items' interactions.
        targets: all interactions with cold items; histories are strictly earlier and without cold items.
        items: the cold items, int32, sorted.
    """

    train: Dataset
    targets: Targets
    items: np.ndarray


def cold_items(data: Dataset, fraction: float = 0.1, *, seed: int = 0) -> ColdItems:
    """Take a seeded fraction of the items out of training.

    Raises:
        InputError: `fraction` is not between 0 and 1, or leaves no cold or no warm item.
    """
    chosen = _draw(len(data.item_vocabulary), fraction, seed, "items")
    is_cold = np.isin(data.item_indices, chosen)
    first_time = is_first_interaction(data)
    targets = targets_at(data, is_cold & first_time)
    warm = ~np.isin(targets.histories.values, chosen)
    kept_before = np.concatenate([[0], np.cumsum(warm)])
    histories = Histories(targets.histories.values[warm], kept_before[targets.histories.offsets])
    note = f"{len(chosen):,} cold items ({int(is_cold.sum()):,} interactions) taken out"
    train = data.keep(~is_cold, note, *repeats_note(is_cold & ~first_time))
    return ColdItems(train, replace(targets, histories=histories), chosen)


@dataclass(frozen=True, eq=False)
class ColdUsers:
    """A training part without some users, and their last items as targets after short histories.

    Attributes:
        train: the data set without the cold users.
        targets: for every history length asked for, the targets with histories cut to that many newest items;
            user index 0, since the model has never met them.
        target_users: the user of every target, int32, for what is told of users beside their history.
        users: the cold users, int32, sorted.
    """

    train: Dataset
    targets: dict[int, Targets]
    target_users: np.ndarray
    users: np.ndarray


def cold_users(
    data: Dataset, fraction: float = 0.1, *, history_lengths: Sequence[int] = (0, 1, 3), seed: int = 0
) -> ColdUsers:
    """Take a seeded fraction of the users out of training; ask for their last item after 0, 1 and 3 others.

    Raises:
        InputError: `fraction` is not between 0 and 1, or leaves no cold or no warm user.
    """
    chosen = _draw(len(data.user_vocabulary), fraction, seed, "users")
    is_cold = np.isin(data.user_indices, chosen)
    is_last = is_cold & (_interactions_to_come(data) == 0)
    first_time = is_first_interaction(data)
    last = targets_at(data, is_last & first_time)
    nobody = np.zeros_like(last.users)
    note = f"{len(chosen):,} cold users ({int(is_cold.sum()):,} interactions) taken out"
    return ColdUsers(
        data.keep(~is_cold, note, *repeats_note(is_last & ~first_time)),
        {length: replace(last, users=nobody, histories=last.histories.truncate(length)) for length in history_lengths},
        last.users,
        chosen,
    )


def targets_at(data: Dataset, rows: np.ndarray) -> Targets:
    """The interactions where `rows` is true as targets, with all that their users did before."""
    places = np.flatnonzero(rows)
    users = data.user_indices[places]
    before = data.histories.slices(data.histories.offsets[users], places)
    ratings = data.interactions["rating"].to_numpy(np.float32)[places] if "rating" in data.interactions else None
    scenarios = None if data.scenarios is None else data.scenario_indices[places]
    return Targets(users, before, data.item_indices[places], ratings, scenarios)


def _interactions_to_come(data: Dataset) -> np.ndarray:
    """How many interactions of the same user follow each interaction; 0 for a user's last."""
    return data.histories.offsets[data.user_indices + 1] - 1 - np.arange(len(data.interactions))


def is_first_interaction(data: Dataset) -> np.ndarray:
    """Whether an interaction is its user's first with the item, bool [n]."""
    return ~data.interactions.duplicated(["user_id", "item_id"]).to_numpy()


def repeats_note(rows: np.ndarray) -> tuple[str, ...]:
    """The note on held-out interactions that are no targets."""
    count = int(rows.sum())
    return (f"{count:,} held-out interactions repeat an earlier item and are no targets",) if count else ()


def _draw(size: int, fraction: float, seed: int, what: str) -> np.ndarray:
    count = round(size * fraction) if 0 < fraction < 1 else 0
    if not 0 < count < size:
        raise InputError(f"cold {what}: a fraction of {fraction} of {size} leaves no cold or no warm {what}")
    return np.sort(np.random.default_rng(seed).choice(size, count, replace=False) + 1).astype(np.int32)

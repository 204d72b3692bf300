"""A data set: checked tables in one order, with the vocabularies every later step shares."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from tfllmrec.data.histories import Histories
from tfllmrec.data.scenarios import Scenarios
from tfllmrec.data.table_checks import check_interactions, check_items, check_known_items, check_users
from tfllmrec.data.table_files import read_table
from tfllmrec.data.vocabulary import Vocabulary
from tfllmrec.errors import InputError
from tfllmrec.files import atomic_folder


@dataclass(frozen=True, eq=False)
class Dataset:
    """Interactions, items and perhaps users, sorted user by user and oldest first.

    Make one with `from_frames`, `from_folder` or a loader of `tfllmrec.data`. Rows with one time are ordered
    by a fixed hash of (user_id, item_id): row order inside a tie often follows the item id, which leaks. So
    the order of the rows given changes nothing.

    Attributes:
        interactions: user_id, item_id, timestamp and what else was given, sorted.
        items: one row an item of the vocabulary, in its order: item_id, title, ...
        users: user_id and features, or None.
        item_vocabulary: the items with at least one interaction in the *whole* table; a part of a data set (a
            training split, say) keeps the vocabulary of the whole.
        user_vocabulary: the users of the whole table.
        positions: True where a timestamp is a place in the user's history, so that times of two users do not
            compare.
        notes: what was dropped on request, counted, one sentence each.
        scenarios: those of the whole table, or None.
    """

    interactions: pd.DataFrame
    items: pd.DataFrame
    users: pd.DataFrame | None
    item_vocabulary: Vocabulary
    user_vocabulary: Vocabulary
    positions: bool = False
    notes: tuple[str, ...] = field(default=())
    scenarios: Scenarios | None = None

    @classmethod
    def from_frames(
        cls,
        interactions: pd.DataFrame,
        items: pd.DataFrame | None = None,
        users: pd.DataFrame | None = None,
        *,
        positions: bool = False,
        min_item_interactions: int = 1,
    ) -> "Dataset":
        """Check the tables and put them in order.

        Args:
            interactions: see `tfllmrec.data.table_checks.check_interactions`.
            items: see `check_items`; without it titles are the item ids.
            users: see `check_users`.
            positions: timestamps are positions in a history, not times.
            min_item_interactions: items with fewer interactions are left out; counted once, on this table.

        Raises:
            InputError: a table is not as it must be, or the filter leaves nothing.

        Example:
            >>> data = Dataset.from_frames(pd.DataFrame(
            ...     {"user_id": ["u", "u"], "item_id": ["b", "a"], "timestamp": [2, 1]}))
            >>> list(data.interactions["item_id"])
            ['a', 'b']
        """
        interactions = check_interactions(interactions)
        if items is None:
            ids = interactions["item_id"].unique()
            items = pd.DataFrame({"item_id": ids, "title": ids})
        items = check_items(items)
        check_known_items(interactions, items)
        users = None if users is None else check_users(users)
        interactions, notes = _keep_frequent_items(interactions, min_item_interactions)
        interactions = _in_order(interactions)
        item_vocabulary = Vocabulary(sorted(interactions["item_id"].unique()))
        items = items.set_index("item_id").loc[item_vocabulary.tokens[1:]].reset_index()
        user_vocabulary = Vocabulary(interactions["user_id"].unique())
        scenarios = Scenarios.from_interactions(interactions, item_vocabulary)
        return cls(interactions, items, users, item_vocabulary, user_vocabulary, positions, notes, scenarios)

    @classmethod
    def from_folder(cls, folder: str | Path, *, positions: bool = False, min_item_interactions: int = 1) -> "Dataset":
        """Read `interactions`, `items` and perhaps `users`, each `.parquet` or `.csv`, from a folder.

        Raises:
            InputError: the folder or a table is not there, cannot be read, or is not as it must be.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise InputError(f"{folder} is no folder; a data set is a folder with interactions.parquet or .csv")
        interactions = read_table(folder, "interactions")
        if interactions is None:
            raise InputError(f"{folder} is no data set: it has neither interactions.parquet nor interactions.csv")
        return cls.from_frames(
            interactions,
            read_table(folder, "items"),
            read_table(folder, "users"),
            positions=positions,
            min_item_interactions=min_item_interactions,
        )

    def to_folder(self, folder: str | Path) -> None:
        """Write the tables as parquet files to a new folder; `from_folder` reads them back.

        Raises:
            InputError: the folder exists, or cannot be made.
        """
        with atomic_folder(Path(folder)) as hidden:
            for name, table in self._tables():
                table.to_parquet(hidden / f"{name}.parquet", index=False)

    def _tables(self) -> Iterator[tuple[str, pd.DataFrame]]:
        yield "interactions", self.interactions
        yield "items", self.items
        if self.users is not None:
            yield "users", self.users

    def keep(self, rows: np.ndarray, *notes: str) -> "Dataset":
        """The data set with only some interactions (bool [n]); vocabularies and items stay the whole's."""
        return replace(self, interactions=self.interactions[rows].reset_index(drop=True), notes=(*self.notes, *notes))

    @cached_property
    def item_indices(self) -> np.ndarray:
        """The item index of every interaction, int32 [n]."""
        return self.item_vocabulary.lookup(self.interactions["item_id"])

    @cached_property
    def user_indices(self) -> np.ndarray:
        """The user index of every interaction, int32 [n]."""
        return self.user_vocabulary.lookup(self.interactions["user_id"])

    @cached_property
    def scenario_indices(self) -> np.ndarray:
        """The scenario of every interaction, int32 [n]; 0 where it has none."""
        if self.scenarios is None:
            return np.zeros(len(self.interactions), np.int32)
        return self.scenarios.names.lookup(self.interactions["scenario"])

    @cached_property
    def ratings(self) -> np.ndarray:
        """The rating of every interaction, float32 [n]; NaN where none was given.

        Raises:
            InputError: none was given at all.
        """
        if "rating" not in self.interactions or self.interactions["rating"].isna().all():
            raise InputError("interactions: column rating is missing or empty; there is nothing to learn ratings from")
        return self.interactions["rating"].to_numpy(np.float32)

    @property
    def mean_rating(self) -> float:
        """The mean of what was given; as `ratings` where nothing was."""
        return float(np.nanmean(self.ratings))

    def likes(self, like_threshold: float = 4.0) -> np.ndarray:
        """What was liked, float32 [n]: 1 for a rating from that on, or an event, 0 for others, NaN where none is told.

        Where there are events they tell: "" is nothing, and every other is a like.

        Raises:
            InputError: there are neither ratings nor events.
        """
        if "event" in self.interactions:
            return (self.interactions["event"] != "").to_numpy(np.float32)
        return np.where(np.isnan(self.ratings), np.nan, self.ratings >= like_threshold).astype(np.float32)

    @cached_property
    def histories(self) -> Histories:
        """The items of every user of the vocabulary, by user index; row 0, the unknown user's, is empty."""
        lengths = np.bincount(self.user_indices, minlength=len(self.user_vocabulary) + 1)
        return Histories.from_lengths(self.item_indices, lengths)

    @cached_property
    def item_counts(self) -> np.ndarray:
        """Interactions of every item, int64 [items + 1]; element 0, the padding's, is 0."""
        return np.bincount(self.item_indices, minlength=len(self.item_vocabulary) + 1)

    def summary(self) -> dict[str, int]:
        """Rows, users and items, as a report tells them."""
        return {
            "interactions": len(self.interactions),
            "users": len(self.user_vocabulary),
            "items": len(self.item_vocabulary),
        }


def _keep_frequent_items(interactions: pd.DataFrame, minimum: int) -> tuple[pd.DataFrame, tuple[str, ...]]:
    counts = interactions["item_id"].map(interactions["item_id"].value_counts())
    kept = interactions[counts >= minimum]
    if kept.empty:
        raise InputError(f"interactions: no item has {minimum} interactions; lower min_item_interactions")
    dropped = len(interactions) - len(kept)
    if not dropped:
        return interactions, ()
    items, users = (interactions[column].nunique() - kept[column].nunique() for column in ("item_id", "user_id"))
    note = f"left out {dropped:,} interactions of {items:,} items with fewer than {minimum} interactions"
    return kept, (note + (f", and {users:,} users who had no others" if users else ""),)


def _in_order(interactions: pd.DataFrame) -> pd.DataFrame:
    """By user, time, and inside one time by a hash, so that the order of the rows given tells nothing.

    What happened to one item at one moment is ordered by a hash of the other columns.
    """
    keys = interactions["user_id"].astype(object) + "\x1f" + interactions["item_id"].astype(object)
    tie = pd.util.hash_array(keys.to_numpy(dtype=object), categorize=False)
    others = [column for column in ("rating", "event", "scenario", "text") if column in interactions]
    rest = pd.util.hash_pandas_object(interactions[others], index=False) if others else np.zeros(len(interactions))
    users = pd.factorize(interactions["user_id"], sort=True)[0]
    order = np.lexsort((rest, tie, interactions["timestamp"], users))
    return interactions.iloc[order].reset_index(drop=True)

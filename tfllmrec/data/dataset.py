"""Data sets: checked tables in a fixed order, with the vocabularies that all later steps share."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tfllmrec.arguments import path_of, positive_integer, require_type
from tfllmrec.data.histories import Histories
from tfllmrec.data.id_order import IdOrder
from tfllmrec.data.scenarios import Scenarios
from tfllmrec.data.table_checks import check_interactions, check_items, check_known_items, check_users
from tfllmrec.data.table_files import read_table
from tfllmrec.data.vocabulary import Vocabulary
from tfllmrec.errors import InputError
from tfllmrec.files import atomic_folder


@dataclass(frozen=True, eq=False)
class Dataset:
    """Interactions, items and optionally users; interactions are sorted by user and time.

    Create one with `from_frames`, `from_folder` or a loader of `tfllmrec.data`. Ties in time are broken by a fixed hash
    of (user_id, item_id), because the row order inside a tie often follows the item id, which leaks. The row order of
    the given tables therefore has no effect.

    Attributes:
        interactions: user_id, item_id, timestamp and the optional columns, sorted.
        items: one row per item of the vocabulary, in its order: item_id, title, ...
        users: user_id and features, or None.
        item_vocabulary: the items with at least one interaction in the *whole* table, and those of the `id_order` that
            the data set was built with; a part of a data set, such as a training split, keeps this vocabulary.
        user_vocabulary: the users of the whole table, and those of the `id_order`.
        positions: True if timestamps are positions in a user's history and do not compare between users.
        notes: one sentence for each kind of rows that were left out, with their count.
        scenarios: the scenarios of the whole table, or None.
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
        interactions: Any,
        items: Any = None,
        users: Any = None,
        *,
        positions: bool = False,
        min_item_interactions: int = 1,
        date_format: str | None = None,
        id_order: IdOrder | None = None,
    ) -> "Dataset":
        """Check and sort the tables.

        A table is a DataFrame, an object that exports the Arrow C stream (polars, PyArrow, DuckDB), or a dict of lists.

        Args:
            interactions: see `tfllmrec.data.table_checks.check_interactions`.
            items: see `check_items`; by default titles are the item ids.
            users: see `check_users`.
            positions: timestamps are positions in a user's history, not times.
            min_item_interactions: items with fewer interactions are dropped; counted once, on this table.
            date_format: format of timestamps in text, such as "%d/%m/%Y"; by default it is detected.
            id_order: ids that keep their indices, such as `model.id_order` of a fitted model or `data.id_order` of an
                earlier data set; new ids are appended, and known items are never dropped. By default ids are sorted.

        Raises:
            InputError: If a table is invalid, no item has enough interactions, or the items table lacks an item of
                `id_order`.

        Example:
            >>> data = Dataset.from_frames(pd.DataFrame(
            ...     {"user_id": ["u", "u"], "item_id": ["b", "a"], "timestamp": [2, 1]}))
            >>> list(data.interactions["item_id"])
            ['a', 'b']
        """
        call = "Dataset.from_frames"
        require_type(call, "positions", positions, (bool, np.bool_), "pass True or False")
        require_type(call, "date_format", date_format, (str, type(None)), 'pass a format such as "%d/%m/%Y"')
        require_type(call, "id_order", id_order, (IdOrder, type(None)), "pass model.id_order or data.id_order")
        min_item_interactions = positive_integer(call, "min_item_interactions", min_item_interactions)
        interactions = check_interactions(interactions, date_format=date_format)
        known_items = () if id_order is None else id_order.items.tokens[1:]
        if items is None:
            ids = pd.unique(np.concatenate([interactions["item_id"].to_numpy(dtype=object), known_items]))
            items = pd.DataFrame({"item_id": ids, "title": ids})
        items = check_items(items)
        check_known_items(interactions["item_id"], items, "interactions")
        check_known_items(pd.Series(known_items, dtype=object), items, "id_order")
        users = None if users is None else check_users(users)
        notes = _unused_items_note(items, {*interactions["item_id"], *known_items})
        interactions, dropped = _drop_rare_items(interactions, min_item_interactions, known_items)
        names = interactions["scenario"].unique() if "scenario" in interactions else ()
        item_ids, user_ids = (interactions[column].unique() for column in ("item_id", "user_id"))
        order = IdOrder.appended(item_ids, user_ids, names, known=id_order)
        items = items.set_index("item_id").loc[order.items.tokens[1:]].reset_index()
        interactions = _sort(interactions, order.users)
        scenarios = Scenarios.from_interactions(interactions, order.items, order.scenarios)
        return cls(interactions, items, users, order.items, order.users, positions, (*notes, *dropped), scenarios)

    @classmethod
    def from_folder(
        cls,
        folder: str | Path,
        *,
        positions: bool = False,
        min_item_interactions: int = 1,
        separator: str | None = None,
        encoding: str | None = None,
        date_format: str | None = None,
        id_order: IdOrder | None = None,
    ) -> "Dataset":
        """Read `interactions`, `items` and optionally `users` from a folder of Parquet and CSV files.

        Args:
            folder: the folder; without an items table titles are the item ids.
            positions: see `from_frames`.
            min_item_interactions: see `from_frames`.
            separator: see `tfllmrec.data.table_files.read_table_file`.
            encoding: see `tfllmrec.data.table_files.read_table_file`.
            date_format: see `from_frames`.
            id_order: see `from_frames`.

        Raises:
            InputError: If the folder or its interactions do not exist, or a table cannot be read or is invalid.
        """
        folder = path_of("Dataset.from_folder", "folder", folder)
        for name, option in (("separator", separator), ("encoding", encoding)):
            require_type("Dataset.from_folder", name, option, (str, type(None)), "pass a string")
        if not folder.is_dir():
            raise InputError(f"{folder} is not a folder; a data set is a folder with interactions.parquet or .csv")
        interactions, items, users = (
            read_table(folder, name, separator=separator, encoding=encoding)
            for name in ("interactions", "items", "users")
        )
        if interactions is None:
            raise InputError(f"{folder} is not a data set: it has neither interactions.parquet nor interactions.csv")
        return cls.from_frames(
            interactions,
            items,
            users,
            positions=positions,
            min_item_interactions=min_item_interactions,
            date_format=date_format,
            id_order=id_order,
        )

    def to_folder(self, folder: str | Path) -> None:
        """Write the tables as parquet files to a new folder, atomically; `from_folder` reads them.

        Raises:
            InputError: If the folder exists or cannot be created.
        """
        with atomic_folder(path_of("to_folder", "folder", folder)) as staging:
            for name, table in self._tables():
                table.to_parquet(staging / f"{name}.parquet", index=False)

    def _tables(self) -> Iterator[tuple[str, pd.DataFrame]]:
        yield "interactions", self.interactions
        yield "items", self.items
        if self.users is not None:
            yield "users", self.users

    def keep(self, mask: np.ndarray, *notes: str) -> "Dataset":
        """Return a part with the interactions where `mask`, bool [n], is true; vocabularies and items are kept."""
        return replace(self, interactions=self.interactions[mask].reset_index(drop=True), notes=(*self.notes, *notes))

    @property
    def id_order(self) -> IdOrder:
        """The order of the ids; pass it on to build a data set of more rows in which known ids keep their indices."""
        names = None if self.scenarios is None else self.scenarios.names
        return IdOrder(self.item_vocabulary, self.user_vocabulary, names)

    @cached_property
    def item_indices(self) -> np.ndarray:
        """Item index of every interaction, int32 [n]."""
        return self.item_vocabulary.lookup(self.interactions["item_id"])

    @cached_property
    def user_indices(self) -> np.ndarray:
        """User index of every interaction, int32 [n]."""
        return self.user_vocabulary.lookup(self.interactions["user_id"])

    @cached_property
    def scenario_indices(self) -> np.ndarray:
        """Scenario index of every interaction, int32 [n]; 0 for none."""
        if self.scenarios is None:
            return np.zeros(len(self.interactions), np.int32)
        return self.scenarios.names.lookup(self.interactions["scenario"])

    @cached_property
    def ratings(self) -> np.ndarray:
        """Rating of every interaction, float32 [n]; NaN if it is missing.

        Raises:
            InputError: If the table has no ratings.
        """
        if "rating" not in self.interactions or self.interactions["rating"].isna().all():
            raise InputError("interactions: column rating is missing or empty; add ratings to learn from")
        return self.interactions["rating"].to_numpy(np.float32)

    @property
    def mean_rating(self) -> float:
        """Mean of the ratings; raises as `ratings` does."""
        return float(np.nanmean(self.ratings))

    def likes(self, like_threshold: float = 4.0) -> np.ndarray:
        """Return like labels, float32 [n]: 1 for a like, 0 for no like, NaN if unknown.

        If the table has a column `event`, every non-empty event is a like. Otherwise a rating of `like_threshold` or
        more is a like.

        Raises:
            InputError: If there are neither ratings nor events.
        """
        if "event" in self.interactions:
            return (self.interactions["event"] != "").to_numpy(np.float32)
        return np.where(np.isnan(self.ratings), np.nan, self.ratings >= like_threshold).astype(np.float32)

    @cached_property
    def histories(self) -> Histories:
        """Items of every user of the vocabulary, by user index; row 0, the unknown user's, is empty."""
        lengths = np.bincount(self.user_indices, minlength=len(self.user_vocabulary) + 1)
        return Histories.from_lengths(self.item_indices, lengths)

    @cached_property
    def item_counts(self) -> np.ndarray:
        """Interactions of every item, int64 [items + 1]; 0 for the padding at index 0."""
        return np.bincount(self.item_indices, minlength=len(self.item_vocabulary) + 1)

    def summary(self) -> dict[str, int]:
        """Return the numbers of interactions, users and items."""
        return {
            "interactions": len(self.interactions),
            "users": len(self.user_vocabulary),
            "items": len(self.item_vocabulary),
        }


def _drop_rare_items(
    interactions: pd.DataFrame, minimum: int, known_items: Collection[str]
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    counts = interactions["item_id"].map(interactions["item_id"].value_counts())
    kept = interactions[(counts >= minimum) | interactions["item_id"].isin(known_items)]
    if kept.empty:
        raise InputError(f"interactions: no item has {minimum} interactions; lower min_item_interactions")
    dropped = len(interactions) - len(kept)
    if not dropped:
        return interactions, ()
    items, users = (interactions[column].nunique() - kept[column].nunique() for column in ("item_id", "user_id"))
    note = f"dropped {dropped:,} interactions of {items:,} items with fewer than {minimum} interactions"
    return kept, (note + (f", and {users:,} users without other interactions" if users else ""),)


def _unused_items_note(items: pd.DataFrame, used: Collection[str]) -> tuple[str, ...]:
    unused = items.loc[~items["item_id"].isin(used), "item_id"].tolist()
    if not unused:
        return ()
    examples = ", ".join(map(repr, unused[:3])) + (", ..." if len(unused) > 3 else "")
    return (f"left out {len(unused):,} items without interactions ({examples})",)


def _sort(interactions: pd.DataFrame, users: Vocabulary) -> pd.DataFrame:
    """Sort by user, time and a hash of (user_id, item_id), and rows equal in all of these by a hash of the others."""
    keys = interactions["user_id"].astype(object) + "\x1f" + interactions["item_id"].astype(object)
    tie = pd.util.hash_array(keys.to_numpy(dtype=object), categorize=False)
    others = [column for column in ("rating", "event", "scenario", "text") if column in interactions]
    rest = pd.util.hash_pandas_object(interactions[others], index=False) if others else np.zeros(len(interactions))
    order = np.lexsort((rest, tie, interactions["timestamp"], users.lookup(interactions["user_id"])))
    return interactions.iloc[order].reset_index(drop=True)

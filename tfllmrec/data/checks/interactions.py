"""Compact interaction tables: encoded ids and numeric times."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tfllmrec.data.checks.id_column import IdColumn
from tfllmrec.data.checks.time_column import TimeColumn


@dataclass(frozen=True, eq=False)
class Interactions:
    """Columns of an interaction table, n rows.

    Attributes:
        users: user ids.
        items: item ids.
        times: times.
    """

    users: IdColumn
    items: IdColumn
    times: TimeColumn

    def __len__(self) -> int:
        return len(self.users.codes)

    def valid(self) -> "Interactions":
        """Return the rows with both ids and a time."""
        mask = (self.users.codes >= 0) & (self.items.codes >= 0) & ~self.times.is_missing
        if mask.all():
            return self
        return Interactions(self.users.keep(mask), self.items.keep(mask), self.times.keep(mask))

    @cached_property
    def by_time(self) -> np.ndarray:
        """Rows in the order of user, time and item, int64 [n]."""
        return np.lexsort((self.items.codes, self.times.values, self.users.codes))

    @cached_property
    def by_item(self) -> np.ndarray:
        """Rows in the order of user, item and time, int64 [n]."""
        return np.lexsort((self.times.values, self.items.codes, self.users.codes))

    @cached_property
    def repeats_item(self) -> np.ndarray:
        """Whether the row before it in `by_item` has the same user and item, bool [n], in that order."""
        return _equals_previous(self.by_item, self.users.codes, self.items.codes)

    @cached_property
    def repeats_time(self) -> np.ndarray:
        """Whether the row before it in `by_time` has the same user and time, bool [n], in that order."""
        return _equals_previous(self.by_time, self.users.codes, self.times.values)

    def show(self, row: int) -> str:
        """Return a row as it is shown in examples."""
        return f"user {self.users.show_row(row)}, item {self.items.show_row(row)}, time {self.times.show_row(row)}"


def _equals_previous(order: np.ndarray, *columns: np.ndarray) -> np.ndarray:
    """Return whether a row equals the row before it in all columns, bool [n], in the given order."""
    mask = np.arange(len(order)) > 0
    for column in columns:
        ordered = column[order]
        mask[1:] &= ordered[1:] == ordered[:-1]
    return mask

"""Time columns of large tables, as numbers with a unit."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

EARLIEST = 631152000
"""1990-01-01 in Unix seconds. A number is in the finest unit in which it is not earlier."""
UNITS = ("seconds", "milliseconds", "microseconds", "nanoseconds")
_LARGEST_POSITION = 100_000_000  # March 1973 in Unix seconds
_LAST_YEAR = 1e13  # in Unix seconds, of those that are shown as dates
_DATE_DIGITS = (8, 12, 14)  # yyyymmdd, yyyymmddHHMM, yyyymmddHHMMSS


@dataclass(frozen=True, eq=False)
class TimeColumn:
    """Times of every row.

    Attributes:
        values: int64 or float64 [n]; equal times have equal values, and order is kept unless `unordered`.
        is_missing: whether a row has no readable time, bool [n].
        unit: position in `UNITS` for dates; None for numbers, which have any unit.
        unordered: whether the values are labels of dates that cannot be read without a format.
    """

    values: np.ndarray
    is_missing: np.ndarray
    unit: int | None = None
    unordered: bool = False

    def keep(self, mask: np.ndarray) -> "TimeColumn":
        """Return the rows where `mask`, bool [n], is true."""
        return replace(self, values=self.values[mask], is_missing=self.is_missing[mask])

    @cached_property
    def are_date_numbers(self) -> bool:
        """Whether all numbers spell dates, such as 20240309."""
        if self.unit is not None or self.unordered or np.any(self.values % 1):
            return False
        digits = len(str(int(self.values.max(initial=0))))
        if digits not in _DATE_DIGITS:
            return False
        dates = self.values // 10 ** (digits - 8)
        years, months, days = dates // 10000, dates // 100 % 100, dates % 100
        is_date = (years >= 1900) & (years <= 2100) & (months >= 1) & (months <= 12) & (days >= 1) & (days <= 31)
        return bool(is_date.all())

    @cached_property
    def are_positions(self) -> bool:
        """Whether numbers are too small for times."""
        is_number = self.unit is None and not self.unordered and not self.are_date_numbers
        return is_number and len(self.values) > 0 and bool(np.median(self.values) < _LARGEST_POSITION)

    @cached_property
    def units(self) -> np.ndarray | None:
        """Unit of every row as a position in `UNITS`, int64 [n]; None if the values are not times."""
        if self.unordered or self.are_date_numbers or self.are_positions:
            return None
        if self.unit is not None:
            return np.full(len(self.values), self.unit)
        units = np.searchsorted(EARLIEST * 1000.0 ** np.arange(1, len(UNITS)), self.values, side="right")
        return np.where(self.values < _LARGEST_POSITION, np.bincount(units).argmax(), units)  # 0 has any unit

    @cached_property
    def seconds(self) -> np.ndarray | None:
        """Unix seconds, float64 [n]; None if the values are not times."""
        return None if self.units is None else self.values / 1000.0**self.units

    def show_row(self, row: int) -> str:
        """Return the time of a row as it is shown in examples; of dates and times, also in ISO format."""
        value = self.values[row].item()
        if self.seconds is None or abs(self.seconds[row]) > _LAST_YEAR:
            return str(value)
        date = str(np.datetime64(int(self.seconds[row]), "s")).replace("T", " ").removesuffix(" 00:00:00")
        return date if self.unit is not None else f"{value} ({date})"

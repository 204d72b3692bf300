"""Checks of times: ties, positions, units, and dates in the future or the distant past."""

import numpy as np

from tfllmrec.data.checks.findings import Finding, finding_at
from tfllmrec.data.checks.interactions import Interactions
from tfllmrec.data.checks.time_column import EARLIEST, UNITS

_TIME_ZONES = 14 * 3600  # local times that are read as UTC are up to 14 hours ahead


def ties(rows: Interactions) -> Finding | None:
    """Find rows that share the time of the same user's row before."""
    items = rows.items.codes[rows.by_time]
    return finding_at(
        rows.repeats_time & np.append(False, items[1:] != items[:-1]),
        "ties in time",
        "rows",
        lambda position: rows.show(rows.by_time[position]),
        "The order of a user's items at the same time is unknown, and a fixed hash decides; give finer times.",
    )


def positions(rows: Interactions) -> Finding | None:
    """Find a table with positions in place of times."""
    return finding_at(
        np.full(len(rows), rows.times.are_positions),
        "positions as times",
        "rows",
        rows.show,
        "Numbers below 100,000,000 are positions in a history, which do not compare between users; split by "
        "leave-one-out only, with positions=True in Python.",
    )


def date_numbers(rows: Interactions) -> Finding | None:
    """Find numbers that spell dates."""
    return finding_at(
        np.full(len(rows), rows.times.are_date_numbers),
        "dates as numbers",
        "rows",
        rows.show,
        "Numbers such as 20240309 sort correctly, but their differences are not times; give dates or Unix seconds.",
    )


def time_units(rows: Interactions) -> Finding | None:
    """Find numbers in another unit than most, or else in another unit than seconds."""
    units = rows.times.units
    if units is None or rows.times.unit is not None:
        return None
    most = int(np.bincount(units).argmax())
    if np.any(units != most):
        advice = f"Most numbers are in {UNITS[most]} and these are not, so they sort wrongly; use one unit."
        return finding_at(units != most, "mixed time units", "rows", rows.show, advice)
    advice = f"These look like Unix {UNITS[most]}; the order is right, but `monitor` reads seconds: divide them."
    return finding_at(units != 0, "times not in seconds", "rows", rows.show, advice)


def future_dates(rows: Interactions, now: float) -> Finding | None:
    """Find times after today."""
    if rows.times.seconds is None:
        return None
    return finding_at(
        rows.times.seconds > now + _TIME_ZONES,
        "future dates",
        "rows",
        rows.show,
        "Future dates are errors or stand for missing ones, and become the targets of a test; remove or correct them.",
    )


def early_dates(rows: Interactions) -> Finding | None:
    """Find times before 1990, such as 0."""
    if rows.times.seconds is None:
        return None
    return finding_at(
        rows.times.seconds < EARLIEST,
        "early dates",
        "rows",
        rows.show,
        "Dates before 1990 often stand for missing ones, and start every history; remove or correct them.",
    )


TIME_CHECKS = (ties, positions, date_numbers, time_units, early_dates)

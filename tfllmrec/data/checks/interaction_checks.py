"""Checks of who interacted with what: duplicates, bots, short histories, rare items and skew."""

import numpy as np

from tfllmrec.data.checks.findings import Finding, finding_at
from tfllmrec.data.checks.interactions import Interactions

_BOT_COUNT, _BOT_FACTOR = 1000, 50
"""A bot by count has this many interactions, and this many times those of the median user."""
_MINUTE, _DAY = 60, 86400
_BOT_RATES = {_MINUTE: 100, _DAY: 1000}
"""A bot by rate has this many interactions within a minute or a day."""
_TOP_SHARE, _GINI, _MIN_ITEMS = 0.5, 0.9, 100
"""A table of this many items is skewed if the top 1 % have this share of the interactions, or at this coefficient."""
_LEAVE_ONE_OUT = 3


def duplicates(rows: Interactions) -> Finding | None:
    """Find rows that repeat the user, item and time of another."""
    times = rows.times.values[rows.by_item]
    return finding_at(
        rows.repeats_item & np.append(False, times[1:] == times[:-1]),
        "duplicates",
        "rows",
        lambda position: rows.show(rows.by_item[position]),
        "Keep one of the rows with the same user, item and time, or each of them counts in training.",
    )


def repeated_pairs(rows: Interactions) -> Finding | None:
    """Find rows of a user with an item that the user had at an earlier time."""
    times = rows.times.values[rows.by_item]
    return finding_at(
        rows.repeats_item & np.append(False, times[1:] != times[:-1]),
        "repeated user-item pairs",
        "rows",
        lambda position: rows.show(rows.by_item[position]),
        "Repeats are never targets of an evaluation, and seen items are not recommended; keep the first row alone, or "
        "recommend with exclude_seen=False.",
    )


def bots_by_count(rows: Interactions) -> Finding | None:
    """Find users with far more interactions than the median user."""
    users = rows.users
    threshold = max(_BOT_COUNT, _BOT_FACTOR * float(np.median(users.counts)))
    return finding_at(
        users.counts >= threshold,
        "bots by count",
        "users",
        users.show_with_count,
        f"Users with {threshold:,.0f} interactions or more are bots or shared accounts in most logs; remove them.",
    )


def bots_by_rate(rows: Interactions) -> Finding | None:
    """Find users with more interactions in a minute or a day than a person has."""
    if rows.times.seconds is None:
        return None
    users, seconds = rows.users.codes[rows.by_time], rows.times.seconds[rows.by_time]
    is_bot = np.zeros(len(rows.users.ids), bool)
    for window, count in _BOT_RATES.items():
        is_fine = window == _DAY or np.any(seconds % window)  # times in whole days say nothing about minutes
        if is_fine and len(rows) >= count:
            last, first = slice(count - 1, None), slice(None, len(rows) - count + 1)
            is_fast = (users[last] == users[first]) & (seconds[last] - seconds[first] <= window)
            is_bot[users[last][is_fast]] = True
    return finding_at(
        is_bot,
        "bots by rate",
        "users",
        rows.users.show_with_count,
        f"People have fewer than {_BOT_RATES[_MINUTE]:,} interactions a minute and {_BOT_RATES[_DAY]:,} a day; remove "
        "bots, and give imported histories their own times.",
    )


def short_histories(rows: Interactions) -> Finding | None:
    """Find users with too few interactions for leave-one-out."""
    users = rows.users
    is_short = users.counts < _LEAVE_ONE_OUT
    effect = "no user has them; add interactions" if is_short.all() else "these users are used for training only"
    return finding_at(
        is_short,
        "short histories",
        "users",
        users.show_with_count,
        f"Leave-one-out needs {_LEAVE_ONE_OUT} interactions of a user: {effect}.",
        refused=bool(is_short.all()),
    )


def single_user_items(rows: Interactions) -> Finding | None:
    """Find items that one user alone had."""
    users = np.bincount(rows.items.codes[rows.by_item[~rows.repeats_item]], minlength=len(rows.items.ids))
    return finding_at(
        users == 1,
        "single-user items",
        "items",
        rows.items.show,
        "Nothing relates them to other items except their content; raise --min-item-interactions or use content.",
    )


def skew(rows: Interactions) -> Finding | None:
    """Find a table in which few items have most interactions."""
    items = rows.items
    share, gini = top_share(items.counts), gini_coefficient(items.counts)
    if len(items.ids) < _MIN_ITEMS or (share < _TOP_SHARE and gini < _GINI):
        return None
    is_top = np.zeros(len(items.ids), bool)
    is_top[np.argsort(-items.counts, kind="stable")[: _top_items(len(items.ids))]] = True
    return finding_at(
        is_top,
        "skew",
        "items",
        items.show_with_count,
        f"The top 1 % of the items have {share:.0%} of the interactions (Gini {gini:.2f}); compare every model with "
        "popularity, and check that these are items and not pages or defaults.",
    )


def top_share(counts: np.ndarray) -> float:
    """Return the share of the interactions that the top 1 % of the items have; at least one item."""
    return float(np.sort(counts)[-_top_items(len(counts)) :].sum() / counts.sum())


def gini_coefficient(counts: np.ndarray) -> float:
    """Return the Gini coefficient of counts: 0 if all are equal, near 1 if one item has all interactions."""
    n = len(counts)
    return float((2 * np.arange(1, n + 1) - n - 1) @ np.sort(counts) / (n * counts.sum()))


def _top_items(items: int) -> int:
    return max(1, items // 100)


INTERACTION_CHECKS = (
    duplicates,
    repeated_pairs,
    bots_by_count,
    bots_by_rate,
    short_histories,
    single_user_items,
    skew,
)

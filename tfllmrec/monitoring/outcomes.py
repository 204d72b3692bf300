"""Outcomes of impressions: clicks on recommended items, and recall on the interactions that followed."""

import numpy as np
import pandas as pd

from tfllmrec.evaluation.bootstrap import Interval, share, share_difference

_MIN_USERS = 2
"""Fewer users have no bootstrap interval."""


def clicks(impressions: pd.DataFrame, interactions: pd.DataFrame, k: int, window: float, end: float) -> pd.DataFrame:
    """Return the impressions of known users with the positions that were clicked.

    A click is an interaction with a recommended item within the window after the impression. Impressions with a window
    that ends after `end` are left out because their later clicks are not known yet.

    Args:
        impressions: `Impressions.table`.
        interactions: columns user (a pseudonym), item_id and timestamp (Unix seconds).
        k: number of positions that count.
        window: seconds.
        end: Unix seconds up to which all interactions are known.

    Returns:
        The impressions with two more columns. `hit` is 1.0 if an item was clicked, else 0.0. `clicked` has float [k]:
        1.0 at clicked positions, 0.0 at others, NaN beyond the end of the list.
    """
    evaluated = (impressions["user"] != "") & (impressions["time"] + window <= end)
    impressions = impressions[evaluated].reset_index(drop=True)
    items = impressions["item_ids"].str[:k]
    positions = impressions[["user", "time"]].assign(row=impressions.index, item_id=items).explode("item_id")
    positions["position"] = positions.groupby("row").cumcount()
    positions = positions.dropna(subset="item_id")
    pairs = positions.merge(interactions, on=["user", "item_id"])
    delay = pairs["timestamp"] - pairs["time"]
    pairs = pairs[(delay > 0) & (delay <= window)]
    clicked = np.full((len(impressions), k), np.nan)
    clicked[positions["row"], positions["position"]] = 0.0
    clicked[pairs["row"], pairs["position"]] = 1.0
    return impressions.assign(hit=(np.nansum(clicked, axis=1) > 0).astype(float), clicked=list(clicked))


def fresh_events(impressions: pd.DataFrame, interactions: pd.DataFrame, k: int, window: float) -> pd.DataFrame:
    """Return the interactions within a window after an impression, each with the last impression before it.

    Args:
        impressions: `Impressions.table`.
        interactions: as for `clicks`.
        k: number of positions that count.
        window: seconds.

    Returns:
        The columns of the impression and of the interaction, and `hit`: 1.0 if the item was recommended, else 0.0.
    """
    by_known_users = impressions[impressions["user"] != ""]
    events = pd.merge_asof(
        interactions.sort_values("timestamp", kind="stable"),
        by_known_users,
        left_on="timestamp",
        right_on="time",
        by="user",
        allow_exact_matches=False,
        tolerance=window,  # type: ignore[arg-type]  # a number, like the times
    ).dropna(subset="time")
    hits = [item in items[:k] for item, items in zip(events["item_id"], events["item_ids"], strict=True)]
    return events.assign(hit=np.array(hits, float))


def hit_rate(outcomes: pd.DataFrame) -> Interval | None:
    """Return the share of hits with its interval over users; None for fewer than two users."""
    hits_and_counts = _hits_and_counts(outcomes)
    return share(*hits_and_counts) if len(hits_and_counts[0]) >= _MIN_USERS else None


def hit_rate_difference(outcomes: pd.DataFrame, reference: pd.DataFrame) -> Interval | None:
    """Return the share of hits minus that of the reference; None for fewer than two users on either side."""
    hits_and_counts = _hits_and_counts(outcomes, reference)
    if min(np.count_nonzero(hits_and_counts[1]), np.count_nonzero(hits_and_counts[3])) < _MIN_USERS:
        return None
    return share_difference(*hits_and_counts)


def _hits_and_counts(*outcomes: pd.DataFrame) -> list[np.ndarray]:
    """Sum hits and count rows by user: two arrays per table, with the users of all tables in the same order."""
    sums = [table.groupby("user")["hit"].agg(["sum", "size"]) for table in outcomes]
    return list(pd.concat(sums, axis=1).fillna(0.0).to_numpy(float).T)

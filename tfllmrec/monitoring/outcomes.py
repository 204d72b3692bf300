"""What came of lists: whether users took an item of a list, and whether what they took had been in one."""

import numpy as np
import pandas as pd

from tfllmrec.evaluation.bootstrap import Interval, share, share_difference

_FEWEST_USERS = 2  # of an interval


def clicks(lists: pd.DataFrame, taken: pd.DataFrame, k: int, window: float, end: float) -> pd.DataFrame:
    """Lists of named users, and which of their items the users took within a window after the list was served.

    Lists whose window is not over by `end` are left out: what is to come of them is not known.

    Args:
        lists: as `Served.lists`.
        taken: interactions: user (a pseudonym), item_id, timestamp in Unix seconds.
        k: first places of a list that count.
        window: seconds.
        end: until when all interactions are known.

    Returns:
        The lists, with the columns `hit`, 1.0 where an item was taken, else 0.0, and `places`, how many times each of
        the list's places has been one of those taken: float [k], NaN beyond its end.
    """
    lists = lists[(lists["user"] != "") & (lists["time"] + window <= end)].reset_index(drop=True)
    items = lists["item_ids"].str[:k]
    shown = lists[["user", "time"]].assign(row=lists.index, item_id=items).explode("item_id")
    shown["place"] = shown.groupby("row").cumcount()
    shown = shown.dropna(subset="item_id")
    pairs = shown.merge(taken, on=["user", "item_id"])
    passed = pairs["timestamp"] - pairs["time"]
    pairs = pairs[(passed > 0) & (passed <= window)]
    places = np.full((len(lists), k), np.nan)
    places[shown["row"], shown["place"]] = 0.0
    places[pairs["row"], pairs["place"]] = 1.0
    return lists.assign(hit=(np.nansum(places, axis=1) > 0).astype(float), places=list(places))


def fresh_events(lists: pd.DataFrame, taken: pd.DataFrame, k: int, window: float) -> pd.DataFrame:
    """Interactions that came within a window after a list, each with the last list that its user was served before.

    Args:
        lists: as `Served.lists`.
        taken: as in `clicks`.
        k: first places of a list that count.
        window: seconds.

    Returns:
        The columns of the list and of the interaction, and `hit`: 1.0 where the item was in the list, else 0.0.
    """
    named = lists[lists["user"] != ""]
    taken = taken.sort_values("timestamp", kind="stable")
    events = pd.merge_asof(
        taken,
        named,
        left_on="timestamp",
        right_on="time",
        by="user",
        allow_exact_matches=False,
        tolerance=window,  # type: ignore[arg-type]  # a number, as the times are
    ).dropna(subset="time")
    hits = [item in items[:k] for item, items in zip(events["item_id"], events["item_ids"], strict=True)]
    return events.assign(hit=np.array(hits, float))


def interval_of(outcomes: pd.DataFrame) -> Interval | None:
    """The share of hits with its interval over users; None for fewer than two of them."""
    users = _by_user(outcomes)
    return share(*users) if len(users[0]) >= _FEWEST_USERS else None


def difference_of(outcomes: pd.DataFrame, others: pd.DataFrame) -> Interval | None:
    """How much larger the share of hits is than that of others; None for fewer than two users of either."""
    both = _by_user(outcomes, others)
    if min(np.count_nonzero(both[1]), np.count_nonzero(both[3])) < _FEWEST_USERS:
        return None
    return share_difference(*both)


def _by_user(*outcomes: pd.DataFrame) -> list[np.ndarray]:
    """Hits and counts of every user, of each table in turn."""
    sums = [table.groupby("user")["hit"].agg(["sum", "size"]) for table in outcomes]
    return list(pd.concat(sums, axis=1).fillna(0.0).to_numpy(float).T)

"""Quality of what was served, version by version: as an object, as JSON and a picture, and as tables to read."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from tfllmrec.data.privacy import pseudonyms
from tfllmrec.data.tables import check_interactions
from tfllmrec.errors import InputError
from tfllmrec.evaluation.bootstrap import Interval
from tfllmrec.evaluation.report import plain
from tfllmrec.files import appearing
from tfllmrec.monitoring import outcomes
from tfllmrec.monitoring.drift import (
    Drift,
    concentration,
    drift,
    first_scores,
    gini,
    item_counts,
    score_edges,
    score_shares,
)
from tfllmrec.monitoring.reading import Served

_DAY = 86_400.0
_STABLE = "stable"


@dataclass(frozen=True)
class Asked:
    """What one version served under one label, or without any.

    Attributes:
        name: version and label.
        lists: how many.
        users: how many of those that are named.
        judged: lists of named users whose window is over; `click_through` is of these.
        click_through: share of them of which an item was taken.
        by_place: share of them whose item in the first, second, ... place was taken; None where no list has one.
        events: interactions that came after a list, within the window.
        recall: share of them whose item was in the list.
        items: different ones that were served.
        gini: how unequally, among all that any version served: 0 where all alike, towards 1 where one alone.
        concentration: share of all places that the most served items have, after 0 %, 5 %, ... 100 % of those items.
        score_shares: in the bins of `Surface.score_edges`; none without scores.
    """

    name: str
    lists: int
    users: int
    judged: int
    click_through: Interval | None
    by_place: list[float | None]
    events: int
    recall: Interval | None
    items: int
    gini: float
    concentration: list[float]
    score_shares: list[float]


@dataclass(frozen=True)
class Compared:
    """A version and label beside the one they are judged by: what it has more of, and how far its lists are."""

    name: str
    reference: str
    click_through: Interval | None
    recall: Interval | None
    drift: Drift


@dataclass(frozen=True)
class Surface:
    """What one signature of one model served.

    Attributes:
        model: its name.
        signature: likewise.
        asked: by version and label, the one the others are judged by first.
        compared: the others.
        drift: of the later half of the lists from the earlier.
        score_edges: of bins that hold 99 % of the scores.
    """

    model: str
    signature: str
    asked: list[Asked]
    compared: list[Compared]
    drift: Drift
    score_edges: list[float]


@dataclass(frozen=True)
class QualityReport:
    """Everything that was found.

    Attributes:
        k: first places of a list that count.
        window_days: how long after a list an interaction counts.
        start: Unix seconds of the first list.
        end: likewise of the last.
        lists: how many.
        cut_short: lines of the files that were left out, see `Served`.
        surfaces: by model and signature.
    """

    k: int
    window_days: float
    start: float
    end: float
    lists: int
    cut_short: int
    surfaces: list[Surface]


def quality_report(
    served: Served, interactions: pd.DataFrame, key: bytes, *, k: int = 10, window_days: float = 7.0
) -> QualityReport:
    """Join served lists with what their users did next.

    Click-through counts a list for every later interaction with one of its items, whoever else showed it; recall
    counts an interaction for the last list before it alone. Versions are judged by the one that was asked for as
    `stable`, or else by the one with most lists.

    Args:
        served: see `read_served`.
        interactions: user_id, item_id, timestamp; times in Unix seconds, or dates.
        key: of the pseudonyms that the lists have.
        k: first places of a list that count.
        window_days: how long after a list an interaction counts.

    Raises:
        InputError: `k` or the window is not above 0, the table is not as it must be, none of its users was served, or
            none of its interactions came within the window after a list.

    Example:
        >>> report = quality_report(read_served(["served.jsonl"]), table, read_key("films.key"))
        >>> report.surfaces[0].asked[0].click_through
        Interval(mean=0.31, low=0.28, high=0.34)
    """
    if k < 1 or not window_days > 0:
        raise InputError(f"quality: k is {k} and the window {window_days:g} days; both must be above 0")
    lists, window = served.lists, window_days * _DAY
    checked = check_interactions(interactions)
    end = float(checked["timestamp"].max())
    taken = _taken(checked, lists, key)
    _require_time_in_common(taken, lists, window)
    surfaces = [
        _surface(str(model), str(signature), part.reset_index(drop=True), taken, k, window, end)
        for (model, signature), part in lists.groupby(["model", "signature"])
    ]
    first, last = float(lists["time"].min()), float(lists["time"].max())
    return QualityReport(k, window_days, first, last, len(lists), served.cut_short, surfaces)


def write_quality(folder: str | Path, report: QualityReport) -> None:
    """Write quality.json and quality.png to a new folder, which appears with both or not at all.

    Raises:
        InputError: the folder exists, or cannot be made.
    """
    from tfllmrec.monitoring.plot import plot_quality

    with appearing(Path(folder)) as hidden:
        text = json.dumps(plain(asdict(report)), indent=2, ensure_ascii=False, allow_nan=False)
        (hidden / "quality.json").write_text(f"{text}\n", encoding="utf-8")
        plot_quality(hidden / "quality.png", report)


def _taken(interactions: pd.DataFrame, lists: pd.DataFrame, key: bytes) -> pd.DataFrame:
    """The interactions of users who were served, under their pseudonyms."""
    users = interactions["user_id"].unique()
    known = dict(zip(users, pseudonyms(users, key), strict=True))
    taken = pd.DataFrame(
        {
            "user": interactions["user_id"].map(known).astype(str),
            "item_id": interactions["item_id"],
            "timestamp": interactions["timestamp"].astype(float),
        }
    )
    named = set(lists["user"]) - {""}
    found = taken[taken["user"].isin(named)]
    if named and found.empty:
        raise InputError(
            f"quality: none of the interactions' {len(users):,} users is among the {len(named):,} who were served:"
            " give the server's key file, and the user ids that it was asked with"
        )
    return found


def _require_time_in_common(taken: pd.DataFrame, lists: pd.DataFrame, window: float) -> None:
    first, last = lists["time"].min(), lists["time"].max()
    if len(taken) and not taken["timestamp"].between(first, last + window).any():
        there = f"{_day(taken['timestamp'].min())} to {_day(taken['timestamp'].max())}"
        raise InputError(
            f"quality: no interaction came within {window / _DAY:g} days after a list: lists are from {_day(first)} to "
            f"{_day(last)}, interactions, their times read as Unix seconds, from {there}"
        )


def _day(seconds: float) -> str:
    try:
        return str(pd.Timestamp(seconds, unit="s").date())
    except (ValueError, OverflowError):  # milliseconds, say
        return f"{seconds:g}"


def _surface(
    model: str, signature: str, lists: pd.DataFrame, taken: pd.DataFrame, k: int, window: float, end: float
) -> Surface:
    lists = lists.assign(name=[f"{one.version} {one.label}".strip() for one in lists.itertuples()])
    clicked = outcomes.clicks(lists, taken, k, window, end)
    fresh = outcomes.fresh_events(lists, taken, k, window)
    names = _reference_first(lists)
    edges = score_edges(first_scores(lists, k))
    items = item_counts(lists, k).index

    def of(table: pd.DataFrame, name: str) -> pd.DataFrame:
        return table[table["name"] == name]

    def asked(name: str) -> Asked:
        own, judged, events = of(lists, name), of(clicked, name), of(fresh, name)
        counts = item_counts(own, k).reindex(items, fill_value=0)
        return Asked(
            name,
            lists=len(own),
            users=own.loc[own["user"] != "", "user"].nunique(),
            judged=len(judged),
            click_through=outcomes.interval_of(judged),
            by_place=_by_place(judged),
            events=len(events),
            recall=outcomes.interval_of(events),
            items=int((counts > 0).sum()),
            gini=gini(counts.to_numpy()),
            concentration=concentration(counts.to_numpy()),
            score_shares=score_shares(first_scores(own, k), edges),
        )

    def compared(name: str) -> Compared:
        first = names[0]
        return Compared(
            name,
            first,
            outcomes.difference_of(of(clicked, name), of(clicked, first)),
            outcomes.difference_of(of(fresh, name), of(fresh, first)),
            drift(of(lists, first), of(lists, name), k),
        )

    half = len(lists) // 2
    return Surface(
        model,
        signature,
        [asked(name) for name in names],
        [compared(name) for name in names[1:]],
        drift(lists[:half], lists[half:], k),
        edges.tolist(),
    )


def _reference_first(lists: pd.DataFrame) -> list[str]:
    """The names by how many lists they have, but first the stable one."""
    names = lists["name"].value_counts().index.tolist()
    stable = lists.loc[lists["label"] == _STABLE, "name"].value_counts().index.tolist()
    return list(dict.fromkeys([*stable[:1], *names]))


def _by_place(judged: pd.DataFrame) -> list[float | None]:
    if judged.empty:
        return []
    places = np.stack(judged["places"].to_list())
    filled = (~np.isnan(places)).sum(axis=0)
    return [
        taken / count if count else None
        for taken, count in zip(np.nansum(places, axis=0).tolist(), filled, strict=True)
    ]

"""Join of logged impressions with the interactions that followed, for each signature and version."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from tfllmrec.data.table_checks import check_interactions
from tfllmrec.errors import InputError
from tfllmrec.monitoring.distributions import (
    concentration,
    gini,
    item_counts,
    score_edges,
    score_histogram,
    top_scores,
)
from tfllmrec.monitoring.drift import drift
from tfllmrec.monitoring.impressions import Impressions
from tfllmrec.monitoring.interactions import DAY, logged_users_interactions, require_overlap
from tfllmrec.monitoring.outcomes import clicks, fresh_events, hit_rate, hit_rate_difference
from tfllmrec.monitoring.report import MonitoringReport, SignatureReport, VersionComparison, VersionMetrics

_STABLE = "stable"


class _Outcomes(NamedTuple):
    """Impressions with version names, and their clicks and fresh events."""

    impressions: pd.DataFrame
    clicks: pd.DataFrame
    fresh_events: pd.DataFrame

    def of_version(self, name: str) -> "_Outcomes":
        return _Outcomes(*(table[table["name"] == name] for table in self))


def monitoring_report(
    log: Impressions, interactions: pd.DataFrame, key: bytes, *, k: int = 10, window_days: float = 7.0
) -> MonitoringReport:
    """Join logged impressions with the interactions of their users.

    The click-through rate counts every later interaction with a recommended item within the window, even if the user
    reached the item elsewhere. Recall assigns an interaction to the last impression before it. The reference version is
    the version that was requested as `stable`, or otherwise the version with the most impressions.

    Args:
        log: result of `read_recommendation_log`.
        interactions: columns user_id, item_id and timestamp (Unix seconds or dates).
        key: pseudonym key of the log.
        k: number of positions that count.
        window_days: days after an impression within which an interaction counts.

    Raises:
        InputError: If `k` or `window_days` is not positive, if the table is invalid, if none of its users has an
            impression, or if none of its interactions falls within the window after an impression.

    Example:
        >>> log = read_recommendation_log(["served.jsonl"])
        >>> report = monitoring_report(log, interactions, read_key("films.key"))
        >>> report.signatures[0].versions[0].click_through_rate
        Interval(mean=0.31, low=0.28, high=0.34)
    """
    if k < 1 or not window_days > 0:
        raise InputError(f"monitor: k is {k} and the window {window_days:g} days; both must be above 0")
    impressions, window = log.table, window_days * DAY
    interactions = check_interactions(interactions)
    end = float(interactions["timestamp"].max())
    interactions = logged_users_interactions(interactions, impressions, key)
    require_overlap(interactions, impressions, window)
    signatures = []
    for (model, signature), table in impressions.groupby(["model", "signature"]):
        table = _with_version_names(table.reset_index(drop=True))
        clicked, events = clicks(table, interactions, k, window, end), fresh_events(table, interactions, k, window)
        signatures.append(_signature_report(str(model), str(signature), _Outcomes(table, clicked, events), k))
    first, last = float(impressions["time"].min()), float(impressions["time"].max())
    return MonitoringReport(k, window_days, first, last, len(impressions), log.truncated_lines, signatures)


def _with_version_names(impressions: pd.DataFrame) -> pd.DataFrame:
    names = [
        f"{version} {label}".strip()
        for version, label in zip(impressions["version"], impressions["label"], strict=True)
    ]
    return impressions.assign(name=names)


def _signature_report(model: str, signature: str, outcomes: _Outcomes, k: int) -> SignatureReport:
    impressions = outcomes.impressions
    reference, *others = _reference_first(impressions)
    edges, items = score_edges(top_scores(impressions, k)), item_counts(impressions, k).index
    half = len(impressions) // 2
    return SignatureReport(
        model,
        signature,
        versions=[_metrics(name, outcomes.of_version(name), k, items, edges) for name in (reference, *others)],
        comparisons=[_comparison(name, reference, outcomes, k) for name in others],
        drift=drift(impressions[:half], impressions[half:], k),
        score_edges=edges.tolist(),
    )


def _metrics(name: str, outcomes: _Outcomes, k: int, items: pd.Index, edges: np.ndarray) -> VersionMetrics:
    impressions = outcomes.impressions
    counts = item_counts(impressions, k).reindex(items, fill_value=0).to_numpy()
    return VersionMetrics(
        name,
        impressions=len(impressions),
        users=impressions.loc[impressions["user"] != "", "user"].nunique(),
        evaluated=len(outcomes.clicks),
        click_through_rate=hit_rate(outcomes.clicks),
        click_through_rate_by_position=_rate_by_position(outcomes.clicks),
        fresh_events=len(outcomes.fresh_events),
        recall=hit_rate(outcomes.fresh_events),
        items=int((counts > 0).sum()),
        gini=gini(counts),
        concentration=concentration(counts),
        score_histogram=score_histogram(top_scores(impressions, k), edges),
    )


def _comparison(name: str, reference: str, outcomes: _Outcomes, k: int) -> VersionComparison:
    other, base = outcomes.of_version(name), outcomes.of_version(reference)
    return VersionComparison(
        name,
        reference,
        click_through_rate=hit_rate_difference(other.clicks, base.clicks),
        recall=hit_rate_difference(other.fresh_events, base.fresh_events),
        drift=drift(base.impressions, other.impressions, k),
    )


def _reference_first(impressions: pd.DataFrame) -> list[str]:
    """Order version names by their impressions, the stable version first."""
    names = impressions["name"].value_counts().index.tolist()
    stable = impressions.loc[impressions["label"] == _STABLE, "name"].value_counts().index.tolist()
    return list(dict.fromkeys([*stable[:1], *names]))


def _rate_by_position(clicks: pd.DataFrame) -> list[float | None]:
    if clicks.empty:
        return []
    clicked = np.stack(clicks["clicked"].to_list())
    impressions = (~np.isnan(clicked)).sum(axis=0)
    return [
        total / count if count else None
        for total, count in zip(np.nansum(clicked, axis=0).tolist(), impressions, strict=True)
    ]

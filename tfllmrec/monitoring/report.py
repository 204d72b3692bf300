"""Monitoring report: the metrics of each served version, and how versions and times differ."""

from dataclasses import dataclass

from tfllmrec.evaluation.bootstrap import Interval
from tfllmrec.monitoring.drift import Drift


@dataclass(frozen=True)
class VersionMetrics:
    """Metrics of one version under one label.

    Attributes:
        name: version and label; only the version if requests named no label.
        impressions: number of impressions.
        users: number of known users in the impressions.
        evaluated: impressions of known users with a finished window, the base of `click_through_rate`.
        click_through_rate: share of evaluated impressions with a click.
        click_through_rate_by_position: share of evaluated impressions with a click at position 1, 2, ...; None where
            no impression has that position.
        fresh_events: interactions within the window after an impression.
        recall: share of the fresh events with an item that the last impression had.
        items: number of distinct items recommended.
        gini: Gini coefficient of the item counts, over all items that any version recommended.
        concentration: share of all positions that the most recommended items take, after 0 %, 5 %, ... 100 % of them.
        score_histogram: share of the scores in each bin of `SignatureReport.score_edges`; empty without scores.
    """

    name: str
    impressions: int
    users: int
    evaluated: int
    click_through_rate: Interval | None
    click_through_rate_by_position: list[float | None]
    fresh_events: int
    recall: Interval | None
    items: int
    gini: float
    concentration: list[float]
    score_histogram: list[float]


@dataclass(frozen=True)
class VersionComparison:
    """Differences of a version, such as the canary, to the reference version, and the drift between them."""

    name: str
    reference: str
    click_through_rate: Interval | None
    recall: Interval | None
    drift: Drift


@dataclass(frozen=True)
class SignatureReport:
    """Report of one signature of one model.

    Attributes:
        model: model name.
        signature: signature name.
        versions: metrics by version and label, the reference version first.
        comparisons: the other versions against the reference.
        drift: from the earlier half of the impressions to the later half.
        score_edges: edges of the score bins, which cover 99 % of the scores.
    """

    model: str
    signature: str
    versions: list[VersionMetrics]
    comparisons: list[VersionComparison]
    drift: Drift
    score_edges: list[float]


@dataclass(frozen=True)
class MonitoringReport:
    """Online quality of all models and signatures in a recommendation log.

    Attributes:
        k: number of positions that count.
        window_days: days after an impression within which an interaction counts.
        start: time of the first impression in Unix seconds.
        end: time of the last impression in Unix seconds.
        impressions: number of impressions.
        truncated_lines: see `Impressions`.
        signatures: by model and signature.
    """

    k: int
    window_days: float
    start: float
    end: float
    impressions: int
    truncated_lines: int
    signatures: list[SignatureReport]

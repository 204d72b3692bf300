"""Console tables of a monitoring report."""

from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from tfllmrec.evaluation.bootstrap import Interval
from tfllmrec.monitoring.drift import Distance
from tfllmrec.monitoring.report import MonitoringReport, SignatureReport


def report_tables(report: MonitoringReport) -> Iterator[Table]:
    """Yield two tables for each model and signature: metrics by version; differences to the reference, and drift.

    Intervals are 95 % intervals. Each drift distance is followed by its value by chance.
    """
    for signature in report.signatures:
        yield _version_table(signature, report.k)
        yield _comparison_table(signature, report.k)


def _version_table(signature: SignatureReport, k: int) -> Table:
    title = f"{signature.model}, {signature.signature}"
    rates = (f"click-through\nrate@{k}", f"recall@{k} of\nfresh events")
    table = _table(title, "version", "impressions", "users", *rates, "items", "Gini")
    for version in signature.versions:
        table.add_row(
            Text(version.name),
            f"{version.impressions:,}",
            f"{version.users:,}",
            _rate(version.click_through_rate),
            _rate(version.recall),
            f"{version.items:,}",
            f"{version.gini:.2f}",
        )
    return table


def _comparison_table(signature: SignatureReport, k: int) -> Table:
    comparisons = signature.comparisons
    columns = (f"{comparison.name}\nagainst {comparison.reference}" for comparison in comparisons)
    table = _table("", "", *columns, "second half\nagainst first")
    differences = {
        f"click-through rate@{k}": [comparison.click_through_rate for comparison in comparisons],
        f"recall@{k} of fresh events": [comparison.recall for comparison in comparisons],
    }
    for name, intervals in differences.items():
        table.add_row(name, *map(_difference, intervals), "")
    drifts = [comparison.drift for comparison in comparisons] + [signature.drift]
    distances = {
        "items, Jensen-Shannon": [drift.items for drift in drifts],
        "scores, stability index": [drift.score_psi for drift in drifts],
        "scores, Kolmogorov-Smirnov": [drift.score_ks for drift in drifts],
    }
    for name, row in distances.items():
        table.add_row(name, *map(_distance, row))
    return table


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(box=SIMPLE_HEAD, header_style="bold", padding=(0, 1, 0, 0), title_justify="left", title_style="bold")
    table.title = Text(title) if title else None
    table.add_column(first, no_wrap=True)
    for heading in others:
        table.add_column(Text(heading), justify="right", no_wrap=True)
    return table


def _rate(interval: Interval | None) -> str:
    return f"{interval.mean:.4f}\n{interval.low:.4f}-{interval.high:.4f}" if interval else "-"


def _difference(interval: Interval | None) -> Text:
    """Format a difference, dim if its interval includes 0."""
    if not interval:
        return Text("-")
    text = f"{interval.mean:+.4f}\n{interval.low:+.4f} to {interval.high:+.4f}"
    return Text(text, style="dim" if interval.low <= 0 <= interval.high else "bold")


def _distance(distance: Distance | None) -> str:
    return f"{distance.observed:.3f}, by chance {distance.by_chance:.3f}" if distance else "-"

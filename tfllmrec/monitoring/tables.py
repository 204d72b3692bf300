"""The report as tables to read."""

from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from tfllmrec.evaluation.bootstrap import Interval
from tfllmrec.monitoring.drift import Moved
from tfllmrec.monitoring.report import QualityReport, Surface


def quality_tables(report: QualityReport) -> Iterator[Table]:
    """For every model and signature what each version came to, how the others differ from the first, and the drift.

    Intervals are of 95 %; a drift stands beside what chance alone would make of it.
    """
    for surface in report.surfaces:
        yield _asked(surface, report.k)
        yield _moved(surface, report.k)


def _asked(surface: Surface, k: int) -> Table:
    title = f"{surface.model}, {surface.signature}"
    rates = (f"click-through\n@{k}", f"recall@{k} of\nfresh events")
    table = _table(title, "version", "lists", "users", *rates, "items", "Gini")
    for one in surface.asked:
        table.add_row(
            Text(one.name),
            f"{one.lists:,}",
            f"{one.users:,}",
            _share(one.click_through),
            _share(one.recall),
            f"{one.items:,}",
            f"{one.gini:.2f}",
        )
    return table


def _moved(surface: Surface, k: int) -> Table:
    table = _table(
        "", "", *(f"{one.name}\nagainst {one.reference}" for one in surface.compared), "second half\nagainst first"
    )
    rates = {
        f"click-through@{k}": [one.click_through for one in surface.compared],
        f"recall@{k} of fresh events": [one.recall for one in surface.compared],
    }
    for name, intervals in rates.items():
        table.add_row(name, *map(_difference, intervals), "")
    drifts = [one.drift for one in surface.compared] + [surface.drift]
    distances = {
        "items, Jensen-Shannon": [one.popularity for one in drifts],
        "scores, stability index": [one.scores for one in drifts],
        "scores, Kolmogorov-Smirnov": [one.largest_gap for one in drifts],
    }
    for name, moved in distances.items():
        table.add_row(name, *map(_distance, moved))
    return table


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(box=SIMPLE_HEAD, header_style="bold", padding=(0, 1, 0, 0), title_justify="left", title_style="bold")
    table.title = Text(title) if title else None
    table.add_column(first, no_wrap=True)
    for heading in others:
        table.add_column(Text(heading), justify="right", no_wrap=True)
    return table


def _share(interval: Interval | None) -> str:
    return f"{interval.mean:.4f}\n{interval.low:.4f}-{interval.high:.4f}" if interval else "-"


def _difference(interval: Interval | None) -> Text:
    """Dim where it may be none."""
    if not interval:
        return Text("-")
    text = f"{interval.mean:+.4f}\n{interval.low:+.4f} to {interval.high:+.4f}"
    return Text(text, style="dim" if interval.low <= 0 <= interval.high else "bold")


def _distance(moved: Moved | None) -> str:
    return f"{moved.distance:.3f}, by chance {moved.by_chance:.3f}" if moved else "-"

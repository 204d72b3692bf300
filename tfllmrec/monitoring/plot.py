"""Plot of a monitoring report: click-through rate, recall, item concentration and scores by version."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from tfllmrec.evaluation.bootstrap import Interval
from tfllmrec.evaluation.plots import LINES, MUTED, style
from tfllmrec.monitoring.drift import Distance
from tfllmrec.monitoring.report import MonitoringReport, SignatureReport, VersionMetrics

_HEIGHT = 7.4
_MAX_VERSIONS = 6
"""Maximum number of versions in a plot, by impressions; more lines are hard to distinguish."""


def plot_report(path: str | Path, report: MonitoringReport) -> None:
    """Write a PNG with four panels per model and signature.

    The panels show the click-through rate and recall of each version with their intervals, the click-through rate by
    position, the concentration of the recommended items, and the distribution of the scores.

    Args:
        path: path of the PNG.
        report: result of `monitoring_report`.
    """
    with mpl.rc_context(style()), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=(11, _HEIGHT * len(report.signatures)), dpi=150, layout="constrained")
        parts = figure.subfigures(len(report.signatures), squeeze=False)[:, 0]
        for part, signature in zip(parts, report.signatures, strict=True):
            _draw_signature(part, signature, report.k)
        figure.savefig(path)


def _draw_signature(part: SubFigure, signature: SignatureReport, k: int) -> None:
    part.suptitle(f"{signature.model}, {signature.signature}", x=0.012, ha="left", weight="bold", fontsize=14)
    rates, positions, items, scores = part.subplots(2, 2).ravel()
    versions = signature.versions[:_MAX_VERSIONS]
    _draw_rates(rates, versions, k)
    _draw_positions(positions, versions)
    _draw_concentration(items, versions)
    _draw_scores(scores, versions, signature.score_edges)
    _annotate_drift(items, "Jensen-Shannon", signature.drift.items)
    _annotate_drift(scores, "PSI", signature.drift.score_psi)


def _annotate_drift(axes: Axes, metric: str, distance: Distance | None) -> None:
    if not distance:
        return
    text = f"second half against first: {metric} {distance.observed:.3f}, by chance {distance.by_chance:.3f}"
    axes.annotate(text, (0, 1), (0, 4), xycoords="axes fraction", textcoords="offset points", fontsize=9)
    axes.set_title(axes.get_title("left"), pad=22)


def _draw_rates(axes: Axes, versions: Sequence[VersionMetrics], k: int) -> None:
    """Draw the click-through rate and recall of each version as points with intervals."""
    axes.set_title("Click-through rate and recall, 95 % intervals")
    for number, (version, colour) in enumerate(zip(versions, LINES, strict=False)):
        offset = (number - (len(versions) - 1) / 2) * 0.14
        rates = [(x, rate) for x, rate in enumerate((version.click_through_rate, version.recall)) if rate]
        if rates:
            intervals = [rate for _, rate in rates]
            axes.errorbar(
                [x + offset for x, _ in rates],
                [interval.mean for interval in intervals],
                yerr=_error_bars(intervals),
                fmt="o",
                color=colour,
                capsize=4,
                label=version.name,
            )
    axes.set_xlim(-0.6, 1.6)
    axes.set_xticks([0, 1], [f"click-through rate@{k}", f"recall@{k} of fresh events"])
    axes.margins(y=0.15)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    _draw_legend(axes)


def _error_bars(intervals: Sequence[Interval]) -> np.ndarray:
    bars = np.array([[interval.mean - interval.low, interval.high - interval.mean] for interval in intervals]).T
    return np.maximum(bars, 0)


def _draw_positions(axes: Axes, versions: Sequence[VersionMetrics]) -> None:
    axes.set_title("Click-through rate by position")
    for version, colour in zip(versions, LINES, strict=False):
        if not version.click_through_rate_by_position:
            continue
        rates = [np.nan if rate is None else rate for rate in version.click_through_rate_by_position]
        axes.plot(np.arange(1, len(rates) + 1), rates, "o-", markersize=4, color=colour, label=version.name)
    axes.set_xlabel("position")
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True, min_n_ticks=1))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    _draw_legend(axes)


def _draw_concentration(axes: Axes, versions: Sequence[VersionMetrics]) -> None:
    """Draw the share of positions that the most recommended items take: the higher, the more concentrated."""
    axes.set_title("Concentration of recommended items")
    for version, colour in zip(versions, LINES, strict=False):
        if version.concentration:
            x = np.linspace(0, 1, len(version.concentration))
            label = f"{version.name}, {version.items:,} items, Gini {version.gini:.2f}"
            axes.plot(x, version.concentration, color=colour, label=label)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle="--")
    axes.set_xlabel("share of the recommended items")
    axes.set_ylabel("share of positions")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    _draw_legend(axes)


def _draw_scores(axes: Axes, versions: Sequence[VersionMetrics], edges: Sequence[float]) -> None:
    axes.set_title("Scores")
    axes.set_xlabel("score")
    for version, colour in zip(versions, LINES, strict=False):
        if version.score_histogram:
            axes.stairs(version.score_histogram, edges, color=colour, linewidth=1.8, label=version.name)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    _draw_legend(axes)


def _draw_legend(axes: Axes) -> None:
    """Draw the legend, or "no data" in an empty panel."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend()
    else:
        axes.text(0.5, 0.5, "no data", transform=axes.transAxes, ha="center", color=MUTED)
        axes.grid(visible=False)
        axes.set(xticks=[], yticks=[], xlabel="")

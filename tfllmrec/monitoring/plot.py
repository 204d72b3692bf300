"""One picture of what was served: what came of it, place by place, and which items and scores it had."""

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
from tfllmrec.monitoring.report import Asked, QualityReport, Surface

_HEIGHT = 7.4
_MOST_VERSIONS = 6
"""More lines than that tell nobody anything: those with most lists are drawn."""


def plot_quality(path: str | Path, report: QualityReport) -> None:
    """Write a PNG: for every model and signature four panels.

    Click-through and recall of every version with their intervals; click-through place by place; how unequally items
    are served; and the distribution of scores.

    Args:
        path: the PNG.
        report: what was found.
    """
    with mpl.rc_context(style()), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=(11, _HEIGHT * len(report.surfaces)), dpi=150, layout="constrained")
        parts = figure.subfigures(len(report.surfaces), squeeze=False)[:, 0]
        for part, surface in zip(parts, report.surfaces, strict=True):
            _draw(part, surface, report)
        figure.savefig(path)


def _draw(part: SubFigure, surface: Surface, report: QualityReport) -> None:
    part.suptitle(f"{surface.model}, {surface.signature}", x=0.012, ha="left", weight="bold", fontsize=14)
    shares, places, items, scores = part.subplots(2, 2).ravel()
    versions = surface.asked[:_MOST_VERSIONS]
    _draw_shares(shares, versions, report)
    _draw_places(places, versions)
    _draw_items(items, versions)
    _draw_scores(scores, versions, surface.score_edges)
    for axes, moved in ((items, surface.drift.popularity), (scores, surface.drift.scores)):
        if moved:
            kind = "Jensen-Shannon" if axes is items else "PSI"
            told = f"second half against first: {kind} {moved.distance:.3f}, by chance {moved.by_chance:.3f}"
            axes.annotate(told, (0, 1), (0, 4), xycoords="axes fraction", textcoords="offset points", fontsize=9)
            axes.set_title(axes.get_title("left"), pad=22)


def _draw_shares(axes: Axes, versions: Sequence[Asked], report: QualityReport) -> None:
    """A point with its interval for each version, click-through beside recall."""
    axes.set_title("What came of it, with 95 % intervals")
    names = (f"click-through@{report.k}", f"recall@{report.k} of fresh events")
    for number, (one, colour) in enumerate(zip(versions, LINES, strict=False)):
        offset = (number - (len(versions) - 1) / 2) * 0.14
        found = [(place, interval) for place, interval in enumerate((one.click_through, one.recall)) if interval]
        if found:
            places = [place + offset for place, _ in found]
            intervals = [interval for _, interval in found]
            axes.errorbar(
                places,
                [interval.mean for interval in intervals],
                yerr=_bounds(intervals),
                fmt="o",
                color=colour,
                capsize=4,
                label=one.name,
            )
    axes.set_xlim(-0.6, 1.6)
    axes.set_xticks([0, 1], names)
    axes.margins(y=0.15)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    _legend(axes)


def _bounds(intervals: Sequence[Interval]) -> np.ndarray:
    bounds = np.array([[one.mean - one.low, one.high - one.mean] for one in intervals]).T
    return np.maximum(bounds, 0)


def _draw_places(axes: Axes, versions: Sequence[Asked]) -> None:
    axes.set_title("Lists whose item was taken, by its place")
    for one, colour in zip(versions, LINES, strict=False):
        if not one.by_place:
            continue
        shares = [np.nan if share is None else share for share in one.by_place]
        axes.plot(np.arange(1, len(shares) + 1), shares, "o-", markersize=4, color=colour, label=one.name)
    axes.set_xlabel("place")
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True, min_n_ticks=1))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    _legend(axes)


def _draw_items(axes: Axes, versions: Sequence[Asked]) -> None:
    """How much of what is served the most served items have: the higher, the more unequal."""
    axes.set_title("Places that the most served items have")
    for one, colour in zip(versions, LINES, strict=False):
        if one.concentration:
            at = np.linspace(0, 1, len(one.concentration))
            axes.plot(
                at, one.concentration, color=colour, label=f"{one.name}, {one.items:,} items, Gini {one.gini:.2f}"
            )
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle="--")
    axes.set_xlabel("share of the items that were served")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    _legend(axes)


def _draw_scores(axes: Axes, versions: Sequence[Asked], edges: Sequence[float]) -> None:
    axes.set_title("Scores served")
    axes.set_xlabel("score")
    for one, colour in zip(versions, LINES, strict=False):
        if one.score_shares:
            axes.stairs(one.score_shares, edges, color=colour, linewidth=1.8, label=one.name)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    _legend(axes)


def _legend(axes: Axes) -> None:
    """Who is who; or that there is nothing, for want of named users or of scores."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend()
    else:
        axes.text(0.5, 0.5, "nothing to tell", transform=axes.transAxes, ha="center", color=MUTED)
        axes.grid(visible=False)
        axes.set(xticks=[], yticks=[], xlabel="")

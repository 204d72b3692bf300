"""Plots of a run: the training curves and the comparison of models."""

import warnings
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.ticker import MaxNLocator

from tfllmrec.evaluation.report import Scores, best_first, headline

Curves = Mapping[str, Mapping[str, Sequence[float]]]
"""`History.history` of every trained model, by name."""

ACCENT, MUTED, _INK, _FAINT = "#1f6f8b", "#c3ccd3", "#2b3238", "#e6eaed"
LINES = (ACCENT, "#d98032", "#6b8f4e", "#8a6bab", "#b5536b", "#7a7f85")
_FEWEST_ROWS = 5  # fewer bars keep their width
_CHINESE_FONTS = ("Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "WenQuanYi Zen Hei", "SimHei")


def plot_report(path: str | Path, curves: Curves, models: Scores) -> None:
    """Write a PNG with loss and validation metric by epoch on the left and the comparison of models on the right.

    Without a trained model, the comparison fills the picture.

    Args:
        path: the PNG.
        curves: `History.history` of every trained model; `loss` and the validation metric are drawn where present.
        models: metrics of every model; bars show the first metric.
    """
    # A separate Figure needs no backend and leaves the state of pyplot alone.
    with mpl.rc_context(style()), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # a missing glyph is drawn as a box
        figure = Figure(figsize=(11, max(5.0, 1.6 + 0.42 * len(models))), dpi=150, layout="constrained")
        grid = figure.add_gridspec(2, 2, width_ratios=[1, 1.1], wspace=0.06)
        if curves:
            _draw_curves(figure, grid, curves, models)
        _draw_bars(figure.add_subplot(grid[:, 1] if curves else grid[:, :]), models)
        figure.savefig(path)


def _draw_curves(figure: Figure, grid: GridSpec, curves: Curves, models: Scores) -> None:
    """Draw the loss above the validation metric; the best model has the color of its bar."""
    names = dict.fromkeys([best_first(models)[0], *curves])
    colours = dict(zip(names, cycle(LINES), strict=False))
    validation = figure.add_subplot(grid[1, 0])
    _draw_validation(validation, curves, headline(models), colours)
    _draw_loss(figure.add_subplot(grid[0, 0], sharex=validation), curves, colours)


def _draw_loss(axes: Axes, curves: Curves, colours: Mapping[str, str]) -> None:
    axes.set_title("Training loss")
    axes.tick_params(labelbottom=False)
    for model, history in curves.items():
        _draw_line(axes, history.get("loss", ()), colours[model], model)
    if len(curves) > 1:
        axes.legend(loc="upper right")


def _draw_validation(axes: Axes, curves: Curves, metric: str, colours: Mapping[str, str]) -> None:
    """Draw the validation metric by epoch, with a point at the best value, which the legend has."""
    axes.set_title(f"Validation {metric}")
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
    axes.margins(x=0.02)
    for model, history in curves.items():
        values, colour = history.get(f"val_{metric}", ()), colours[model]
        if len(values):
            best = int(np.argmax(values))
            _draw_line(axes, values, colour, f"{model}, best {values[best]:.4f}")
            axes.plot(best + 1, values[best], "o", color=colour, markeredgecolor="white", markersize=8)
    if axes.lines:
        axes.legend(loc="lower right")


def _draw_line(axes: Axes, values: Sequence[float], colour: str, model: str) -> None:
    axes.plot(np.arange(1, len(values) + 1), values, marker="o", markersize=3.5, color=colour, label=model)


def _draw_bars(axes: Axes, models: Scores) -> None:
    """Draw horizontal bars with their values, the best on top and highlighted."""
    metric, names = headline(models), best_first(models)
    values = [models[name][metric] for name in names]
    bars = axes.barh(names, values, height=0.56, color=[ACCENT, *[MUTED] * (len(names) - 1)])
    labels = axes.bar_label(bars, fmt="%.4f", padding=5)
    labels[0].set(color=ACCENT, weight="bold")
    axes.set_ylim(max(len(names), _FEWEST_ROWS) - 0.5, -0.5)
    axes.set_title(f"Test {metric}")
    axes.margins(x=0.14)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_xticks([])


def style() -> dict[Any, Any]:
    """Return the Matplotlib settings of all plots, with installed fonts only: Matplotlib logs every missing one."""
    present = set(font_manager.get_font_names())
    return {
        "font.family": ["DejaVu Sans", *[font for font in _CHINESE_FONTS if font in present]],
        "font.size": 10.5,
        "figure.constrained_layout.w_pad": 0.18,
        "figure.constrained_layout.h_pad": 0.14,
        "text.color": _INK,
        "axes.labelcolor": _INK,
        "axes.titlelocation": "left",
        "axes.titlesize": 12,
        "axes.titleweight": "bold",
        "axes.titlepad": 10,
        "axes.edgecolor": MUTED,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "axes.axisbelow": True,
        "grid.color": _FAINT,
        "xtick.color": _INK,
        "ytick.color": _INK,
        "lines.linewidth": 2,
        "legend.frameon": False,
    }

"""Plot of the trade-off between ranking and ratings over the weight of the ratings.

    python -m benchmarks.quality.task_weights ml-latest-small

Reads the result of `benchmarks.quality.multi_task --record` in benchmarks/results/, and writes a PNG next to it:
test ndcg@10 over the RMSE of the hidden ratings, one point per weight, with lines at the values of each task alone. Up
and to the left is better. Error bars are 95 % intervals of the difference to each task alone.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from benchmarks.common import RESULTS
from tfllmrec.evaluation.plots import ACCENT, MUTED, style


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("data", help="the name of a data set, as in the result's file name")
    path = RESULTS / f"multi_task-{parser.parse_args().data}.json"
    plot(json.loads(path.read_text(encoding="utf-8")), path.with_suffix(".png"))


def plot(result: dict[str, Any], path: Path) -> None:
    """Draw the trade-off and write it to a PNG file."""
    joint_fits = {name: scores for name, scores in result.items() if isinstance(scores, dict) and "ndcg_gain" in scores}
    (ranked,) = (
        scores["ndcg@10"] for scores in result.values() if isinstance(scores, dict) and _alone(scores, "ndcg@10")
    )
    (rated,) = (scores["rmse"] for scores in result.values() if isinstance(scores, dict) and _alone(scores, "rmse"))
    with mpl.rc_context(style()):
        figure = Figure(figsize=(7, 4.6), dpi=150, layout="constrained")
        axes = figure.add_subplot()
        axes.axhline(ranked, color=MUTED, linestyle="--", zorder=1)
        axes.axvline(rated, color=MUTED, linestyle="--", zorder=1)
        points = np.array([[scores["rmse"], scores["ndcg@10"]] for scores in joint_fits.values()])
        axes.plot(*points.T, color=ACCENT, alpha=0.4, zorder=2)
        for (name, scores), (x, y) in zip(joint_fits.items(), points, strict=True):
            x_bars, y_bars = _rmse_bars(scores, rated), _bars(scores["ndcg_gain"])
            axes.errorbar(x, y, xerr=x_bars, yerr=y_bars, fmt="o", color=ACCENT, elinewidth=1.2)
            axes.annotate(name, (x, y), xytext=(7, 7), textcoords="offset points", color=ACCENT, weight="bold")
        axes.set(xlabel="error of hidden ratings (RMSE)", ylabel="test ndcg@10")
        axes.set_title(f"{result['data']}: the weight of ratings relative to the next item")
        axes.margins(0.15)
        axes.text(rated, axes.get_ylim()[0], " ratings alone", rotation=90, va="bottom", ha="right", fontsize=9)
        axes.text(axes.get_xlim()[0], ranked, " next item alone", va="bottom", fontsize=9)
        figure.savefig(path)


def _alone(scores: dict[str, Any], metric: str) -> bool:
    return metric in scores and not {"ndcg@10", "rmse"} <= scores.keys()


def _bars(gain: list[float]) -> list[list[float]]:
    """Return the lengths of the error bars below and above a point, from a mean and its bounds."""
    mean, low, high = gain
    return [[mean - low], [high - mean]]


def _rmse_bars(scores: dict[str, Any], rated: float) -> list[list[float]]:
    """Return error bars of the RMSE, from bounds of the difference of squared errors."""
    bounds = np.sqrt(rated**2 + np.array(scores["squared_error_gain"][1:]))
    return [[scores["rmse"] - bounds[0]], [bounds[1] - scores["rmse"]]]


if __name__ == "__main__":
    main()

"""What the weight of a task is worth: ranking against ratings, as a picture.

    python -m benchmarks.quality.task_weights ml-latest-small

Reads what `joint.py --record` kept in benchmarks/results/ and writes a PNG beside it: test ndcg@10 over the error of
the ratings, a point a weight, with lines at what each task reaches alone. Up and to the left is better. Bars are 95 %
intervals of the difference to each task alone.
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
    found = RESULTS / f"joint-{parser.parse_args().data}.json"
    plot(json.loads(found.read_text(encoding="utf-8")), found.with_suffix(".png"))


def plot(result: dict[str, Any], path: Path) -> None:
    """Draw the trade-off."""
    joint = {name: told for name, told in result.items() if isinstance(told, dict) and "ndcg_gain" in told}
    (ranked,) = (told["ndcg@10"] for told in result.values() if isinstance(told, dict) and _alone(told, "ndcg@10"))
    (rated,) = (told["rmse"] for told in result.values() if isinstance(told, dict) and _alone(told, "rmse"))
    with mpl.rc_context(style()):
        figure = Figure(figsize=(7, 4.6), dpi=150, layout="constrained")
        axes = figure.add_subplot()
        axes.axhline(ranked, color=MUTED, linestyle="--", zorder=1)
        axes.axvline(rated, color=MUTED, linestyle="--", zorder=1)
        points = np.array([[told["rmse"], told["ndcg@10"]] for told in joint.values()])
        axes.plot(*points.T, color=ACCENT, alpha=0.4, zorder=2)
        for (name, told), (x, y) in zip(joint.items(), points, strict=True):
            of_rmse, of_ndcg = _rmse_bars(told, rated), _bars(told["ndcg_gain"])
            axes.errorbar(x, y, xerr=of_rmse, yerr=of_ndcg, fmt="o", color=ACCENT, elinewidth=1.2)
            axes.annotate(name, (x, y), xytext=(7, 7), textcoords="offset points", color=ACCENT, weight="bold")
        axes.set(xlabel="error of hidden ratings (RMSE)", ylabel="test ndcg@10")
        axes.set_title(f"{result['data']}: the weight of ratings beside the next item")
        axes.margins(0.15)
        axes.text(rated, axes.get_ylim()[0], " ratings alone", rotation=90, va="bottom", ha="right", fontsize=9)
        axes.text(axes.get_xlim()[0], ranked, " next item alone", va="bottom", fontsize=9)
        figure.savefig(path)


def _alone(told: dict[str, Any], measure: str) -> bool:
    return measure in told and not {"ndcg@10", "rmse"} <= told.keys()


def _bars(gain: list[float]) -> list[list[float]]:
    """Lengths of the bars below and above a point, from a mean and its bounds."""
    mean, low, high = gain
    return [[mean - low], [high - mean]]


def _rmse_bars(told: dict[str, Any], rated: float) -> list[list[float]]:
    """The bounds are of squared errors."""
    bounds = np.sqrt(rated**2 + np.array(told["squared_error_gain"][1:]))
    return [[told["rmse"] - bounds[0]], [bounds[1] - told["rmse"]]]


if __name__ == "__main__":
    main()

"""Ratings and another task trained together by `multi_task`, compared with each task alone.

    python -m benchmarks.quality.multi_task --data ml-latest-small
    python -m benchmarks.quality.multi_task --data ml-latest-small --weight 0.3 --set epochs=4 --tag time

A seeded tenth of the ratings of the training part is hidden; the interactions stay. `multi_task` is fitted on both
tasks with several weights of the ratings, and on each task alone, with the same class and options. Each fit is chosen
by the validation targets and reads the test targets and the hidden ratings once.

Prints one JSON line: per fit, test ndcg@10, RMSE of the hidden ratings and seconds per epoch; for the fits of both, the
differences to each task alone with bootstrap intervals over users and over ratings. `benchmarks.quality.task_weights`
plots the result. The second command measures times; run it on an idle machine.
"""

import argparse
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.common import Seconds, benchmark_parser, parse_options, progress, report, rounded_interval
from tfllmrec import MultiTask
from tfllmrec.data import Split, leave_one_out, load_dataset
from tfllmrec.data.rating_splits import HeldOutRatings, held_out_ratings
from tfllmrec.evaluation.bootstrap import difference
from tfllmrec.evaluation.metrics import ndcg
from tfllmrec.training.progress import EpochSeconds


class Fit(NamedTuple):
    """Outcome of a fit.

    Attributes:
        validation: best validation ndcg@10; None for ratings alone.
        gains: ndcg@10 of every test target; None for ratings alone.
        ratings: predictions of the hidden ratings; None without ratings.
        seconds: median duration of an epoch.
    """

    validation: float | None
    gains: np.ndarray | None
    ratings: np.ndarray | None
    seconds: Seconds


class EpochCost(EpochSeconds):
    """Adds `cpu_seconds` to the logs of every epoch, in addition to `seconds`."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start both clocks."""
        super().on_epoch_begin(epoch, logs)
        self._cpu = time.process_time()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        """Stop both clocks."""
        super().on_epoch_end(epoch, logs)
        logs["cpu_seconds"] = time.process_time() - self._cpu


def main() -> None:
    arguments = _arguments()
    data = load_dataset(arguments.data, min_item_interactions=arguments.min_item_interactions)
    split = leave_one_out(data)
    hidden = held_out_ratings(split.train, seed=arguments.draw)
    options = parse_options(arguments.set)
    fits = {task: _fit(task, options, split, hidden) for task in (arguments.task, "rating")}
    for weight in arguments.weight:
        weights = {"weights": f'{{"rating": {weight}}}'} if weight != "learnt" else {"weighting": "uncertainty"}
        fits[weight] = _fit(f"{arguments.task},rating", options | weights, split, hidden)
    name = Path(arguments.data).name
    result: dict[str, Any] = {"benchmark": "multi_task", "data": name} | data.summary()
    result |= {name: _fit_result(fit, fits, arguments.task, hidden) for name, fit in fits.items()}
    record = "-".join(filter(None, ["multi_task", name, arguments.tag]))
    report(result | {"options": options}, record if arguments.record else None)


def _fit(tasks: str, options: dict[str, Any], split: Split, hidden: HeldOutRatings) -> Fit:
    model = MultiTask(tasks=tasks, **options)
    model.fit(hidden.data, split.validation, callbacks=[EpochCost()], verbose=0)
    ranked, rated = model.config.tasks != ("rating",), "rating" in model.config.tasks
    fit = Fit(
        max(model.training_log["val_ndcg@10"]) if ranked else None,
        ndcg(model.rank_targets(split.test).ranks, 10) if ranked else None,
        model.predict_ratings(hidden.targets) if rated else None,
        Seconds(*(float(np.median(model.training_log[clock][1:])) for clock in ("seconds", "cpu_seconds"))),
    )
    progress(f"{tasks} {options}: {_figures(fit, hidden)}")
    return fit


def _figures(fit: Fit, hidden: HeldOutRatings) -> dict[str, float]:
    figures = {"seconds": round(fit.seconds.wall, 2), "cpu_seconds": round(fit.seconds.cpu, 2)}
    if fit.validation is not None:
        figures["val_ndcg@10"] = round(fit.validation, 5)
    if fit.gains is not None:
        figures["ndcg@10"] = round(float(fit.gains.mean()), 5)
    if fit.ratings is not None:
        figures["rmse"] = round(float(np.sqrt(_squared_errors(fit, hidden).mean())), 5)
    return figures


def _squared_errors(fit: Fit, hidden: HeldOutRatings) -> np.ndarray:
    truth = hidden.targets.ratings
    assert fit.ratings is not None, "the fit has no ratings"
    assert truth is not None, "no rating is hidden"
    return (fit.ratings.astype(np.float64) - truth) ** 2


def _fit_result(fit: Fit, fits: dict[str, Fit], task: str, hidden: HeldOutRatings) -> dict[str, Any]:
    """Return the figures of a fit and, for a fit of both tasks, its differences to each task alone."""
    figures: dict[str, Any] = _figures(fit, hidden)
    alone = fits[task].gains
    if fit.gains is None or fit.ratings is None or alone is None:
        return figures
    errors = difference(_squared_errors(fit, hidden), _squared_errors(fits["rating"], hidden))
    wall, cpu = np.max([fits[task].seconds, fits["rating"].seconds], axis=0)
    return figures | {
        "ndcg_gain": rounded_interval(difference(fit.gains, alone)),
        "squared_error_gain": rounded_interval(errors),
        "time_of_slowest": round(fit.seconds.wall / wall, 2),
        "cpu_time_of_slowest": round(fit.seconds.cpu / cpu, 2),
    }


def _arguments() -> argparse.Namespace:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--data", default="ml-latest-small", help="name or folder of a data set with ratings")
    parser.add_argument("--task", default="next_item", help="task in addition to the ratings: next_item or retrieval")
    parser.add_argument(
        "--weight", nargs="*", default=["0.1", "0.3", "1"], help="weights of the ratings; `learnt` learns them"
    )
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="options of all fits")
    parser.add_argument("--draw", type=int, default=0, help="seed of the hidden ratings")
    parser.add_argument("--min-item-interactions", type=int, default=5)
    parser.add_argument("--tag", default="", help="suffix of the result file's name")
    return parser.parse_args()


if __name__ == "__main__":
    main()

"""Are several tasks learnt together as good as each alone, and in what time?

    python -m benchmarks.quality.multi_task --data ml-latest-small
    python -m benchmarks.quality.multi_task --data ml-latest-small --weight 0.3 --set epochs=4 --tag time

A seeded tenth of the training part's ratings is kept back; that they happened stays known. `multi_task` is fitted on
both tasks with several weights of the ratings, and on each task alone: the same class, the same options. Chosen by the
validation targets; test targets and kept ratings are read once a fit. Prints one JSON line: test ndcg@10, the error of
the kept ratings (RMSE), seconds an epoch, and the differences to each task alone with a bootstrap interval over users
and over ratings.
"""

import argparse
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.common import Seconds, options_of, progress, report, rounded_interval
from tfllmrec import MultiTask
from tfllmrec.data import Split, leave_one_out, load
from tfllmrec.data.rating_splits import HiddenRatings, hidden_ratings
from tfllmrec.evaluation.bootstrap import difference
from tfllmrec.evaluation.metrics import ndcg
from tfllmrec.training.progress import EpochSeconds


class Fit(NamedTuple):
    """What a fit comes to: its best validation ndcg, that of every test target, expected ratings, seconds an epoch."""

    validation: float | None
    gains: np.ndarray | None
    ratings: np.ndarray | None
    seconds: Seconds


class EpochCost(EpochSeconds):
    """Adds `cpu_seconds` to the logs of every epoch as well."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start both clocks."""
        super().on_epoch_begin(epoch, logs)
        self._cpu = time.process_time()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        """Stop them."""
        super().on_epoch_end(epoch, logs)
        logs["cpu_seconds"] = time.process_time() - self._cpu


def main() -> None:
    arguments = _arguments()
    data = load(arguments.data, min_item_interactions=arguments.min_item_interactions)
    split = leave_one_out(data)
    hidden = hidden_ratings(split.train, seed=arguments.draw)
    options = options_of(arguments.set)
    fits = {task: _fit(task, options, split, hidden) for task in (arguments.task, "rating")}
    for weight in arguments.weight:
        weights = {"weights": f'{{"rating": {weight}}}'} if weight != "learnt" else {"weighting": "uncertainty"}
        fits[weight] = _fit(f"{arguments.task},rating", options | weights, split, hidden)
    name = Path(arguments.data).name
    result: dict[str, Any] = {"benchmark": "joint", "data": name} | data.summary()
    result |= {name: _told(fit, fits, arguments.task, hidden) for name, fit in fits.items()}
    record = "-".join(filter(None, ["joint", name, arguments.tag]))
    report(result | {"options": options}, record if arguments.record else None)


def _fit(tasks: str, options: dict[str, Any], split: Split, hidden: HiddenRatings) -> Fit:
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


def _figures(fit: Fit, hidden: HiddenRatings) -> dict[str, float]:
    told = {"seconds": round(fit.seconds.wall, 2), "cpu_seconds": round(fit.seconds.cpu, 2)}
    if fit.validation is not None:
        told["val_ndcg@10"] = round(fit.validation, 5)
    if fit.gains is not None:
        told["ndcg@10"] = round(float(fit.gains.mean()), 5)
    if fit.ratings is not None:
        told["rmse"] = round(float(np.sqrt(_squared_errors(fit, hidden).mean())), 5)
    return told


def _squared_errors(fit: Fit, hidden: HiddenRatings) -> np.ndarray:
    truth = hidden.targets.ratings
    assert fit.ratings is not None, "no rating was learnt"
    assert truth is not None, "no rating is kept back"
    return (fit.ratings.astype(np.float64) - truth) ** 2


def _told(fit: Fit, fits: dict[str, Fit], task: str, hidden: HiddenRatings) -> dict[str, Any]:
    """A fit's figures and, of a joint one, how it differs from each task alone."""
    told: dict[str, Any] = _figures(fit, hidden)
    alone = fits[task].gains
    if fit.gains is None or fit.ratings is None or alone is None:
        return told
    errors = difference(_squared_errors(fit, hidden), _squared_errors(fits["rating"], hidden))
    wall, cpu = np.max([fits[task].seconds, fits["rating"].seconds], axis=0)
    return told | {
        "ndcg_gain": rounded_interval(difference(fit.gains, alone)),
        "squared_error_gain": rounded_interval(errors),
        "time_of_slowest": round(fit.seconds.wall / wall, 2),
        "cpu_time_of_slowest": round(fit.seconds.cpu / cpu, 2),
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", default="ml-latest-small", help="name of a data set, or a folder; with ratings")
    parser.add_argument("--task", default="next_item", help="what is learnt beside ratings: next_item, retrieval")
    parser.add_argument(
        "--weight", nargs="*", default=["0.1", "0.3", "1"], help="of the ratings; learnt for uncertainty"
    )
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="options of all fits")
    parser.add_argument("--draw", type=int, default=0, help="seed of the ratings kept back")
    parser.add_argument("--min-item-interactions", type=int, default=5)
    parser.add_argument("--tag", default="", help="ends the name of the result file")
    parser.add_argument("--record", action="store_true", help="keep the line in benchmarks/results/")
    return parser.parse_args()


if __name__ == "__main__":
    main()

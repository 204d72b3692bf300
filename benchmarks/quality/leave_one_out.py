"""How good is a family on a data set? Leave-one-out by time, all items ranked, seen ones filtered.

    python -m benchmarks.quality.leave_one_out --family two_tower --data demo --seed 0 1 2

Fits with the family's own defaults (or `--set key=value`), chooses by the validation targets, reads the test targets
once, and prints one JSON line: metrics of both, mean over the seeds and seed by seed. `README.md` beside it says how
long that takes. `--record` keeps the line in `results/`.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.common import options_of, report, rounded
from tfllmrec.data import Split, leave_one_out, load
from tfllmrec.evaluation.metrics import ndcg, summarise
from tfllmrec.models.registry import model_class
from tfllmrec.training.runs import timed_fit


def main() -> None:
    arguments = _arguments()
    data = load(arguments.data, min_item_interactions=arguments.min_item_interactions)
    split = leave_one_out(data)
    options = options_of(arguments.set)
    name = Path(arguments.data).name
    runs = []
    for seed in arguments.seed:
        backup = arguments.backup and arguments.backup / f"{name}-{arguments.family}-{seed}.npz"
        runs.append(_run(arguments.family, options | {"seed": seed}, split, backup))
    means = {part: _mean([run[part] for run in runs]) for part in ("validation", "test")}
    result = {"benchmark": "quality", "family": arguments.family, "data": name} | data.summary() | means
    report(result | {"runs": runs}, f"quality-{name}-{arguments.family}" if arguments.record else None)


def _run(name: str, options: dict[str, Any], split: Split, backup: Path | None) -> dict[str, Any]:
    """One fit and what it is worth."""
    recommender = model_class(name)(**options)
    seconds = timed_fit(recommender, split.train, split.validation, callbacks=[_EpochLine()], backup=backup)
    validation = recommender.evaluate(split.validation)
    ranking = recommender.rank_targets(split.test)
    epochs = recommender.training_log.get("val_ndcg@10", [])
    gains = ndcg(ranking.ranks, 10)
    return {
        "seed": options["seed"],
        "validation": rounded(validation),
        "test": rounded(summarise(ranking, split.train.item_counts)),
        "test_standard_error": round(float(gains.std() / np.sqrt(len(gains))), 5),
        "best_epoch": int(np.argmax(epochs)) + 1 if epochs else None,
        "seconds": round(seconds, 1),
        "config": recommender.config.to_dict(),
    }


class _EpochLine(keras.callbacks.Callback):
    """A line on stderr after every epoch."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        told = "  ".join(f"{name} {value:.4f}" for name, value in logs.items())
        print(f"epoch {epoch + 1:3}  {told}", file=sys.stderr, flush=True)


def _mean(metrics: list[dict[str, float]]) -> dict[str, float]:
    return rounded({name: float(np.mean([each[name] for each in metrics])) for name in metrics[0]})


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--family", required=True, help="popularity, markov_chain, ease, two_tower, next_item")
    parser.add_argument("--data", required=True, help="name of a data set, or a folder")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="options of the family")
    parser.add_argument("--seed", nargs="*", type=int, default=[0])
    parser.add_argument("--min-item-interactions", type=int, help="by default 5 for the demo, else 1")
    parser.add_argument(
        "--backup", type=Path, help="folder for the state after every epoch, to go on from after a kill"
    )
    parser.add_argument("--record", action="store_true", help="keep the line in benchmarks/results/")
    return parser.parse_args()


if __name__ == "__main__":
    main()

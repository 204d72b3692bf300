"""Quality of a family on a data set: leave-one-out by time, all items ranked, seen items excluded.

    python -m benchmarks.quality.leave_one_out --family two_tower --data demo --seed 0 1 2

Fits with the family's defaults for the size of the data; `--set KEY=VALUE` overrides them. Each fit is chosen by the
validation targets and reads the test targets once.

Prints one JSON line: metrics on validation and test targets, as means over the seeds and per seed, with the standard
error of ndcg@10, the best epoch, the duration and the resolved configuration. `benchmarks/README.md` lists durations.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.common import benchmark_parser, parse_options, report, rounded
from tfllmrec.data import Split, leave_one_out, load_dataset
from tfllmrec.evaluation.metrics import ndcg, summarise
from tfllmrec.models.registry import model_class
from tfllmrec.training.runs import timed_fit


def main() -> None:
    arguments = _arguments()
    data = load_dataset(arguments.data, min_item_interactions=arguments.min_item_interactions)
    split = leave_one_out(data)
    options = parse_options(arguments.set)
    name = Path(arguments.data).name
    runs = []
    for seed in arguments.seed:
        backup = arguments.backup and arguments.backup / f"{name}-{arguments.family}-{seed}.npz"
        runs.append(_run(arguments.family, options | {"seed": seed}, split, backup))
    means = {part: _mean([run[part] for run in runs]) for part in ("validation", "test")}
    result = {"benchmark": "leave_one_out", "family": arguments.family, "data": name} | data.summary() | means
    report(result | {"runs": runs}, f"leave_one_out-{name}-{arguments.family}" if arguments.record else None)


def _run(name: str, options: dict[str, Any], split: Split, backup: Path | None) -> dict[str, Any]:
    """Fit once and evaluate."""
    recommender = model_class(name).from_options(options)
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
    """Prints the logs on stderr after every epoch."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        metrics = "  ".join(f"{name} {value:.4f}" for name, value in logs.items())
        print(f"epoch {epoch + 1:3}  {metrics}", file=sys.stderr, flush=True)


def _mean(metrics: list[dict[str, float]]) -> dict[str, float]:
    return rounded({name: float(np.mean([each[name] for each in metrics])) for name in metrics[0]})


def _arguments() -> argparse.Namespace:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--family", required=True, help="name of a family, such as two_tower")
    parser.add_argument("--data", required=True, help="name of a data set, or a folder with its tables")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="options of the family")
    parser.add_argument("--seed", nargs="*", type=int, default=[0])
    parser.add_argument(
        "--min-item-interactions", type=int, help="items with fewer are left out (default: 5 for the demo, else 1)"
    )
    parser.add_argument(
        "--backup", type=Path, help="folder for backups after every epoch; a killed fit resumes from them"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()

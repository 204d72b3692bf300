"""Quality of the interest labels that `multi_task` predicts for a user's next item.

    python -m benchmarks.quality.interests --data demo

Fits `multi_task` on a leave-one-out split, chosen by the validation targets, and predicts the labels (categories) of
the test targets, which are read once. The baseline is the share of each label in the user's history.

Prints one JSON line: the area under the ROC curve over users, averaged over labels with at least ten positives, for the
model (`auc`, per seed) and for the baseline (`of_shares`); and their difference with a bootstrap interval over users.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import benchmark_parser, parse_options, report
from tfllmrec import MultiTask
from tfllmrec.content.item_tokens import label_matrix
from tfllmrec.data import leave_one_out, load_dataset
from tfllmrec.evaluation.interests import label_aucs, label_shares

RESAMPLES = 1000


def main() -> None:
    arguments = _arguments()
    data = load_dataset(arguments.data)
    split = leave_one_out(data)
    targets = {"validation": split.validation, "test": split.test}[arguments.part]
    aucs: list[tuple[float, float]] = []
    predictions = []
    for seed in arguments.seed:
        options = {**parse_options(arguments.set), "seed": seed}
        model = MultiTask(**options).fit(split.train, split.validation, verbose=0)
        predictions.append(model.interest_scores(targets))
        item_labels = label_matrix(data.items, model.labels)
        labels, shares = item_labels[targets.items], label_shares(targets.histories, item_labels)
        aucs.append((_macro(predictions[-1], labels), _macro(shares, labels)))
    name = Path(arguments.data).name
    result: dict[str, Any] = {"benchmark": "interests", "data": name, "part": arguments.part} | data.summary()
    result |= {"seeds": arguments.seed, "auc": [round(auc, 4) for auc, _ in aucs], "of_shares": round(aucs[0][1], 4)}
    result |= {"labels": int(np.isfinite(label_aucs(shares, labels)).sum())}
    result |= {"difference": _interval(np.mean(predictions, axis=0), shares, labels), "config": model.config.to_dict()}
    report(result, f"interests-{name}" if arguments.record else None)


def _macro(scores: np.ndarray, labels: np.ndarray) -> float:
    return float(np.nanmean(label_aucs(scores, labels)))


def _interval(predicted: np.ndarray, shares: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return the difference of two macro averages and its 95 % bootstrap interval over users, with fixed labels."""
    counted = labels.sum(axis=0) >= 10
    predicted, shares, labels = predicted[:, counted], shares[:, counted], labels[:, counted]
    random, differences = np.random.default_rng(0), []
    for _ in range(RESAMPLES):
        rows = random.integers(len(labels), size=len(labels))
        differences.append(
            np.nanmean(label_aucs(predicted[rows], labels[rows], min_positives=1))
            - np.nanmean(label_aucs(shares[rows], labels[rows], min_positives=1))
        )
    low, high = np.quantile(differences, [0.025, 0.975])
    mean = _macro(predicted, labels) - _macro(shares, labels)
    return {"mean": round(mean, 4), "low": round(low, 4), "high": round(high, 4)}


def _arguments() -> argparse.Namespace:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--data", default="demo", help="name or folder of a data set with categories")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="options of the family")
    parser.add_argument("--seed", nargs="*", type=int, default=[0])
    parser.add_argument("--part", choices=["validation", "test"], default="test", help="targets to evaluate on")
    return parser.parse_args()


if __name__ == "__main__":
    main()

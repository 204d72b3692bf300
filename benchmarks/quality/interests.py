"""How well does a joint model know which labels a user's next item will have?

    python -m benchmarks.quality.interests --data demo

Fits `multi_task` on a leave-one-out split, chosen by the validation targets, and asks for the labels (categories) of
the test targets, read once. Prints one JSON line: the mean over labels, with ten positives or more, of the area
under the ROC curve over users; the same of the share of each label in the history, which is what to beat; and the
difference with a bootstrap interval over users.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import options_of, report
from tfllmrec import MultiTask
from tfllmrec.content.labels import label_matrix
from tfllmrec.data import leave_one_out, load
from tfllmrec.evaluation.interests import label_aucs, label_shares

DRAWS = 1000


def main() -> None:
    arguments = _arguments()
    data = load(arguments.data)
    split = leave_one_out(data)
    asked = {"validation": split.validation, "test": split.test}[arguments.part]
    found: list[tuple[float, float]] = []
    chances = []
    for seed in arguments.seed:
        options = {**options_of(arguments.set), "seed": seed}
        model = MultiTask(**options).fit(split.train, split.validation, verbose=0)
        chances.append(model.interest_scores(asked))
        had = label_matrix(data.items, model.labels)
        labels, shares = had[asked.items], label_shares(asked.histories, had)
        found.append((_macro(chances[-1], labels), _macro(shares, labels)))
    name = Path(arguments.data).name
    result: dict[str, Any] = {"benchmark": "interests", "data": name, "part": arguments.part} | data.summary()
    result |= {"seeds": arguments.seed, "auc": [round(one, 4) for one, _ in found], "of_shares": round(found[0][1], 4)}
    result |= {"labels": int(np.isfinite(label_aucs(shares, labels)).sum())}
    result |= {"difference": _interval(np.mean(chances, axis=0), shares, labels), "config": model.config.to_dict()}
    report(result, f"interests-{name}" if arguments.record else None)


def _macro(scores: np.ndarray, labels: np.ndarray) -> float:
    return float(np.nanmean(label_aucs(scores, labels)))


def _interval(one: np.ndarray, other: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """The difference of two macro averages, and 95 % of it where users are drawn anew; the labels stay."""
    counted = labels.sum(axis=0) >= 10
    one, other, labels = one[:, counted], other[:, counted], labels[:, counted]
    random, drawn = np.random.default_rng(0), []
    for _ in range(DRAWS):
        rows = random.integers(len(labels), size=len(labels))
        drawn.append(
            np.nanmean(label_aucs(one[rows], labels[rows], min_positives=1))
            - np.nanmean(label_aucs(other[rows], labels[rows], min_positives=1))
        )
    low, high = np.quantile(drawn, [0.025, 0.975])
    return {"mean": round(_macro(one, labels) - _macro(other, labels), 4), "low": round(low, 4), "high": round(high, 4)}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", default="demo", help="name of a data set, or a folder; its items have categories")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="options of the family")
    parser.add_argument("--seed", nargs="*", type=int, default=[0])
    parser.add_argument("--part", choices=["validation", "test"], default="test", help="validation, to choose by")
    parser.add_argument("--record", action="store_true", help="keep the line in benchmarks/results/")
    return parser.parse_args()


if __name__ == "__main__":
    main()

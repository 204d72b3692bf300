"""What is an option of a family worth? The same fits with and without it, seed by seed.

    python -m benchmarks.quality.ablation --family two_tower --data FOLDER --without content=false --seed 0 1 2

Leave-one-out by time, all items ranked, seen ones filtered; chosen by the validation targets, test targets read once a
fit. Prints one JSON line: test ndcg@10 of every fit, and the mean difference over the seeds with two intervals of 95 %:
Student's over the seeds, and a paired bootstrap over users of their means over the seeds. `--set` holds for both sides.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.common import progress, report
from tfllmrec.data import Split, leave_one_out, load
from tfllmrec.evaluation.bootstrap import difference
from tfllmrec.evaluation.metrics import ndcg
from tfllmrec.models.registry import model_class


def main() -> None:
    arguments = _arguments()
    name = Path(arguments.data).name
    data = load(arguments.data, min_item_interactions=arguments.min_item_interactions)
    split = leave_one_out(data)
    common, changed = (_options(assignments) for assignments in (arguments.set, arguments.without))
    gains: dict[str, list[np.ndarray]] = {"with": [], "without": []}
    for seed in arguments.seed:
        for side, options in (("with", common), ("without", common | changed)):
            gains[side].append(_gains(arguments.family, options | {"seed": seed}, split))
            progress(f"seed {seed}, {side}: {gains[side][-1].mean():.5f}")
    result = {"benchmark": "ablation", "family": arguments.family, "data": name, "seeds": arguments.seed}
    result |= {"options": common, "without": changed, **_compared(*map(np.array, gains.values()))}
    report(result, f"ablation-{name}-{arguments.family}-{'-'.join(changed)}" if arguments.record else None)


def _gains(name: str, options: dict[str, Any], split: Split) -> np.ndarray:
    """ndcg@10 of every test target after a fit."""
    recommender = model_class(name)(**options).fit(split.train, split.validation, verbose=0)
    return ndcg(recommender.rank_targets(split.test).ranks, 10)


def _compared(one: np.ndarray, other: np.ndarray) -> dict[str, Any]:
    """Means and the intervals of their difference, from gains [seeds, users] of both sides."""
    by_seed = (one - other).mean(axis=1)
    half = stats.t.ppf(0.975, len(by_seed) - 1) * stats.sem(by_seed)
    users = difference(one.mean(axis=0), other.mean(axis=0))
    return {
        "ndcg@10": {
            "with": one.mean(axis=1).round(5).tolist(),
            "without": other.mean(axis=1).round(5).tolist(),
        },
        "difference": round(float(by_seed.mean()), 5),
        "over_seeds": np.round([by_seed.mean() - half, by_seed.mean() + half], 5).tolist(),
        "over_users": np.round([users.low, users.high], 5).tolist(),
    }


def _options(assignments: list[str]) -> dict[str, str]:
    return dict(assignment.split("=", 1) for assignment in assignments)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--family", required=True, help="two_tower, next_item")
    parser.add_argument("--data", required=True, help="name of a data set, or a folder")
    parser.add_argument("--without", nargs="+", required=True, metavar="KEY=VALUE", help="options that take it away")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="options of both sides")
    parser.add_argument("--seed", nargs="*", type=int, default=[0, 1, 2], help="two or more")
    parser.add_argument("--min-item-interactions", type=int, help="by default 5 for the demo, else 1")
    parser.add_argument("--record", action="store_true", help="keep the line in benchmarks/results/")
    arguments = parser.parse_args()
    if len(arguments.seed) < 2:
        parser.error("--seed: an interval takes two seeds or more")
    return arguments


if __name__ == "__main__":
    main()

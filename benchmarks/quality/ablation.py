"""Effect of an option of a family on test ndcg@10: paired fits with and without it, over several seeds.

    python -m benchmarks.quality.ablation --family two_tower --data FOLDER --without content=false --seed 0 1 2

Protocol: leave-one-out by time, all items ranked, seen items excluded. Each fit is chosen by the validation targets and
reads the test targets once. Options of `--set` apply to both sides.

Prints one JSON line: test ndcg@10 of every fit and the mean difference over the seeds, with two 95 % intervals:
Student's t over the seeds, and a paired bootstrap over users of their means over the seeds.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.common import benchmark_parser, parse_options, progress, report
from tfllmrec.data import Split, leave_one_out, load_dataset
from tfllmrec.evaluation.bootstrap import difference
from tfllmrec.evaluation.metrics import ndcg
from tfllmrec.models.registry import model_class


def main() -> None:
    arguments = _arguments()
    name = Path(arguments.data).name
    data = load_dataset(arguments.data, min_item_interactions=arguments.min_item_interactions)
    split = leave_one_out(data)
    common, changed = (parse_options(assignments) for assignments in (arguments.set, arguments.without))
    gains: dict[str, list[np.ndarray]] = {"with": [], "without": []}
    for seed in arguments.seed:
        for side, options in (("with", common), ("without", common | changed)):
            gains[side].append(_gains(arguments.family, options | {"seed": seed}, split))
            progress(f"seed {seed}, {side}: {gains[side][-1].mean():.5f}")
    result = {"benchmark": "ablation", "family": arguments.family, "data": name, "seeds": arguments.seed}
    result |= {"options": common, "without": changed, **_compare(*map(np.array, gains.values()))}
    report(result, f"ablation-{name}-{arguments.family}-{'-'.join(changed)}" if arguments.record else None)


def _gains(name: str, options: dict[str, Any], split: Split) -> np.ndarray:
    """Fit a model and return ndcg@10 of every test target."""
    recommender = model_class(name).from_options(options).fit(split.train, split.validation, verbose=0)
    return ndcg(recommender.rank_targets(split.test).ranks, 10)


def _compare(with_option: np.ndarray, without: np.ndarray) -> dict[str, Any]:
    """Return the means and the intervals of their difference, from gains [seeds, users] of both sides."""
    by_seed = (with_option - without).mean(axis=1)
    half = stats.t.ppf(0.975, len(by_seed) - 1) * stats.sem(by_seed)
    users = difference(with_option.mean(axis=0), without.mean(axis=0))
    return {
        "ndcg@10": {
            "with": with_option.mean(axis=1).round(5).tolist(),
            "without": without.mean(axis=1).round(5).tolist(),
        },
        "difference": round(float(by_seed.mean()), 5),
        "over_seeds": np.round([by_seed.mean() - half, by_seed.mean() + half], 5).tolist(),
        "over_users": np.round([users.low, users.high], 5).tolist(),
    }


def _arguments() -> argparse.Namespace:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--family", required=True, help="name of a family, such as two_tower")
    parser.add_argument("--data", required=True, help="name of a data set, or a folder with its tables")
    parser.add_argument("--without", nargs="+", required=True, metavar="KEY=VALUE", help="options of one side")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="options of both sides")
    parser.add_argument("--seed", nargs="*", type=int, default=[0, 1, 2], help="two or more")
    parser.add_argument(
        "--min-item-interactions", type=int, help="items with fewer are left out (default: 5 for the demo, else 1)"
    )
    arguments = parser.parse_args()
    if len(arguments.seed) < 2:
        parser.error("--seed: an interval needs at least two seeds")
    return arguments


if __name__ == "__main__":
    main()

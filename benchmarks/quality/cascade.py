"""Test metrics of a cascade and of each of its parts.

    tfllmrec train two_tower --data FOLDER --out TWO_TOWER
    tfllmrec train next_item --data FOLDER --out NEXT_ITEM
    python -m benchmarks.quality.cascade --retrievers TWO_TOWER NEXT_ITEM --ranker RANKER

RANKER is a run that `benchmarks.quality.ranking --out` wrote; it is optional. All parts are fitted on the same training
part. The weights of the parts are learnt on the validation targets. Protocol: leave-one-out by time, all users, all
items ranked, seen items excluded. The test targets are read once.

Prints one JSON line: ndcg@10 and recall@10 of every part and of the cascade, and the gain of the cascade over the
retriever that is best on the validation targets, with a bootstrap interval over users. To choose between cascades, use
`--part validation`: it learns the weights on half of the validation targets and evaluates on the other half.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import benchmark_parser, parse_options, report, rounded
from tfllmrec import Cascade, Recommender
from tfllmrec.evaluation.bootstrap import difference
from tfllmrec.evaluation.metrics import ndcg, recall
from tfllmrec.training.runs import Run


def main() -> None:
    arguments = _arguments()
    runs = [Run.load(folder) for folder in arguments.retrievers]
    ranker = Run.load(arguments.ranker).recommender if arguments.ranker else None
    data, split = runs[0].source.split()
    options = parse_options(arguments.set)
    fitted_on, evaluated_on = split.validation, split.test
    if arguments.part == "validation":
        half = np.random.default_rng(0).permutation(len(split.validation)) % 2 == 0
        fitted_on, evaluated_on = (split.validation.take(np.flatnonzero(rows)) for rows in (half, ~half))
    cascade = Cascade(retrievers=[run.recommender for run in runs], ranker=ranker or "", **options)
    cascade.fit(split.train, fitted_on)

    retrievers = named([*cascade.retrievers])
    best = max(retrievers, key=lambda name: retrievers[name].evaluate(fitted_on)["ndcg@10"])
    ranks = {name: model.rank_targets(evaluated_on).ranks for name, model in {**retrievers, "cascade": cascade}.items()}
    gain = difference(*(ndcg(ranks[name], 10) for name in ("cascade", best)))
    name = Path(runs[0].source.data).name
    result: dict[str, Any] = {"benchmark": "cascade", "data": name, "part": arguments.part} | data.summary()
    for part, values in ranks.items():
        result[part] = rounded({"ndcg@10": ndcg(values, 10).mean(), "recall@10": recall(values, 10).mean()})
    result |= {"best": best, "gain": rounded({"mean": gain.mean, "low": gain.low, "high": gain.high})}
    result |= {"relative_gain": round(gain.mean / result[best]["ndcg@10"], 4)}
    result |= {"weights": cascade.weights.round(4).tolist(), "config": cascade.config.to_dict()}
    record = "-".join(filter(None, ["cascade", name, arguments.tag]))
    report(result, record if arguments.record else None)


def named(parts: list[Recommender]) -> dict[str, Recommender]:
    """Return the parts by family name; the second part of a family is called "next_item 2"."""
    by_name: dict[str, Recommender] = {}
    for part in parts:
        count = sum(other.family == part.family for other in by_name.values())
        by_name[f"{part.family} {count + 1}" if count else part.family] = part
    return by_name


def _arguments() -> argparse.Namespace:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--retrievers", type=Path, nargs="+", required=True, help="runs of tfllmrec train")
    parser.add_argument("--ranker", type=Path, help="a run of benchmarks.quality.ranking --out")
    parser.add_argument("--part", choices=["validation", "test"], default="test", help="targets to evaluate on")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="options of the cascade")
    parser.add_argument("--tag", default="", help="suffix of the result file's name")
    return parser.parse_args()


if __name__ == "__main__":
    main()

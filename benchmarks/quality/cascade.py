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

from benchmarks.common import options_of, report, rounded
from tfllmrec import Cascade, Recommender
from tfllmrec.evaluation.bootstrap import difference
from tfllmrec.evaluation.metrics import ndcg, recall
from tfllmrec.models.ranker.model import Ranker
from tfllmrec.training.runs import Run


def main() -> None:
    arguments = _arguments()
    runs = [Run.load(folder) for folder in arguments.retrievers]
    ranker = Run.load(arguments.ranker).recommender if arguments.ranker else None
    assert ranker is None or isinstance(ranker, Ranker), f"{arguments.ranker} is no ranker"
    data, split = runs[0].source.split()
    options = options_of(arguments.set)
    learnt_by, asked = split.validation, split.test
    if arguments.part == "validation":
        half = np.random.default_rng(0).permutation(len(split.validation)) % 2 == 0
        learnt_by, asked = (split.validation.take(np.flatnonzero(rows)) for rows in (half, ~half))
    cascade = Cascade.of([run.recommender for run in runs], ranker, learnt_by, **options)

    retrievers = named(cascade.retrievers)
    best = max(retrievers, key=lambda name: retrievers[name].evaluate(learnt_by)["ndcg@10"])
    ranks = {name: one.rank_targets(asked).ranks for name, one in {**retrievers, "cascade": cascade}.items()}
    gain = difference(*(ndcg(ranks[name], 10) for name in ("cascade", best)))
    name = Path(runs[0].source.data).name
    result: dict[str, Any] = {"benchmark": "cascade", "data": name, "part": arguments.part} | data.summary()
    for part, found in ranks.items():
        result[part] = rounded({"ndcg@10": ndcg(found, 10).mean(), "recall@10": recall(found, 10).mean()})
    result |= {"best": best, "gain": rounded({"mean": gain.mean, "low": gain.low, "high": gain.high})}
    result |= {"relative_gain": round(gain.mean / result[best]["ndcg@10"], 4)}
    result |= {"weights": cascade.weights.round(4).tolist(), "config": cascade.config.to_dict()}
    record = "-".join(filter(None, ["cascade", name, arguments.tag]))
    report(result, record if arguments.record else None)


def named(parts: list[Recommender]) -> dict[str, Recommender]:
    """Parts by family, the second of one as "next_item 2"."""
    found: dict[str, Recommender] = {}
    for part in parts:
        count = sum(one.family == part.family for one in found.values())
        found[f"{part.family} {count + 1}" if count else part.family] = part
    return found


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--retrievers", type=Path, nargs="+", required=True, help="runs of tfllmrec train")
    parser.add_argument("--ranker", type=Path, help="a run of benchmarks.quality.ranking --out")
    parser.add_argument("--part", choices=["validation", "test"], default="test", help="validation, to choose by")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="options of the cascade")
    parser.add_argument("--tag", default="", help="ends the name of the result file")
    parser.add_argument("--record", action="store_true", help="keep the line in benchmarks/results/")
    return parser.parse_args()


if __name__ == "__main__":
    main()

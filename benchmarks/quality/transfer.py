"""Do interests move to a scenario that a user has nothing in, and what is each part of the model worth for that?

    python -m benchmarks.quality.transfer --data FOLDER --set dim=64 units=64 epochs=6
    python -m benchmarks.quality.transfer --data demo --ablation --seed 0 1 2 --set dim=96 units=96 epochs=8 \
        batch_size=24 warmup=0 input_dropout=0.3 dropout=0.3 label_smoothing=0.1

A seeded half of the users with two scenarios or more lose all of a seeded one, in training and in what the model reads,
and are asked for what they had there, among that scenario's items. `multi_task` is fitted on the rest, leave-one-out by
user and scenario, chosen by the validation targets; lost items and test targets are read once a fit. Prints one JSON
line: recall@10 of what was lost, beside its scenario's popularity; ndcg@10 of the test targets by scenario, and what
the other tasks come to; all as means over seeds. Popularity has ties against it, and shared. `--ablation` fits every
way of sharing experts with and without transfer, with the intervals of the differences to the last one. The
demo data has its films in two scenarios: classics from before 1980, and new ones.
"""

import argparse
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np

from benchmarks.common import options_of, progress, report, rounded, rounded_interval
from benchmarks.quality.scenario_data import by_scenario, load_scenarios, mean_weights, scenarios_of, where_asked
from tfllmrec import MultiTask
from tfllmrec.data import Dataset, Split, Targets
from tfllmrec.data.scenario_splits import MissingScenario, leave_one_out_by_scenario, missing_scenario
from tfllmrec.evaluation.bootstrap import difference
from tfllmrec.evaluation.metrics import ndcg, recall
from tfllmrec.layers.experts import Sharing
from tfllmrec.training.multi_task import task_scores


class Found(NamedTuple):
    """recall@10 of every lost interaction, ndcg@10 of every test target, and scores of other tasks by name."""

    lost: np.ndarray
    kept: np.ndarray
    tasks: dict[str, float]


def main() -> None:
    arguments = _arguments()
    data, options = load_scenarios(arguments.data), options_of(arguments.set)
    missing = missing_scenario(data)
    split = leave_one_out_by_scenario(missing.data)
    name = Path(arguments.data).name
    result: dict[str, Any] = {"benchmark": "transfer", "data": name} | data.summary()
    result |= {"asked": len(missing.targets), "test_targets": len(split.test)}
    against, shared = _popular(split.train, missing.targets)
    result |= {"popularity": round(float(against.mean()), 5), "popularity_ties_shared": round(float(shared.mean()), 5)}
    variants = {"multi_task": {}} if arguments.ablation is None else _variants(arguments.ablation or get_args(Sharing))
    found = {
        variant: _mean([_find(split, missing, options | more | {"seed": seed}) for seed in arguments.seed])
        for variant, more in variants.items()
    }
    names, where = scenarios_of(data).names.tokens, where_asked(split.test)
    last = [*found.values()][-1]
    for variant, one in found.items():
        result[variant] = _told(one, against, names, where) | ({} if one is last else _beside(one, last, where))
    kind = "ablation" if arguments.ablation else None
    report(
        result | {"options": options}, "-".join(filter(None, ["transfer", name, kind])) if arguments.record else None
    )


def _variants(ways: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Ways of sharing experts, without and with transfer."""
    every = product(ways, (False, True))
    return {
        f"{sharing}, {'with' if transfer else 'without'} transfer": {"sharing": sharing, "transfer": transfer}
        for sharing, transfer in every
    }


def _find(split: Split, missing: MissingScenario, options: dict[str, Any]) -> Found:
    model = MultiTask(**options).fit(split.train, split.validation, verbose=0)
    lost, kept = recall(model.rank_targets(missing.targets).ranks, 10), ndcg(model.rank_targets(split.test).ranks, 10)
    scores = task_scores(model, missing.data, split.test)
    tasks = {f"{task}_{metric}": value for task, told in scores.items() for metric, value in told.items()}
    validated = [round(one, 5) for one in model.training_log["val_ndcg@10"]]
    progress(f"{options}: recall@10 {lost.mean():.5f}, ndcg@10 {kept.mean():.5f}, {tasks}, validation {validated}")
    return Found(lost, kept, tasks)


def _mean(found: list[Found]) -> Found:
    """Of several seeds."""
    lost, kept = np.mean([one.lost for one in found], axis=0), np.mean([one.kept for one in found], axis=0)
    return Found(lost, kept, {task: float(np.mean([one.tasks[task] for one in found])) for task in found[0].tasks})


def _told(found: Found, popular: np.ndarray, names: np.ndarray, where: np.ndarray) -> dict[str, Any]:
    return {
        "recall@10": round(float(found.lost.mean()), 5),
        "times_popularity": round(float(found.lost.mean() / popular.mean()), 3),
        "gain": rounded_interval(difference(found.lost, popular)),
        "ndcg@10": by_scenario(names, where, found.kept),
        **rounded(found.tasks),
    }


def _beside(one: Found, other: Found, where: np.ndarray) -> dict[str, Any]:
    weights = mean_weights(where)
    return {
        "recall@10_beside_last": rounded_interval(difference(one.lost, other.lost)),
        "ndcg@10_beside_last": rounded_interval(difference(one.kept * weights, other.kept * weights)),
    }


def _popular(train: Dataset, targets: Targets) -> tuple[np.ndarray, np.ndarray]:
    """recall@10 of targets by how often their scenario had an item, with ties against it and with ties shared."""
    members, where = scenarios_of(train).members, where_asked(targets)
    counts = np.zeros(members.shape)
    np.add.at(counts, (train.scenario_indices, train.item_indices), 1)
    counts[~members] = -1
    own = counts[where, targets.items]
    above = np.array([np.sum(counts[place] > count) for place, count in zip(where, own, strict=True)])
    level = np.array([np.sum(counts[place] == count) for place, count in zip(where, own, strict=True)])
    return recall(above + level, 10), np.clip((10 - above) / level, 0, 1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", default="demo", help="a folder whose interactions have scenarios, or demo")
    parser.add_argument("--seed", nargs="*", type=int, default=[0])
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="options of all fits")
    parser.add_argument(
        "--ablation",
        nargs="*",
        choices=get_args(Sharing),
        help="these ways of sharing, or all, with and without transfer",
    )
    parser.add_argument("--record", action="store_true", help="keep the line in benchmarks/results/")
    return parser.parse_args()


if __name__ == "__main__":
    main()

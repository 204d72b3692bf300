"""Transfer of interests to a scenario in which a user has no interactions, with ablations of the model.

    python -m benchmarks.quality.transfer --data FOLDER --set dim=64 units=64 epochs=6
    python -m benchmarks.quality.transfer --data demo --ablation --seed 0 1 2 --set dim=96 units=96 epochs=8 \
        batch_size=24 warmup=0 input_dropout=0.3 dropout=0.3 label_smoothing=0.1

For a seeded half of the users with two or more scenarios, all interactions of one seeded scenario are removed, from
training and from the histories. These interactions are the targets, ranked among the items of their scenario.
`multi_task` is fitted on the rest, leave-one-out by user and scenario, and chosen by the validation targets. Removed
interactions and test targets are read once per fit. The demo data has two scenarios, films before 1980 and newer films.

Prints one JSON line with means over the seeds: recall@10 of the removed interactions and of the scenario's popularity
(once with ties against it, once with ties shared), ndcg@10 of the test targets by scenario, and scores of the other
tasks. `--ablation` fits every way of sharing experts with and without transfer, and adds intervals of the differences
to the last variant.
"""

import argparse
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np

from benchmarks.common import benchmark_parser, parse_options, progress, report, rounded, rounded_interval
from benchmarks.quality.scenario_data import by_scenario, load_scenarios, mean_weights, scenarios_of, target_scenarios
from tfllmrec import MultiTask
from tfllmrec.data import Dataset, Split, Targets
from tfllmrec.data.scenario_splits import MissingScenario, leave_one_out_by_scenario, missing_scenario
from tfllmrec.evaluation.bootstrap import difference
from tfllmrec.evaluation.metrics import ndcg, recall
from tfllmrec.layers.experts import Sharing


class Scores(NamedTuple):
    """Scores of a fit.

    Attributes:
        removed: recall@10 of every removed interaction.
        test: ndcg@10 of every test target.
        tasks: scores of the other tasks by name.
    """

    removed: np.ndarray
    test: np.ndarray
    tasks: dict[str, float]


def main() -> None:
    arguments = _arguments()
    data, options = load_scenarios(arguments.data), parse_options(arguments.set)
    missing = missing_scenario(data)
    split = leave_one_out_by_scenario(missing.data)
    name = Path(arguments.data).name
    result: dict[str, Any] = {"benchmark": "transfer", "data": name} | data.summary()
    result |= {"removed_targets": len(missing.targets), "test_targets": len(split.test)}
    popular, shared = _popularity_recall(split.train, missing.targets)
    result |= {"popularity": round(float(popular.mean()), 5), "popularity_ties_shared": round(float(shared.mean()), 5)}
    variants = {"multi_task": {}} if arguments.ablation is None else _variants(arguments.ablation or get_args(Sharing))
    scores = {
        variant: _mean([_fit(split, missing, options | changes | {"seed": seed}) for seed in arguments.seed])
        for variant, changes in variants.items()
    }
    names, scenarios = scenarios_of(data).names.tokens, target_scenarios(split.test)
    last = [*scores.values()][-1]
    for variant, each in scores.items():
        result[variant] = _summary(each, popular, names, scenarios)
        result[variant] |= {} if each is last else _differences(each, last, scenarios)
    kind = "ablation" if arguments.ablation else None
    report(
        result | {"options": options}, "-".join(filter(None, ["transfer", name, kind])) if arguments.record else None
    )


def _variants(ways: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the options of every way of sharing experts, without and with transfer."""
    return {
        f"{sharing}, {'with' if transfer else 'without'} transfer": {"sharing": sharing, "transfer": transfer}
        for sharing, transfer in product(ways, (False, True))
    }


def _fit(split: Split, missing: MissingScenario, options: dict[str, Any]) -> Scores:
    model = MultiTask(**options).fit(split.train, split.validation, verbose=0)
    removed = recall(model.rank_targets(missing.targets).ranks, 10)
    test = ndcg(model.rank_targets(split.test).ranks, 10)
    by_task = model.evaluate_tasks(missing.data, split.test)["tasks"]
    tasks = {f"{task}_{metric}": value for task, metrics in by_task.items() for metric, value in metrics.items()}
    validation = [round(value, 5) for value in model.training_log["val_ndcg@10"]]
    progress(f"{options}: recall@10 {removed.mean():.5f}, ndcg@10 {test.mean():.5f}, {tasks}, validation {validation}")
    return Scores(removed, test, tasks)


def _mean(fits: list[Scores]) -> Scores:
    """Return the mean over fits with several seeds."""
    removed, test = (np.mean(values, axis=0) for values in ([fit.removed for fit in fits], [fit.test for fit in fits]))
    return Scores(removed, test, {task: float(np.mean([fit.tasks[task] for fit in fits])) for task in fits[0].tasks})


def _summary(scores: Scores, popular: np.ndarray, names: np.ndarray, scenarios: np.ndarray) -> dict[str, Any]:
    return {
        "recall@10": round(float(scores.removed.mean()), 5),
        "times_popularity": round(float(scores.removed.mean() / popular.mean()), 3),
        "gain": rounded_interval(difference(scores.removed, popular)),
        "ndcg@10": by_scenario(names, scenarios, scores.test),
        **rounded(scores.tasks),
    }


def _differences(scores: Scores, last: Scores, scenarios: np.ndarray) -> dict[str, Any]:
    weights = mean_weights(scenarios)
    return {
        "recall@10_beside_last": rounded_interval(difference(scores.removed, last.removed)),
        "ndcg@10_beside_last": rounded_interval(difference(scores.test * weights, last.test * weights)),
    }


def _popularity_recall(train: Dataset, targets: Targets) -> tuple[np.ndarray, np.ndarray]:
    """Return recall@10 of targets by popularity in their scenario, with ties against it and with ties shared."""
    members, scenarios = scenarios_of(train).members, target_scenarios(targets)
    counts = np.zeros(members.shape)
    np.add.at(counts, (train.scenario_indices, train.item_indices), 1)
    counts[~members] = -1
    own = counts[scenarios, targets.items]
    above = np.array([np.sum(counts[scenario] > count) for scenario, count in zip(scenarios, own, strict=True)])
    ties = np.array([np.sum(counts[scenario] == count) for scenario, count in zip(scenarios, own, strict=True)])
    return recall(above + ties, 10), np.clip((10 - above) / ties, 0, 1)


def _arguments() -> argparse.Namespace:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--data", default="demo", help="folder of a data set with scenarios, or demo")
    parser.add_argument("--seed", nargs="*", type=int, default=[0])
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="options of all fits")
    parser.add_argument(
        "--ablation",
        nargs="*",
        choices=get_args(Sharing),
        help="ways of sharing experts to fit with and without transfer (default: all)",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()

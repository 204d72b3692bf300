"""Is one model for several scenarios as good as one for each, and do interests move to a scenario nobody was seen in?

    python benchmarks/scenarios.py --data FOLDER --set dim=64 units=64 epochs=6

Leave-one-out by user and scenario, a scenario's items ranked, seen ones filtered; chosen by the validation targets,
test targets read once a fit. `multi_task` is fitted on all scenarios together, and on each alone with the same options.
For `--transfer` half of the users with two scenarios or more lose one of them, and are asked for what they had there.
Prints one JSON line: ndcg@10 by scenario of both, the mean difference with a bootstrap interval over targets; recall@10
of the scenario that was lost, and of its popularity.
"""

import argparse
from pathlib import Path
from typing import Any

from tfllmrec.quiet import quiet_tensorflow

quiet_tensorflow()

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from common import progress, report  # noqa: E402

from tfllmrec.data import Dataset, Split, Targets, load  # noqa: E402
from tfllmrec.data.scenario_splits import leave_one_out_by_scenario, missing_scenario  # noqa: E402
from tfllmrec.data.scenarios import Scenarios  # noqa: E402
from tfllmrec.evaluation.bootstrap import difference  # noqa: E402
from tfllmrec.evaluation.metrics import ndcg, recall  # noqa: E402
from tfllmrec.recommenders import MultiTask  # noqa: E402


def main() -> None:
    arguments = _arguments()
    data = load(arguments.data, positions=True)
    options = dict(assignment.split("=", 1) for assignment in arguments.set)
    name = Path(arguments.data).name
    result: dict[str, Any] = {"benchmark": "scenarios", "data": name} | data.summary()
    if arguments.transfer:
        result |= _transfer(data, options)
    else:
        result |= _together_and_apart(data, options, apart=not arguments.together)
    kind = "transfer" if arguments.transfer else "ranking"
    parts = filter(None, ["scenarios", name, kind, arguments.tag])
    report(result | {"options": options}, "-".join(parts) if arguments.record else None)


def _together_and_apart(data: Dataset, options: dict[str, Any], *, apart: bool) -> dict[str, Any]:
    split, names = leave_one_out_by_scenario(data), _scenarios(data).names.tokens
    where = _where(split.test)
    together = _gains(split, options)
    told: dict[str, Any] = {"together": _by_scenario(names, where, together)}
    if apart:
        alone = np.zeros_like(together)
        for scenario in range(1, len(names)):
            asked = data.user_vocabulary.ids(split.test.users[where == scenario])
            alone[where == scenario] = _gains_apart(_only(data, scenario), options).loc[asked]
        weights = _mean_weights(where)
        gain = difference(together * weights, alone * weights)
        told |= {"apart": _by_scenario(names, where, alone), "gain": [gain.mean, gain.low, gain.high]}
    return told


def _scenarios(data: Dataset) -> Scenarios:
    assert data.scenarios is not None, "the interactions have no column scenario"
    return data.scenarios


def _where(targets: Targets) -> np.ndarray:
    assert targets.scenarios is not None, "their data has scenarios"
    return targets.scenarios


def _gains(split: Split, options: dict[str, Any]) -> np.ndarray:
    """ndcg@10 of every test target after a fit."""
    model = MultiTask(**options).fit(split.train, split.validation, verbose=0)
    gains = ndcg(model.rank(split.test).ranks, 10)
    progress(f"{len(split.test):,} targets: {gains.mean():.5f}, {model.history['val_ndcg@10']}")
    return gains


def _gains_apart(only: Dataset, options: dict[str, Any]) -> pd.Series:
    """ndcg@10 by user id in the one scenario of these data.

    Also of users who had their last item in another scenario before, and who are not asked for it together.
    """
    split = leave_one_out_by_scenario(only)
    return pd.Series(_gains(split, options), only.user_vocabulary.ids(split.test.users))


def _only(data: Dataset, scenario: int) -> Dataset:
    """One scenario's interactions, with a vocabulary of their own."""
    table = data.interactions[data.scenario_indices == scenario]
    items = data.items[data.items["item_id"].isin(table["item_id"])]
    return Dataset.from_frames(table, items, positions=True)


def _mean_weights(where: np.ndarray) -> np.ndarray:
    """Weights of targets with which their mean is the mean over scenarios."""
    counts = np.bincount(where)
    return len(where) / (np.count_nonzero(counts) * counts[where])


def _by_scenario(names: np.ndarray, where: np.ndarray, values: np.ndarray) -> dict[str, float]:
    means = {names[place]: values[where == place].mean() for place in range(1, len(names))}
    return {name: round(float(value), 5) for name, value in (means | {"mean": np.mean(list(means.values()))}).items()}


def _transfer(data: Dataset, options: dict[str, Any]) -> dict[str, Any]:
    missing = missing_scenario(data)
    split = leave_one_out_by_scenario(missing.data)
    model = MultiTask(**options).fit(split.train, split.validation, verbose=0)
    progress(f"{model.history['val_ndcg@10']}")
    found = recall(model.rank(missing.targets).ranks, 10)
    popular = recall(_popular_ranks(split.train, missing.targets), 10)
    gain = difference(found, popular)
    return {
        "asked": len(missing.targets),
        "recall@10": round(float(found.mean()), 5),
        "of_popularity": round(float(popular.mean()), 5),
        "ratio": round(float(found.mean() / popular.mean()), 3),
        "gain": [gain.mean, gain.low, gain.high],
    }


def _popular_ranks(train: Dataset, targets: Targets) -> np.ndarray:
    """The ranks of targets by how often their scenario had them."""
    members, where = _scenarios(train).members, _where(targets)
    counts = np.zeros(members.shape)
    np.add.at(counts, (train.scenario_indices, train.item_indices), 1)
    counts[~members] = -1
    own = counts[where, targets.items]
    return np.array([np.sum(counts[place] >= count) for place, count in zip(where, own, strict=True)])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", required=True, help="a folder; its interactions have scenarios")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="options of all fits")
    parser.add_argument("--together", action="store_true", help="only the joint fit, for an ablation")
    parser.add_argument("--transfer", action="store_true", help="ask for a scenario that users lost")
    parser.add_argument("--tag", default="", help="ends the name of the result file")
    parser.add_argument("--record", action="store_true", help="keep the line in benchmarks/results/")
    return parser.parse_args()


if __name__ == "__main__":
    main()

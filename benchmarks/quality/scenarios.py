"""Is one model for several scenarios as good as one for each?

    python -m benchmarks.quality.scenarios --data FOLDER --set dim=64 units=64 epochs=18 precision=bfloat16

Leave-one-out by user and scenario, a scenario's items ranked, seen ones filtered; chosen by the validation targets,
test targets read once a fit. `multi_task` is fitted on all scenarios together, and on each alone with the same options
but for those of `--apart`: an epoch of one scenario has fewer steps. Prints one JSON line: ndcg@10 by scenario of both,
and the mean difference with a bootstrap interval over targets.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.common import options_of, progress, report, rounded_interval
from benchmarks.quality.scenario_data import by_scenario, load_scenarios, mean_weights, scenarios_of, where_asked
from tfllmrec import MultiTask
from tfllmrec.data import Dataset, Split
from tfllmrec.data.scenario_splits import leave_one_out_by_scenario
from tfllmrec.evaluation.bootstrap import difference
from tfllmrec.evaluation.metrics import ndcg


def main() -> None:
    arguments = _arguments()
    data = load_scenarios(arguments.data)
    options = options_of(arguments.set)
    name = Path(arguments.data).name
    result: dict[str, Any] = {"benchmark": "scenarios", "data": name} | data.summary()
    result |= _together_and_apart(data, options, options | options_of(arguments.apart))
    result |= {"options": options, "options_apart": options_of(arguments.apart)}
    report(result, f"scenarios-{name}" if arguments.record else None)


def _together_and_apart(data: Dataset, together: dict[str, str], apart: dict[str, str]) -> dict[str, Any]:
    split, names = leave_one_out_by_scenario(data), scenarios_of(data).names.tokens
    where = where_asked(split.test)
    joint = _gains(split, together)
    alone = np.zeros_like(joint)
    for scenario in range(1, len(names)):
        asked = data.user_vocabulary.ids(split.test.users[where == scenario])
        alone[where == scenario] = _gains_apart(_only(data, scenario), apart).loc[asked]
    weights = mean_weights(where)
    gain = difference(joint * weights, alone * weights)
    return {
        "together": by_scenario(names, where, joint),
        "apart": by_scenario(names, where, alone),
        "gain": rounded_interval(gain),
    }


def _gains(split: Split, options: dict[str, Any]) -> np.ndarray:
    """ndcg@10 of every test target after a fit."""
    model = MultiTask(**options).fit(split.train, split.validation, verbose=0)
    gains = ndcg(model.rank_targets(split.test).ranks, 10)
    progress(f"{len(split.test):,} targets: {gains.mean():.5f}, {model.training_log['val_ndcg@10']}")
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


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", required=True, help="a folder; its interactions have scenarios")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="options of all fits")
    parser.add_argument("--apart", nargs="*", default=[], metavar="KEY=VALUE", help="options of the single ones alone")
    parser.add_argument("--record", action="store_true", help="keep the line in benchmarks/results/")
    return parser.parse_args()


if __name__ == "__main__":
    main()

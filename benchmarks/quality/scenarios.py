"""One `multi_task` model for all scenarios, compared with one model per scenario.

    python -m benchmarks.quality.scenarios --data FOLDER --set dim=64 units=64 epochs=18 precision=bfloat16

Protocol: leave-one-out by user and scenario, the items of a scenario ranked, seen items excluded. Each fit is chosen by
the validation targets and reads the test targets once. All fits have the same options, except for those of `--apart`,
which apply to the single-scenario models only: their epochs have fewer steps.

Prints one JSON line: ndcg@10 per scenario of both (`together`, `apart`), and the mean difference (`gain`) with a
bootstrap interval over targets.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.common import benchmark_parser, parse_options, progress, report, rounded_interval
from benchmarks.quality.scenario_data import by_scenario, load_scenarios, mean_weights, scenarios_of, target_scenarios
from tfllmrec import MultiTask
from tfllmrec.data import Dataset, Split
from tfllmrec.data.scenario_splits import leave_one_out_by_scenario
from tfllmrec.evaluation.bootstrap import difference
from tfllmrec.evaluation.metrics import ndcg


def main() -> None:
    arguments = _arguments()
    data = load_scenarios(arguments.data)
    options = parse_options(arguments.set)
    name = Path(arguments.data).name
    result: dict[str, Any] = {"benchmark": "scenarios", "data": name} | data.summary()
    result |= _compare(data, options, options | parse_options(arguments.apart))
    result |= {"options": options, "options_apart": parse_options(arguments.apart)}
    report(result, f"scenarios-{name}" if arguments.record else None)


def _compare(data: Dataset, together: dict[str, str], apart: dict[str, str]) -> dict[str, Any]:
    split, names = leave_one_out_by_scenario(data), scenarios_of(data).names.tokens
    scenarios = target_scenarios(split.test)
    shared = _gains(split, together)
    alone = np.zeros_like(shared)
    for scenario in range(1, len(names)):
        users = data.user_vocabulary.ids(split.test.users[scenarios == scenario])
        alone[scenarios == scenario] = _gains_apart(_one_scenario(data, scenario), apart).loc[users]
    weights = mean_weights(scenarios)
    gain = difference(shared * weights, alone * weights)
    return {
        "together": by_scenario(names, scenarios, shared),
        "apart": by_scenario(names, scenarios, alone),
        "gain": rounded_interval(gain),
    }


def _gains(split: Split, options: dict[str, Any]) -> np.ndarray:
    """Fit a model and return ndcg@10 of every test target."""
    model = MultiTask(**options).fit(split.train, split.validation, verbose=0)
    gains = ndcg(model.rank_targets(split.test).ranks, 10)
    progress(f"{len(split.test):,} targets: {gains.mean():.5f}, {model.training_log['val_ndcg@10']}")
    return gains


def _gains_apart(data: Dataset, options: dict[str, Any]) -> pd.Series:
    """Fit a model on data of one scenario and return ndcg@10 by user id.

    The split of all scenarios lacks users who had their last item in another scenario before.
    """
    split = leave_one_out_by_scenario(data)
    return pd.Series(_gains(split, options), data.user_vocabulary.ids(split.test.users))


def _one_scenario(data: Dataset, scenario: int) -> Dataset:
    """Return the interactions of one scenario as a data set with its own vocabularies."""
    table = data.interactions[data.scenario_indices == scenario]
    items = data.items[data.items["item_id"].isin(table["item_id"])]
    return Dataset.from_frames(table, items, positions=True)


def _arguments() -> argparse.Namespace:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--data", required=True, help="folder of a data set with scenarios")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="options of all fits")
    parser.add_argument(
        "--apart", nargs="*", default=[], metavar="KEY=VALUE", help="options of the single-scenario models"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()

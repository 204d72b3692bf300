"""Data with scenarios, targets per scenario, and means over scenarios."""

import numpy as np

from tfllmrec.data import Dataset, Targets, load_dataset
from tfllmrec.data.scenarios import Scenarios

_FIRST_NEW_YEAR = 1980


def load_scenarios(name: str) -> Dataset:
    """Load data with scenarios; the demo data has two, films before 1980 and newer films."""
    if name != "demo":
        return load_dataset(name, positions=True)
    data = load_dataset(name)
    years = data.items["title"].str.extract(r"\((\d{4})\)\s*$")[0].astype(float)
    scenarios = np.where(years < _FIRST_NEW_YEAR, "classics", "new")[data.item_indices - 1]
    return Dataset.from_frames(data.interactions.assign(scenario=scenarios), data.items)


def scenarios_of(data: Dataset) -> Scenarios:
    """Return the scenarios of a data set that has them."""
    assert data.scenarios is not None, "the interactions have no column scenario"
    return data.scenarios


def target_scenarios(targets: Targets) -> np.ndarray:
    """Return the scenario of every target, int32 [n]."""
    assert targets.scenarios is not None, "the data of the targets has no scenarios"
    return targets.scenarios


def mean_weights(scenarios: np.ndarray) -> np.ndarray:
    """Return weights of targets, float64 [n], that turn their mean into the mean over scenarios."""
    counts = np.bincount(scenarios)
    return len(scenarios) / (np.count_nonzero(counts) * counts[scenarios])


def by_scenario(names: np.ndarray, scenarios: np.ndarray, values: np.ndarray) -> dict[str, float]:
    """Return the mean of the values of every scenario by name, and the mean of these means."""
    means = {names[index]: values[scenarios == index].mean() for index in range(1, len(names))}
    return {name: round(float(value), 5) for name, value in (means | {"mean": np.mean(list(means.values()))}).items()}

"""What benchmarks of data with scenarios share: targets by scenario, and their mean."""

import numpy as np

from tfllmrec.data import Dataset, Targets, load
from tfllmrec.data.scenarios import Scenarios

_FIRST_NEW_YEAR = 1980


def load_scenarios(name: str) -> Dataset:
    """Data with scenarios, by folder; of the demo data, classics and new films are two."""
    if name != "demo":
        return load(name, positions=True)
    data = load(name)
    years = data.items["title"].str.extract(r"\((\d{4})\)\s*$")[0].astype(float)
    where = np.where(years < _FIRST_NEW_YEAR, "classics", "new")[data.item_indices - 1]
    return Dataset.from_frames(data.interactions.assign(scenario=where), data.items)


def scenarios_of(data: Dataset) -> Scenarios:
    """The scenarios of data that have some."""
    assert data.scenarios is not None, "the interactions have no column scenario"
    return data.scenarios


def where_asked(targets: Targets) -> np.ndarray:
    """Every target's scenario, int32 [n]."""
    assert targets.scenarios is not None, "their data has scenarios"
    return targets.scenarios


def mean_weights(where: np.ndarray) -> np.ndarray:
    """Weights of targets with which their mean is the mean over scenarios."""
    counts = np.bincount(where)
    return len(where) / (np.count_nonzero(counts) * counts[where])


def by_scenario(names: np.ndarray, where: np.ndarray, values: np.ndarray) -> dict[str, float]:
    """The mean of values in every scenario by name, and the mean of these."""
    means = {names[place]: values[where == place].mean() for place in range(1, len(names))}
    return {name: round(float(value), 5) for name, value in (means | {"mean": np.mean(list(means.values()))}).items()}

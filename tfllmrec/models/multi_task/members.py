"""The items of every scenario."""

import numpy as np
import pandas as pd

from tfllmrec.data.dataset import Dataset
from tfllmrec.data.vocabulary import Vocabulary
from tfllmrec.errors import InputError


def scenario_members(data: Dataset) -> np.ndarray:
    """Return the items of every scenario, bool [scenarios + 1, items + 1].

    Data without scenarios has one scenario with all items.

    Raises:
        InputError: If only some of the interactions have a scenario.
    """
    if data.scenarios is not None:
        missing = int(np.sum(data.scenario_indices == 0))
        if missing:
            raise InputError(
                f"interactions: {missing} values of column scenario are empty; fill in all of them, or remove the "
                "column"
            )
        return data.scenarios.members
    members = np.zeros((2, len(data.item_vocabulary) + 1), bool)
    members[1, 1:] = True
    return members


def new_item_members(items: pd.DataFrame, scenarios: Vocabulary | None) -> np.ndarray:
    """Return the scenarios of new items, bool [scenarios + 1, items].

    Args:
        items: an item table; column scenario has names with `|` between them.
        scenarios: the known scenarios, or None for data without scenarios.

    Raises:
        InputError: If an item has no known scenario.
    """
    if scenarios is None:
        return np.repeat([[False], [True]], len(items), axis=1)
    members = np.zeros((len(scenarios) + 1, len(items)), bool)
    for column, text in enumerate(items["scenario"] if "scenario" in items else [""] * len(items)):
        members[scenarios.lookup([name.strip() for name in text.split("|")]), column] = True
    members[0] = False
    missing = ~members.any(axis=0)
    if missing.any():
        item = items["item_id"].iloc[int(np.argmax(missing))]
        raise InputError(
            f"items: {item!r} has no known scenario; column scenario must have some of "
            f"{', '.join(scenarios.tokens[1:])}, with | between them"
        )
    return members

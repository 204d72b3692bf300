"""Scenarios: the domains or surfaces that interactions come from, and the items of each."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tfllmrec.data.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class Scenarios:
    """Names of the scenarios of a whole table, and the items of each.

    Attributes:
        names: scenario names; index 0 stands for no scenario.
        members: bool [scenarios + 1, items + 1]; an item belongs to every scenario in which it has an interaction.

    Example:
        >>> from tfllmrec.data import Vocabulary
        >>> interactions = pd.DataFrame({"item_id": ["a", "b", "a"], "scenario": ["toys", "sports", "sports"]})
        >>> scenarios = Scenarios.from_interactions(interactions, Vocabulary(["a", "b"]))
        >>> scenarios.names.tokens[1:]
        array(['sports', 'toys'], dtype=object)
        >>> scenarios.members[1:, 1:]
        array([[ True,  True],
               [ True, False]])
    """

    names: Vocabulary
    members: np.ndarray

    @classmethod
    def from_interactions(cls, interactions: pd.DataFrame, items: Vocabulary) -> "Scenarios | None":
        """Return the scenarios of a checked table; None if it has no column `scenario` or the column is empty."""
        if "scenario" not in interactions:
            return None
        column = interactions["scenario"]
        names = Vocabulary(sorted(set(column) - {""}))
        if not len(names):
            return None
        members = np.zeros((len(names) + 1, len(items) + 1), bool)
        members[names.lookup(column), items.lookup(interactions["item_id"])] = True
        members[0] = False
        return cls(names, members)

    def __len__(self) -> int:
        return len(self.names)

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
        >>> items, names = Vocabulary(["a", "b"]), Vocabulary(["sports", "toys"])
        >>> scenarios = Scenarios.from_interactions(interactions, items, names)
        >>> scenarios.members[1:, 1:]
        array([[ True,  True],
               [ True, False]])
    """

    names: Vocabulary
    members: np.ndarray

    @classmethod
    def from_interactions(
        cls, interactions: pd.DataFrame, items: Vocabulary, names: Vocabulary | None
    ) -> "Scenarios | None":
        """Return the scenarios of a checked table; None if it has no column `scenario` or there are no names."""
        if "scenario" not in interactions or names is None:
            return None
        column = interactions["scenario"]
        members = np.zeros((len(names) + 1, len(items) + 1), bool)
        members[names.lookup(column), items.lookup(interactions["item_id"])] = True
        members[0] = False
        return cls(names, members)

    def __len__(self) -> int:
        return len(self.names)

"""Scenarios: the domains or surfaces that interactions come from, and which items each of them has."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tfllmrec.data.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class Scenarios:
    """The scenarios of a whole table, by name, and the items that each of them has.

    Attributes:
        names: index 0 is no scenario.
        members: bool [scenarios + 1, items + 1]; an item belongs to every scenario in which it has an interaction.

    Example:
        >>> data.scenarios.names.tokens[1:]
        array(['beauty', 'sports', 'toys'], dtype=object)
    """

    names: Vocabulary
    members: np.ndarray

    @classmethod
    def from_interactions(cls, interactions: pd.DataFrame, items: Vocabulary) -> "Scenarios | None":
        """The scenarios of a checked table; None where it has no column of that name, or nothing in it."""
        if "scenario" not in interactions:
            return None
        named = interactions["scenario"]
        names = Vocabulary(sorted(set(named) - {""}))
        if not len(names):
            return None
        members = np.zeros((len(names) + 1, len(items) + 1), bool)
        members[names.lookup(named), items.lookup(interactions["item_id"])] = True
        members[0] = False
        return cls(names, members)

    def __len__(self) -> int:
        return len(self.names)

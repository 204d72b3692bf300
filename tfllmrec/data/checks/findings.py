"""Findings: one kind of oddity in the tables of a data set, with its count, examples and advice."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

_SHOWN_EXAMPLES = 3


@dataclass(frozen=True)
class Finding:
    """One kind of oddity in a data set.

    Attributes:
        name: name of the kind, such as "duplicates".
        count: number of affected rows, users or items.
        unit: what is counted, in the plural.
        share: `count` divided by the number of all of them.
        examples: the first affected ones.
        advice: a sentence on its effect and its remedy.
        refused: whether training refuses the tables because of it.
    """

    name: str
    count: int
    unit: str
    share: float
    examples: tuple[str, ...]
    advice: str
    refused: bool = False


def finding_at(
    mask: np.ndarray, name: str, unit: str, example: Callable[[int], str], advice: str, *, refused: bool = False
) -> Finding | None:
    """Return the finding at the positions where a mask is true; None if it is true nowhere.

    Args:
        mask: bool [n], one position for every row, user or item.
        name: see `Finding`.
        unit: see `Finding`.
        example: function from a position to the text that shows it.
        advice: see `Finding`.
        refused: see `Finding`.
    """
    count = int(np.count_nonzero(mask))
    if not count:
        return None
    examples = tuple(example(int(position)) for position in np.flatnonzero(mask)[:_SHOWN_EXAMPLES])
    return Finding(name, count, unit, count / len(mask), examples, advice, refused)


def quantity(count: int, unit: str) -> str:
    """Return a count with its unit, which is given in the plural: "1 row", "2,000 rows"."""
    return f"{count:,} {unit.removesuffix('s') if count == 1 else unit}"

"""Interest labels: the categories that items have, as a table of which item has which."""

from collections import Counter

import numpy as np
import pandas as pd

from tfllmrec.data.vocabulary import Vocabulary


def label_vocabulary(items: pd.DataFrame, *, min_items: int = 5) -> Vocabulary:
    """The categories of an item table that at least so many items have, in alphabetical order."""
    counts = Counter(label for row in _labels(items) for label in row)
    return Vocabulary(sorted(label for label, count in counts.items() if count >= min_items))


def label_matrix(items: pd.DataFrame, vocabulary: Vocabulary) -> np.ndarray:
    """Which item has which label: bool [items + 1, labels]; row 0, the padding's, has none.

    Args:
        items: perhaps with categories (`|` between), in the order of the item vocabulary.
        vocabulary: of labels; others are left out.
    """
    rows = _labels(items)
    matrix = np.zeros((len(rows) + 1, len(vocabulary) + 1), bool)
    for place, row in enumerate(rows):
        matrix[place + 1, vocabulary.lookup(list(row))] = True
    return matrix[:, 1:]


def _labels(items: pd.DataFrame) -> list[set[str]]:
    if "categories" not in items:
        return [set()] * len(items)
    return [{name.strip() for name in text.split("|")} - {""} for text in items["categories"]]

"""Content vectors that a data set brings along: one column of the item table, one vector an item."""

import numpy as np
import pandas as pd

from tfllmrec.errors import InputError


def vector_matrix(items: pd.DataFrame, column: str) -> np.ndarray:
    """A column of vectors as a matrix, float32 [items + 1, width]; row 0, the padding's, is zeros.

    Args:
        items: an item table, in the order of the item vocabulary.
        column: each of its values is a list or an array of numbers, all of one length.

    Raises:
        InputError: there is no such column, or its values are no finite vectors of one length.

    Example:
        >>> vector_matrix(pd.DataFrame({"image": [[0.5, 1.0], [2.0, 0.0]]}), "image").shape
        (3, 2)
    """
    if column not in items:
        raise InputError(f"items: column {column} is missing; the table has {', '.join(map(str, items.columns))}")
    try:
        vectors = np.array([np.asarray(value, np.float32) for value in items[column]])
    except (TypeError, ValueError) as error:
        raise InputError(f"items: column {column} must hold vectors of numbers, all of one length") from error
    if vectors.ndim != 2 or not vectors.shape[1] or not np.isfinite(vectors).all():
        raise InputError(f"items: column {column} must hold finite vectors of numbers, all of one length")
    return np.pad(vectors, [(1, 0), (0, 0)])

"""Vector columns of the items table: content vectors that the data set provides, one vector per item."""

from collections.abc import Sized
from typing import Any

import numpy as np
import pandas as pd

from tfllmrec.errors import InputError


def vector_matrix(items: pd.DataFrame, column: str, width: int | None = None) -> np.ndarray:
    """Return a column of vectors as a matrix: float32 [items + 1, width]; padding and missing vectors are zero.

    Args:
        items: an items table, in the order of the item vocabulary.
        column: a column of lists or arrays of numbers, all of the same length; None, NaN or an empty value if missing.
        width: expected length of the vectors; None accepts any.

    Raises:
        InputError: If the column does not exist, its values are not finite vectors of one length, or all vectors are
            missing and `width` is None.

    Example:
        >>> vector_matrix(pd.DataFrame({"image": [[0.5, 1.0], None]}), "image")
        array([[0. , 0. ],
               [0.5, 1. ],
               [0. , 0. ]], dtype=float32)
    """
    if column not in items:
        raise InputError(f"items: column {column} is missing; the table has {', '.join(map(str, items.columns))}")
    values = items[column].tolist()
    rows = [row for row, value in enumerate(values) if not _is_missing(value)]
    if not rows:
        if width is None:
            raise InputError(f"items: column {column} contains no vector")
        return np.zeros((len(items) + 1, width), np.float32)
    try:
        vectors = np.array([np.asarray(values[row], np.float32) for row in rows])
    except (TypeError, ValueError) as error:
        raise InputError(f"items: column {column} must contain vectors of numbers, all of one length") from error
    if vectors.ndim != 2 or not np.isfinite(vectors).all():
        raise InputError(f"items: column {column} must contain finite vectors of numbers, all of one length")
    if width not in (None, vectors.shape[1]):
        raise InputError(f"items: vectors of column {column} have length {vectors.shape[1]} and must have {width}")
    matrix = np.zeros((len(items) + 1, vectors.shape[1]), np.float32)
    matrix[np.array(rows) + 1] = vectors
    return matrix


def _is_missing(value: Any) -> bool:
    """Return whether a cell is None, NaN or empty."""
    if isinstance(value, Sized):
        return not len(value)
    return value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value))

"""Content vectors that a data set brings along: one column of the item table, one vector an item."""

from collections.abc import Sized
from typing import Any

import numpy as np
import pandas as pd

from tfllmrec.errors import InputError


def vector_matrix(items: pd.DataFrame, column: str, width: int | None = None) -> np.ndarray:
    """A column of vectors as a matrix, float32 [items + 1, width]; rows of zeros for the padding and missing vectors.

    Args:
        items: an item table, in the order of the item vocabulary.
        column: each of its values is a list or an array of numbers, all of one length, or missing: None, NaN, or
            empty.
        width: the length they must have; None where any will do.

    Raises:
        InputError: there is no such column, its values are no finite vectors of that one length, or all are missing
            and no width was said.

    Example:
        >>> vector_matrix(pd.DataFrame({"image": [[0.5, 1.0], None]}), "image")
        array([[0. , 0. ],
               [0.5, 1. ],
               [0. , 0. ]], dtype=float32)
    """
    if column not in items:
        raise InputError(f"items: column {column} is missing; the table has {', '.join(map(str, items.columns))}")
    values = items[column].tolist()
    there = [row for row, value in enumerate(values) if not _is_missing(value)]
    if not there:
        if width is None:
            raise InputError(f"items: column {column} holds no vector at all")
        return np.zeros((len(items) + 1, width), np.float32)
    try:
        vectors = np.array([np.asarray(values[row], np.float32) for row in there])
    except (TypeError, ValueError) as error:
        raise InputError(f"items: column {column} must hold vectors of numbers, all of one length") from error
    if vectors.ndim != 2 or not np.isfinite(vectors).all():
        raise InputError(f"items: column {column} must hold finite vectors of numbers, all of one length")
    if width not in (None, vectors.shape[1]):
        raise InputError(f"items: vectors of column {column} have length {vectors.shape[1]}, and must have {width}")
    matrix = np.zeros((len(items) + 1, vectors.shape[1]), np.float32)
    matrix[np.array(there) + 1] = vectors
    return matrix


def _is_missing(value: Any) -> bool:
    """None, NaN, or of no length."""
    if isinstance(value, Sized):
        return not len(value)
    return value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value))

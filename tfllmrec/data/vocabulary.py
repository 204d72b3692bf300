"""Vocabulary: string ids to int32 indices and back; index 0 is padding in the whole package."""

from collections.abc import Iterable
from functools import cached_property

import numpy as np
import pandas as pd

from tfllmrec.errors import InputError


class Vocabulary:
    """Ordered set of string ids; indices start at 1.

    Index 0 stands for padding, "" and every unknown id, so arrays of indices need no separate mask. Look-ups are
    vectorised.

    Args:
        ids: distinct, non-empty strings.

    Raises:
        InputError: If an id is repeated or empty.

    Example:
        >>> films = Vocabulary(["alien", "brazil"])
        >>> films.lookup(["brazil", "unknown", ""])
        array([2, 0, 0], dtype=int32)
        >>> films.ids([[1, 0]])
        array([['alien', '']], dtype=object)
    """

    def __init__(self, ids: Iterable[str]) -> None:
        self._ids = np.asarray(["", *ids], dtype=object)
        if not self._index.is_unique:
            first = self._index[self._index.duplicated()][0]
            raise InputError(f"vocabulary: ids must be distinct and not empty, but {first!r} is repeated or empty")

    @cached_property
    def _index(self) -> pd.Index:
        return pd.Index(self._ids, dtype=object)

    def __len__(self) -> int:
        """Return the number of ids, which is the largest index."""
        return len(self._ids) - 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and np.array_equal(self._ids, other._ids)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} ids)"

    @property
    def tokens(self) -> np.ndarray:
        """All ids by index, objects [len + 1]; element 0 is ""."""
        return self._ids

    def is_prefix_of(self, other: "Vocabulary") -> bool:
        """Return whether every id of this vocabulary has the same index in another one."""
        return self is other or np.array_equal(self._ids, other._ids[: len(self._ids)])

    def lookup(self, ids: Iterable[str]) -> np.ndarray:
        """Return the indices of ids, int32 in the shape of `ids`; 0 for unknown ids."""
        array = np.asarray(ids if isinstance(ids, np.ndarray | pd.Series) else list(ids), dtype=object)
        indices = self._index.get_indexer(pd.Index(array.ravel(), dtype=object))
        return np.maximum(indices, 0).astype(np.int32).reshape(array.shape)

    def ids(self, indices: Iterable[int]) -> np.ndarray:
        """Return the ids of indices, objects in the shape of `indices`; "" for 0."""
        return self._ids[np.asarray(indices, dtype=np.int64)]

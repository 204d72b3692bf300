"""String ids to int32 indices and back; 0 is "nothing" everywhere in the package."""

from collections.abc import Iterable
from functools import cached_property

import numpy as np
import pandas as pd

from tfllmrec.errors import InputError


class Vocabulary:
    """An ordered set of string ids; the n-th id has index n, counted from 1.

    Index 0 stands for padding, for "" and for every unknown id, so that arrays of indices need no second
    mask. Look-ups are vectorised.

    Args:
        ids: distinct, non-empty strings.

    Raises:
        InputError: an id is repeated or empty.

    Example:
        >>> films = Vocabulary(["alien", "brazil"])
        >>> films.lookup(["brazil", "unheard of", ""])
        array([2, 0, 0], dtype=int32)
        >>> films.ids([[1, 0]])
        array([['alien', '']], dtype=object)
    """

    def __init__(self, ids: Iterable[str]) -> None:
        self._ids = np.asarray(["", *ids], dtype=object)
        if not self._index.is_unique:
            first = self._index[self._index.duplicated()][0]
            raise InputError(f"a vocabulary needs distinct, non-empty ids, and {first!r} stands in it twice")

    @cached_property
    def _index(self) -> pd.Index:
        return pd.Index(self._ids, dtype=object)

    def __len__(self) -> int:
        """The number of ids; indices run from 1 to this."""
        return len(self._ids) - 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and np.array_equal(self._ids, other._ids)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} ids)"

    @property
    def tokens(self) -> np.ndarray:
        """All ids by index, [len + 1] objects; element 0 is ""."""
        return self._ids

    def lookup(self, ids: Iterable[str]) -> np.ndarray:
        """Indices of ids, int32 of the ids' shape; 0 for what is unknown."""
        array = np.asarray(ids if isinstance(ids, np.ndarray | pd.Series) else list(ids), dtype=object)
        found = self._index.get_indexer(pd.Index(array.ravel(), dtype=object))
        return np.maximum(found, 0).astype(np.int32).reshape(array.shape)

    def ids(self, indices: Iterable[int]) -> np.ndarray:
        """Ids of indices, objects of the indices' shape; "" for 0."""
        return self._ids[np.asarray(indices, dtype=np.int64)]

"""Histories: ragged rows of item indices, oldest first, in two flat arrays."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Histories:
    """Rows of item indices of different lengths, oldest item first.

    Attributes:
        values: the concatenated rows, int32 [n].
        offsets: int64 [rows + 1]; row r is `values[offsets[r]:offsets[r + 1]]`.

    Example:
        >>> histories = Histories.from_rows([[3, 1, 2], [], [4]])
        >>> histories.most_recent(2)
        array([[1, 2],
               [0, 0],
               [4, 0]], dtype=int32)
    """

    values: np.ndarray
    offsets: np.ndarray

    @classmethod
    def from_rows(cls, rows: Iterable[Sequence[int] | np.ndarray]) -> "Histories":
        """Create histories from one sequence of indices per row."""
        arrays = [np.asarray(row, dtype=np.int32) for row in rows]
        values = np.concatenate([np.empty(0, np.int32), *arrays])
        return cls.from_lengths(values, np.array([len(array) for array in arrays], dtype=np.int64))

    @classmethod
    def from_lengths(cls, values: np.ndarray, lengths: np.ndarray) -> "Histories":
        """Create histories from flat values and the length of each row."""
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        return cls(np.asarray(values, dtype=np.int32), offsets)

    @classmethod
    def from_padded(cls, matrix: np.ndarray) -> "Histories":
        """Create histories from a matrix with zeros on the right, int [rows, any]."""
        is_item = matrix > 0
        return cls.from_lengths(matrix[is_item], is_item.sum(axis=1))

    @classmethod
    def from_mask(cls, mask: np.ndarray) -> "Histories":
        """Create histories from what `mask` returns: the items of every row, sorted, each once."""
        return cls.from_lengths(np.nonzero(mask[:, 1:])[1] + 1, mask[:, 1:].sum(axis=1))

    @classmethod
    def where(cls, condition: np.ndarray, first: "Histories", second: "Histories") -> "Histories":
        """Take each row from `first` where `condition`, bool [rows], is true, else from `second`."""
        both = cls(
            np.concatenate([first.values, second.values]),
            np.concatenate([first.offsets[:-1], first.offsets[-1] + second.offsets]),
        )
        return both.take(np.where(condition, 0, len(first)) + np.arange(len(first)))

    @classmethod
    def concatenate(cls, parts: "Sequence[Histories]") -> "Histories":
        """Concatenate histories row by row: row r of the result is row r of every part."""
        lengths = np.stack([part.lengths for part in parts])
        values = np.concatenate([part.values for part in parts])
        rows = np.concatenate([np.repeat(np.arange(len(part)), part.lengths) for part in parts])
        return cls.from_lengths(values[np.argsort(rows, kind="stable")], lengths.sum(axis=0))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Items in each row, int64 [rows]."""
        return np.diff(self.offsets)

    def row(self, index: int) -> np.ndarray:
        """Return the items of one row, int32 [length]."""
        return self.values[self.offsets[index] : self.offsets[index + 1]]

    def take(self, rows: np.ndarray) -> "Histories":
        """Return the given rows, in the given order; rows may repeat."""
        return self.slices(self.offsets[rows], self.offsets[np.asarray(rows) + 1])

    def without_padding(self) -> "Histories":
        """Return the rows without zeros."""
        rows = np.repeat(np.arange(len(self)), self.lengths)
        known = self.values > 0
        return Histories.from_lengths(self.values[known], np.bincount(rows[known], minlength=len(self)))

    def most_recent(self, length: int) -> np.ndarray:
        """Return the last `length` items of every row, oldest first, zeros on the right: int32 [rows, length]."""
        return self.truncate(length)._padded(length)

    def truncate(self, length: int) -> "Histories":
        """Return every row cut to its last `length` items."""
        return self.slices(np.maximum(self.offsets[:-1], self.offsets[1:] - length), self.offsets[1:])

    def padded(self) -> np.ndarray:
        """Return whole rows with zeros on the right: int32 [rows, longest row]."""
        return self._padded(int(self.lengths.max(initial=0)))

    def mask(self, columns: int) -> np.ndarray:
        """Return the items of every row and the padding, column 0, as a mask: bool [rows, columns]."""
        # A mask made in NumPy is twice as fast as a scatter of -inf in a TensorFlow graph.
        mask = np.zeros((len(self), columns), dtype=bool)
        mask[:, 0] = True
        mask[np.repeat(np.arange(len(self)), self.lengths), self.values] = True
        return mask

    def slices(self, starts: np.ndarray, ends: np.ndarray) -> "Histories":
        """Return slices of the flat values as rows: row r is `values[starts[r]:ends[r]]`."""
        lengths = np.asarray(ends) - np.asarray(starts)
        rows = Histories.from_lengths(np.empty(0, np.int32), lengths)
        positions = np.arange(rows.offsets[-1]) + np.repeat(starts - rows.offsets[:-1], lengths)
        return Histories(self.values[positions], rows.offsets)

    def _padded(self, width: int) -> np.ndarray:
        matrix = np.zeros((len(self), width), dtype=np.int32)
        matrix[np.arange(width) < self.lengths[:, None]] = self.values
        return matrix

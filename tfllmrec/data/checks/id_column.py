"""Id columns of large tables, as positions in an array of distinct ids."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfllmrec.data.checks.findings import quantity
from tfllmrec.errors import InputError


@dataclass(frozen=True, eq=False)
class IdColumn:
    """Ids of every row, as positions in an array of distinct ids.

    Ten million rows take 40 MB instead of a gigabyte of Python strings.

    Attributes:
        ids: distinct ids, strings.
        codes: position of every row's id in `ids`, int32 [n]; -1 for an empty id.
    """

    ids: pa.Array
    codes: np.ndarray

    @classmethod
    def from_chunks(cls, chunks: Iterable[pa.Array], name: str) -> "IdColumn":
        """Encode the chunks of a column one by one.

        Args:
            chunks: at least one.
            name: table and column, for messages.

        Raises:
            InputError: If the values cannot be ids.
        """
        try:
            encoded = pa.chunked_array([_dictionary(chunk) for chunk in chunks]).unify_dictionaries()
        except pa.ArrowNotImplementedError as error:
            raise InputError(f"{name} has values that cannot be ids: give texts or whole numbers") from error
        codes = np.concatenate([chunk.indices.fill_null(-1).to_numpy() for chunk in encoded.chunks])
        ids = encoded.chunk(0).dictionary.cast(pa.large_string()).fill_null("")
        is_empty = np.append(pc.equal(ids, "").to_numpy(zero_copy_only=False), True)
        return cls(ids, np.where(is_empty[codes], -1, codes).astype(np.int32)).keep(np.ones(len(codes), bool))

    def keep(self, mask: np.ndarray) -> "IdColumn":
        """Return the rows where `mask`, bool [n], is true, with their ids alone."""
        codes = self.codes[mask]
        is_used = np.bincount(codes + 1, minlength=len(self.ids) + 1)[1:] > 0
        renumbered = np.append(np.cumsum(is_used, dtype=np.int32) - 1, np.int32(-1))
        return IdColumn(self.ids.filter(pa.array(is_used)), renumbered[codes])

    def without_fractions(self) -> "IdColumn":
        """Drop the ".0" of whole numbers if all ids have it, as reading a CSV file does."""
        ids = self.ids.filter(pc.not_equal(self.ids, ""))
        is_whole = pc.all(pc.match_substring_regex(ids, r"^-?\d+\.0+$")).as_py()
        if not is_whole or len(pc.unique(pc.replace_substring_regex(ids, r"^-?\d+", ""))) > 1:
            return self
        return IdColumn(pc.replace_substring_regex(self.ids, r"\.0+$", ""), self.codes)

    @cached_property
    def counts(self) -> np.ndarray:
        """Rows of every distinct id, int64 [ids]."""
        return np.bincount(self.codes + 1, minlength=len(self.ids) + 1)[1:]

    def show(self, code: int) -> str:
        """Return a distinct id as it is shown in examples."""
        return repr(self.ids[code].as_py())

    def show_row(self, row: int) -> str:
        """Return the id of a row as it is shown in examples."""
        code = int(self.codes[row])
        return self.show(code) if code >= 0 else "''"

    def show_with_count(self, code: int) -> str:
        """Return a distinct id with its number of rows as they are shown in examples."""
        return f"{self.show(code)} ({quantity(int(self.counts[code]), 'rows')})"


def _dictionary(chunk: pa.Array) -> pa.DictionaryArray:
    """Encode the values of a chunk; missing ones and NaN have no position."""
    if pa.types.is_dictionary(chunk.type):
        return chunk.cast(pa.dictionary(pa.int32(), chunk.type.value_type))
    if pa.types.is_floating(chunk.type):
        chunk = pc.if_else(pc.is_nan(chunk), None, chunk)
    return chunk.dictionary_encode()

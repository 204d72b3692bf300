"""Columns of table files, read one at a time and in batches."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq

from tfllmrec.data.table_files import csv_format
from tfllmrec.errors import InputError

_BATCH_ROWS = 2**20
_BLOCK_BYTES = 2**24


class ColumnFile:
    """Parquet or CSV file.

    Args:
        path: the file, with one of the suffixes of `tfllmrec.data.table_files`.
        separator: see `read_table_file`.
        encoding: see `read_table_file`.

    Attributes:
        path: see above.
        names: names of the columns.

    Raises:
        InputError: If the file cannot be read as a table.
    """

    def __init__(self, path: Path, *, separator: str | None = None, encoding: str | None = None) -> None:
        self.path = path
        with self._readable():
            if not self._is_parquet:
                self._separator, self._encoding = csv_format(path, separator, encoding)
            self.names = list(pq.read_schema(path).names if self._is_parquet else self._open_csv().schema.names)

    def chunks(self, name: str) -> Iterator[pa.Array]:
        """Yield a column of ids in chunks; those of CSV files are texts.

        Raises:
            InputError: If the file cannot be read or has no rows.
        """
        with self._readable():
            yield from self._chunks(name, pa.large_string())

    def column(self, name: str) -> pa.ChunkedArray:
        """Return a column of numbers, dates or texts; a CSV column that mixes them is text.

        Raises:
            InputError: If the file cannot be read or has no rows.
        """
        with self._readable():
            try:
                return pa.chunked_array(list(self._chunks(name)))
            except pa.ArrowInvalid:  # the type of the first block does not suit a later one
                return pa.chunked_array(list(self._chunks(name, pa.large_string())))

    @property
    def table(self) -> str:
        """Name of the table."""
        return self.path.name.partition(".")[0]

    @property
    def is_text(self) -> bool:
        """Whether all columns are text, as in CSV files."""
        return not self._is_parquet

    @property
    def _is_parquet(self) -> bool:
        return self.path.suffix == ".parquet"

    def _chunks(self, name: str, csv_type: pa.DataType | None = None) -> Iterator[pa.Array]:
        if self._is_parquet:
            batches = pq.ParquetFile(self.path, memory_map=True).iter_batches(_BATCH_ROWS, columns=[name])
        else:
            batches = self._open_csv(include_columns=[name], column_types={name: csv_type} if csv_type else {})
        rows = 0
        for batch in batches:
            rows += len(batch)
            column = batch.column(0)
            yield column.cast(pa.large_string()) if _is_unusual_text(column.type) else column
        if not rows:
            raise InputError(f"{self.table}: the table has no rows")

    def _open_csv(self, **conversion: Any) -> csv.CSVStreamingReader:
        return csv.open_csv(
            self.path,
            csv.ReadOptions(block_size=_BLOCK_BYTES, encoding=self._encoding),
            csv.ParseOptions(delimiter=self._separator, newlines_in_values=True),
            csv.ConvertOptions(null_values=[""], strings_can_be_null=True, **conversion),
        )

    @contextmanager
    def _readable(self) -> Iterator[None]:
        """Raise an `InputError` for a file that cannot be read."""
        try:
            yield
        except InputError:
            raise
        except (OSError, ValueError, LookupError) as error:  # unknown encodings; Arrow's errors are among them
            raise InputError(f"{self.path} cannot be read: {str(error).splitlines()[0]}") from error


def _is_unusual_text(kind: pa.DataType) -> bool:
    """Return whether a type stands for text, or for nothing but missing values, and lacks functions of Arrow."""
    return pa.types.is_null(kind) or pa.types.is_string_view(kind)

"""Table files: the Parquet and CSV files of a data set folder."""

import codecs
import csv
import gzip
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tfllmrec.data.tables import frame_of_arrow
from tfllmrec.errors import InputError

SUFFIXES = (".parquet", ".csv", ".csv.gz", ".tsv", ".tsv.gz")
_TEXTS = ("title", "text", "categories", "event", "scenario")
"""Columns of words, in which "1.0" is not a number."""
_SEPARATORS = (",", ";", "\t", "|")
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, which starts with the same bytes
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF8: "utf-8-sig",
}


def table_file(folder: Path, name: str) -> Path | None:
    """Return the file of a table in a folder, the first in the order of `SUFFIXES`, or None if there is none."""
    return next((path for suffix in SUFFIXES if (path := folder / f"{name}{suffix}").exists()), None)


def read_table(
    folder: Path, name: str, *, separator: str | None = None, encoding: str | None = None
) -> pd.DataFrame | None:
    """Read a table from a folder; return None if there is no file for it.

    Args:
        folder: the folder.
        name: name of the table.
        separator: see `read_table_file`.
        encoding: see `read_table_file`.

    Raises:
        InputError: If the file cannot be read as a table.
    """
    path = table_file(folder, name)
    return None if path is None else read_table_file(path, separator=separator, encoding=encoding)


def read_table_file(path: Path, *, separator: str | None = None, encoding: str | None = None) -> pd.DataFrame:
    """Read a Parquet or CSV file; all columns of a CSV file are text.

    Args:
        path: a file with one of the `SUFFIXES`.
        separator: separator of a CSV file; by default comma, semicolon, tab or vertical bar, as in the header.
        encoding: encoding of a CSV file, such as "gb18030"; by default UTF-8, or UTF-16 with a byte order mark.

    Raises:
        InputError: If the file has another suffix or cannot be read as a table.
    """
    if not path.name.endswith(SUFFIXES):
        raise InputError(f"{path} is not a table: give a file that ends with {', '.join(SUFFIXES)}")
    is_parquet = path.suffix == ".parquet"
    try:
        return frame_of_arrow(pq.read_table(path)) if is_parquet else _read_csv(path, separator, encoding)
    except UnicodeError as error:
        raise InputError(f"{path} is not {encoding or 'UTF-8'} text: give encoding, such as gb18030") from error
    except (OSError, ValueError, LookupError, EOFError, zlib.error, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path} cannot be read as a {'Parquet' if is_parquet else 'CSV'} table: {reason}") from error


def read_items(folder: Path, *, separator: str | None = None, encoding: str | None = None) -> pd.DataFrame:
    """Read the items table of a folder; see `read_table`.

    Raises:
        InputError: If it does not exist or cannot be read.
    """
    table = read_table(folder, "items", separator=separator, encoding=encoding)
    if table is None:
        raise InputError(f"{folder} has neither items.parquet nor items.csv")
    return table


def _read_csv(path: Path, separator: str | None, encoding: str | None) -> pd.DataFrame:
    """Read a CSV table as text: ids and codes keep leading zeros, and "NA" is a valid id."""
    separator, encoding = csv_format(path, separator, encoding)
    table = pd.read_csv(
        path,
        sep=separator,
        engine="c" if len(separator) == 1 else "python",
        encoding=encoding,
        dtype=str,
        keep_default_na=False,
        na_values=[""],
    )
    if not isinstance(table.index, pd.RangeIndex):  # pandas takes surplus first fields for an index
        raise ValueError("its rows have more fields than its header")
    return table.apply(lambda column: column if column.name in _TEXTS else _without_fractions(column))


def _without_fractions(column: pd.Series) -> pd.Series:
    """Drop the ".0" of whole numbers if the whole column has it: its writer saw the integers as floats or decimals."""
    fractions = column.dropna().str.extract(r"^-?\d+(\.0+)$", expand=False).unique()
    return column.str.removesuffix(fractions[0]) if len(fractions) == 1 and isinstance(fractions[0], str) else column


def csv_format(path: Path, separator: str | None, encoding: str | None) -> tuple[str, str]:
    """Check the header of a CSV file, and return its separator and encoding: the given ones, or those that it shows.

    Raises:
        UnicodeError: If the header is not text in the encoding.
        ValueError: If the header repeats a column.
    """
    encoding = encoding or _encoding(path)
    header = _header(path, encoding)
    found = max(_SEPARATORS, key=lambda candidate: _likelihood(_names(header, candidate)))
    names = _names(header, separator or found)
    if separator and len(names) == 1 and len(_names(header, found)) > 1:
        raise ValueError(f"its header has no separator {separator!r} but {found!r}; leave separator out to find it")
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise ValueError(f"its header repeats the column {repeated[0]}")
    return separator or found, encoding


def _names(header: str, separator: str) -> list[str]:
    """Return the columns of a header."""
    return next(csv.reader([header], delimiter=separator), []) if len(separator) == 1 else header.split(separator)


def _likelihood(names: list[str]) -> tuple[bool, int]:
    """Return a key that is highest for the columns of the right separator."""
    return bool({"user_id", "item_id"} & set(names)), len(names)


def _encoding(path: Path) -> str:
    with _open(path) as file:
        start = file.read(4)
    return next((name for mark, name in _BYTE_ORDER_MARKS.items() if start.startswith(mark)), "utf-8")


def _header(path: Path, encoding: str) -> str:
    with _open(path) as file, codecs.getreader(encoding)(file) as text:
        header = text.readline()
    if "\0" in header:
        raise UnicodeError("the header has null characters")
    return header.strip("\r\n")


def _open(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path)) if path.suffix == ".gz" else path.open("rb")

"""Generated tables in the types, formats and containers that people have, and their reading with PyArrow alone."""

import datetime as dt
import gzip
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from hypothesis import strategies as st

from tfllmrec.data import Dataset

Columns = dict[str, pa.Array]
LABELS = ("Drama", "War", "科幻", "Sci-Fi & more")
_DAY = 86_400

WORDS = ("NA", "null", "nan", "None", "1e5", "1.0")
ID_TYPES: dict[str, Callable[[list[int]], pa.Array]] = {
    "int64": lambda ids: pa.array(ids, pa.int64()),
    "uint32": lambda ids: pa.array(ids, pa.uint32()),
    "float": lambda ids: pa.array(map(float, ids), pa.float64()),
    "decimal": lambda ids: pa.array([Decimal(f"{number}.00") for number in ids], pa.decimal128(12, 2)),
    "text": lambda ids: pa.array([f"u{number}" for number in ids]),
    "large text": lambda ids: pa.array([f"用户 {number}" for number in ids], pa.large_string()),
    "zeros": lambda ids: pa.array([f"{number:07}" for number in ids]),
    "words": lambda ids: pa.array([WORDS[number % len(WORDS)] + str(number // len(WORDS)) for number in ids]),
    "bytes": lambda ids: pa.array([str(number).encode() for number in ids], pa.binary()),
    "dictionary": lambda ids: pa.array([str(number) for number in ids]).dictionary_encode(),
}
"""Arrow arrays of ids, made of numbers below 10,000."""

TEXT_FORMATS = {
    "ISO": "%Y-%m-%d",
    "ISO with time": "%Y-%m-%dT%H:%M:%S",
    "day/month/year": "%d/%m/%Y",
    "day.month.year time": "%d.%m.%Y %H:%M:%S",
    "month-day-year": "%m-%d-%Y",
    "year/month/day": "%Y/%m/%d",
    "day month-name year": "%d %b %Y",
    "Chinese": "%Y年%m月%d日",
}
"""Formats of dates in text; those without a time stand for midnight."""


def _timestamps(times: list[int], unit: str, factor: int) -> pa.Array:
    return pa.array([time * factor + time % 7 for time in times], pa.timestamp(unit))


def _texts(times: list[int], form: str) -> pa.Array:
    return pa.array([dt.datetime.fromtimestamp(time, dt.UTC).strftime(form) for time in times])


TIME_TYPES: dict[str, Callable[[list[int]], pa.Array]] = {
    "integer": lambda times: pa.array(times, pa.int64()),
    "float": lambda times: pa.array([time + 0.25 for time in times]),
    "numbers in text": lambda times: pa.array(map(str, times)),
    "date": lambda times: pa.array([time // _DAY for time in times], pa.int32()).cast(pa.date32()),
    "timestamp s": lambda times: pa.array(times, pa.timestamp("s")),
    "timestamp ms": partial(_timestamps, unit="ms", factor=10**3),
    "timestamp us": partial(_timestamps, unit="us", factor=10**6),
    "timestamp ns": partial(_timestamps, unit="ns", factor=10**9),
    **{name: partial(_texts, form=form) for name, form in TEXT_FORMATS.items()},
}
"""Arrow arrays of times, made of Unix seconds at midnight."""


@dataclass(frozen=True)
class GeneratedTables:
    """Tables of a data set as they are handed to the library.

    Attributes:
        kinds: types of the user ids, item ids and times, and the container.
        interactions: Arrow columns of the interactions.
        items: Arrow columns of the items.
        users: Arrow columns of the users.
    """

    kinds: dict[str, str]
    interactions: Columns
    items: Columns
    users: Columns

    def read(self, folder: Path) -> Dataset:
        """Read the tables with the library, from memory or from files in an empty folder."""
        tables = {"interactions": self.interactions, "items": self.items, "users": self.users}
        if self.kinds["container"] in MEMORY:
            make = MEMORY[self.kinds["container"]]
            return Dataset.from_frames(**{name: make(pa.table(columns)) for name, columns in tables.items()})
        write = FILES[self.kinds["container"]]
        for name, columns in tables.items():
            write(pa.table(columns), folder / name)
        return Dataset.from_folder(folder)


def _csv_bytes(table: pa.Table, separator: str, encoding: str) -> bytes:
    columns = zip(table.column_names, table.columns, strict=True)
    frame = pd.DataFrame({name: _as_text(column).to_pandas() for name, column in columns})
    written = io.StringIO()
    frame.to_csv(written, sep=separator, index=False)
    return written.getvalue().encode(encoding)


def _write_csv(table: pa.Table, path: Path, separator: str = ",", encoding: str = "utf-8", suffix: str = "csv") -> None:
    content = _csv_bytes(table, separator, encoding)
    path.with_suffix(f".{suffix}").write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column as the text of a CSV file."""
    if pa.types.is_list(column.type):
        return pa.chunked_array([[_list_text(value) for value in column.to_pylist()]])
    return read_ids(column) if pa.types.is_binary(column.type) or pa.types.is_dictionary(column.type) else column


def _list_text(labels: list[str]) -> str:
    """Return a list as JSON or, if it has an even length, as Python prints it."""
    return json.dumps(labels, ensure_ascii=False) if len(labels) % 2 else str(labels)


MEMORY: dict[str, Callable[[pa.Table], Any]] = {
    "pandas": lambda table: table.to_pandas(),
    "pandas with Arrow types": lambda table: table.to_pandas(types_mapper=pd.ArrowDtype),
    "pandas objects": lambda table: table.to_pandas().astype(object),
    "PyArrow": lambda table: table,
    "polars": lambda table: pl.from_arrow(table),
    "DuckDB": duckdb.from_arrow,
    "dict": lambda table: table.to_pydict(),
}
FILES: dict[str, Callable[[pa.Table, Path], None]] = {
    "Parquet": lambda table, path: pq.write_table(table, path.with_suffix(".parquet")),
    "CSV": _write_csv,
    "CSV with semicolons": partial(_write_csv, separator=";"),
    "CSV in UTF-16": partial(_write_csv, separator="\t", encoding="utf-16"),
    "TSV in gzip": partial(_write_csv, separator="\t", suffix="tsv.gz"),
}


@st.composite
def generated_tables(draw: st.DrawFn) -> GeneratedTables:
    """Draw tables of up to 4 users with up to 6 interactions each."""
    kinds = {
        "user_id": draw(st.sampled_from(list(ID_TYPES))),
        "item_id": draw(st.sampled_from(list(ID_TYPES))),
        "timestamp": draw(st.sampled_from(list(TIME_TYPES))),
        "container": draw(st.sampled_from([*MEMORY, *FILES])),
    }
    numbers = st.integers(1, 9999)
    users, items = (draw(st.lists(numbers, min_size=1, max_size=size, unique=True)) for size in (4, 8))
    first = draw(st.integers(-2000, 22_000))
    days = st.lists(st.integers(first, first + 60), min_size=1, max_size=6, unique=True)
    rows = [(user, draw(st.sampled_from(items)), day * _DAY) for user in users for day in draw(days)]
    rows = draw(st.permutations(rows))
    interactions: Columns = {
        "user_id": ID_TYPES[kinds["user_id"]]([row[0] for row in rows]),
        "item_id": ID_TYPES[kinds["item_id"]]([row[1] for row in rows]),
        "timestamp": TIME_TYPES[kinds["timestamp"]]([row[2] for row in rows]),
    }
    labels = [draw(st.lists(st.sampled_from(LABELS), unique=True, max_size=3)) for _ in items]
    as_lists = draw(st.booleans())
    categories = pa.array(labels, pa.list_(pa.string())) if as_lists else pa.array(list(map("|".join, labels)))
    item_ids = ID_TYPES[kinds["item_id"]](items)
    ages = draw(st.sampled_from([pa.int64(), pa.float64(), pa.string()]))
    features: Columns = {
        "user_id": ID_TYPES[kinds["user_id"]](users),
        "zip": pa.array([f"{user % 100:05}" for user in users]),
        "age": pa.array([None if position and user % 3 else user % 90 for position, user in enumerate(users)]).cast(
            ages
        ),
    }
    return GeneratedTables(
        kinds, interactions, {"item_id": item_ids, "title": read_ids(item_ids), "categories": categories}, features
    )


def read_ids(column: pa.Array | pa.ChunkedArray) -> Any:
    """Return ids as text with PyArrow: whole numbers without a fraction."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
        column = column.cast(pa.int64())
    return column.cast(pa.string())


def read_seconds(column: pa.Array, kind: str) -> np.ndarray:
    """Return times with PyArrow, which is told the format of text: float64 [n]."""
    if kind in TEXT_FORMATS:
        column = pc.strptime(column, TEXT_FORMATS[kind], "s")
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("s"))
    if pa.types.is_timestamp(column.type):
        per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[column.type.unit]
        return column.cast(pa.int64()).to_numpy() / per_second
    return column.cast(pa.float64()).to_numpy(zero_copy_only=False)

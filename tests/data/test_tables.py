"""Tables of any kind: Arrow C streams, dicts, and files of several formats, with the same values."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from tfllmrec import Dataset, InputError, load_dataset

COLUMNS = {"user_id": ["甲", "u", "u"], "item_id": [2**60 + 1, 7, 8], "timestamp": [1, 2, 3]}
TABLES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "pandas": pd.DataFrame,
    "dict": dict,
    "dict of arrays": lambda columns: {name: np.array(values) for name, values in columns.items()},
    "dict of iterators": lambda columns: {name: iter(values) for name, values in columns.items()},
    "pyarrow": pa.table,
    "polars": pl.DataFrame,
    "duckdb": lambda columns: duckdb.from_arrow(pa.table(columns)),
    "dict of Arrow arrays": lambda columns: {name: pa.array(values) for name, values in columns.items()},
    "record batch": pa.RecordBatch.from_pydict,
}


@pytest.mark.parametrize("kind", TABLES)
def test_tables_of_any_kind_give_the_same_data_set(kind: str) -> None:
    data = Dataset.from_frames(TABLES[kind](COLUMNS))
    expected = Dataset.from_frames(pd.DataFrame(COLUMNS))
    pd.testing.assert_frame_equal(data.interactions, expected.interactions)
    assert data.item_vocabulary.tokens.tolist() == ["", str(2**60 + 1), "7", "8"]


@pytest.mark.parametrize("kind", TABLES)
def test_items_and_users_of_any_kind(kind: str) -> None:
    items = TABLES[kind]({"item_id": COLUMNS["item_id"], "title": ["A", "B", "C"]})
    users = TABLES[kind]({"user_id": ["u", "甲"], "age": [3, 4]})
    data = Dataset.from_frames(pd.DataFrame(COLUMNS), items, users)
    assert data.items["title"].tolist() == ["A", "B", "C"]
    assert data.users is not None
    assert data.users["age"].tolist() == [3, 4]


@pytest.mark.parametrize("make", [pa.table, pl.DataFrame])
def test_integers_with_missing_values_stay_exact(make: Callable[[Any], Any]) -> None:
    items = make({"item_id": COLUMNS["item_id"], "title": [2**60 + 1, None, 3]})
    assert Dataset.from_frames(COLUMNS, items).items["title"].tolist() == [str(2**60 + 1), "7", "3"]


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ([1, 2], "must be a table, not of type list: pass a pandas DataFrame"),
        ("films.csv", "must be a table, not of type str: pass a pandas DataFrame"),
        (None, "must be a table, not of type NoneType: pass a pandas DataFrame"),
        (np.zeros((2, 3)), "must be a table, not of type ndarray: pass a pandas DataFrame"),
        (pa.chunked_array([[1, 2]]), r"cannot be read from Arrow \(.*\): pass a pandas DataFrame"),
        (COLUMNS | {"user_id": "u"}, ": column user_id is of type str, not a list of values"),
        (
            COLUMNS | {"user_id": ["u"]},
            r": the columns have different lengths \(user_id: 1, item_id: 3, timestamp: 3\)",
        ),
        (COLUMNS | {"user_id": {"u", "v", "w"}}, ": column user_id is of type set, not a list of values"),
        (COLUMNS | {"user_id": np.zeros((3, 1))}, ": column user_id is of type ndarray, not a list of values"),
        (COLUMNS | {"user_id": np.array(1)}, ": column user_id is of type ndarray, not a list of values"),
        (pl.LazyFrame(COLUMNS), "must be a table, not of type LazyFrame: call collect"),
        ({5: [1]}, ": the column name 5 is not a string: rename the column"),
        (
            pd.DataFrame([[1, 2]], columns=["user_id", "user_id"]),
            ": several columns are called user_id: rename or drop",
        ),
        (pd.DataFrame({("a", "b"): [1]}), ": the columns have several levels: give every column a single name"),
    ],
)
def test_other_values_are_refused(table: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=f"^interactions ?{sentence}"):
        Dataset.from_frames(table)


def csv(separator: str = ",") -> str:
    rows = ["user_id,item_id,timestamp,note", "甲,007,1,a", "u,NA,2,b", "u,007,3,c"]
    return "".join(f"{row.replace(',', separator)}\n" for row in rows)


FILES: dict[str, tuple[str, bytes]] = {
    "comma": ("csv", csv().encode()),
    "semicolon": ("csv", csv(";").encode()),
    "tab": ("csv", csv("\t").encode()),
    "bar": ("csv", csv("|").encode()),
    "tsv": ("tsv", csv("\t").encode()),
    "byte order mark": ("csv", csv().encode("utf-8-sig")),
    "UTF-32": ("csv", csv().encode("utf-32")),
    "UTF-16": ("csv", csv(";").encode("utf-16")),
    "gzip": ("csv.gz", gzip.compress(csv("\t").encode(), mtime=0)),
    "gzip of UTF-16": ("tsv.gz", gzip.compress(csv("\t").encode("utf-16"), mtime=0)),
}


@pytest.mark.parametrize("kind", FILES)
def test_csv_files_of_any_kind_are_read_as_text(kind: str, tmp_path: Path) -> None:
    suffix, content = FILES[kind]
    (tmp_path / f"interactions.{suffix}").write_bytes(content)
    data = load_dataset(tmp_path)
    assert data.interactions["item_id"].tolist() == ["NA", "007", "007"]
    assert data.interactions["user_id"].tolist() == ["u", "u", "甲"]
    assert data.interactions["timestamp"].tolist() == [2, 3, 1]


def test_separator_and_encoding_can_be_given(tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_bytes(csv("^").encode("gb18030"))
    assert load_dataset(tmp_path, separator="^", encoding="gb18030").user_vocabulary.tokens[2] == "甲"
    with pytest.raises(InputError, match=r"interactions\.csv is not UTF-8 text: give encoding, such as gb18030"):
        load_dataset(tmp_path, separator="^")
    with pytest.raises(
        InputError, match=r"column user_id, item_id, timestamp is missing; the table has user_id\^item_id"
    ):
        load_dataset(tmp_path, encoding="gb18030")
    with pytest.raises(InputError, match="cannot be read as a CSV table: unknown encoding: klingon"):
        load_dataset(tmp_path, encoding="klingon")


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("csv.gz", gzip.compress(csv().encode(), mtime=0)[:-9], "cannot be read as a CSV table: "),
        ("csv", csv().encode("utf-16-le"), "is not UTF-8 text: give encoding, such as gb18030"),
        ("csv", b"user_id,item_id,timestamp,user_id\nu,a,1,v\n", "its header repeats the column user_id"),
        ("csv", b"", "cannot be read as a CSV table: "),
    ],
)
def test_unreadable_csv_files_are_refused(name: str, content: bytes, sentence: str, tmp_path: Path) -> None:
    (tmp_path / f"interactions.{name}").write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        load_dataset(tmp_path)


def test_a_wrong_separator_names_the_right_one(tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text(csv(";"), encoding="utf-8")
    with pytest.raises(InputError, match="its header has no separator ',' but ';'; leave separator out to find it"):
        load_dataset(tmp_path, separator=",")


def test_separators_in_quotes_and_titles_of_numbers(tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text('user_id,item_id,timestamp,"a;b;c;d;e"\nu,1.0,1,x\nu,2.0,2,y\n')
    (tmp_path / "items.csv").write_text("item_id,title\n1.0,1.0\n2.0,2.0\n")
    items = load_dataset(tmp_path).items
    assert items[["item_id", "title"]].to_numpy().tolist() == [["1", "1.0"], ["2", "2.0"]]


def test_a_separator_of_several_characters(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    (tmp_path / "interactions.csv").write_text(csv("::"), encoding="utf-8")
    assert load_dataset(tmp_path, separator="::").interactions["item_id"].tolist() == ["NA", "007", "007"]
    assert not recwarn.list


@pytest.mark.parametrize(
    ("ids", "read"),
    [(["1.0", "2.0"], ["1", "2"]), (["1.0", "1.00"], ["1.0", "1.00"]), (["1.0", "2.5"], ["1.0", "2.5"])],
)
def test_whole_numbers_that_were_written_as_floats(ids: list[str], read: list[str], tmp_path: Path) -> None:
    pd.DataFrame({"user_id": "u", "item_id": ids, "timestamp": [1, 2]}).to_csv(tmp_path / "interactions.csv")
    assert load_dataset(tmp_path).interactions["item_id"].tolist() == read


def test_codes_of_users_keep_their_zeros(tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text(csv(), encoding="utf-8")
    (tmp_path / "users.csv").write_text("user_id,zip\nu,01234\n甲,00007\n", encoding="utf-8")
    users = load_dataset(tmp_path).users
    assert users is not None
    assert users["zip"].tolist() == ["01234", "00007"]


def test_parquet_files_keep_large_integers_with_missing_values(tmp_path: Path) -> None:
    pd.DataFrame(COLUMNS).to_parquet(tmp_path / "interactions.parquet")
    ids = pd.array([2**60 + 1, 7, 8], "Int64")
    items = pd.DataFrame({"item_id": ids, "title": pd.array([None, 2**60 + 1, 3], "Int64")})
    items.to_parquet(tmp_path / "items.parquet")
    assert load_dataset(tmp_path).items["title"].tolist() == [str(2**60 + 1), str(2**60 + 1), "3"]


def test_an_index_of_ids_in_a_parquet_file_is_a_column(tmp_path: Path) -> None:
    pd.DataFrame(COLUMNS).set_index("user_id").to_parquet(tmp_path / "interactions.parquet")
    assert load_dataset(tmp_path).summary() == {"interactions": 3, "users": 2, "items": 3}

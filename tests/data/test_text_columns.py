"""Text columns: the same ids in every dtype of pandas and Arrow give the same strings."""

import enum
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfllmrec import Dataset, InputError
from tfllmrec.data.text_columns import read_texts


class Colour(enum.Enum):
    RED = "red"


def arrow(kind: pa.DataType, convert: Callable[[int], Any] = int) -> Callable[[list[int | None]], pd.Series]:
    def column(values: list[int | None]) -> pd.Series:
        array = pa.array([None if value is None else convert(value) for value in values], kind)
        return pd.Series(pd.arrays.ArrowExtensionArray(pa.chunked_array([array])))

    return column


def objects(convert: Callable[[int], Any]) -> Callable[[list[int | None]], pd.Series]:
    return lambda values: pd.Series([None if value is None else convert(value) for value in values], dtype=object)


def dictionary(values: list[int | None]) -> pd.Series:
    return pd.Series(
        pd.arrays.ArrowExtensionArray(pa.chunked_array([pa.array(values, pa.int64()).dictionary_encode()]))
    )


COLUMNS: dict[str, Callable[[list[int | None]], pd.Series]] = {
    "float64": lambda values: pd.Series(values, dtype="float64"),
    "float32": lambda values: pd.Series(values, dtype="float32"),
    "Int64": lambda values: pd.Series(values, dtype="Int64"),
    "UInt32": lambda values: pd.Series(values, dtype="UInt32"),
    "Float64": lambda values: pd.Series(values, dtype="Float64"),
    "category of integers": lambda values: pd.Series(values, dtype="Int64").astype("category"),
    "category of floats": lambda values: pd.Series(values, dtype="float64").astype("category"),
    "string": lambda values: pd.Series([None if value is None else str(value) for value in values], dtype="string"),
    "objects of int": objects(int),
    "objects of float": objects(float),
    "objects of Decimal": objects(lambda value: Decimal(f"{value}.00")),
    "objects of str": objects(str),
    "objects of bytes": objects(lambda value: str(value).encode()),
    "objects of numpy": objects(np.int16),
    "arrow int8": arrow(pa.int8()),
    "arrow uint64": arrow(pa.uint64()),
    "arrow half": arrow(pa.float16(), np.float16),
    "arrow double": arrow(pa.float64(), float),
    "arrow decimal": arrow(pa.decimal128(9, 2), Decimal),
    "arrow decimal256": arrow(pa.decimal256(40, 0), Decimal),
    "arrow string": arrow(pa.string(), str),
    "arrow large string": arrow(pa.large_string(), str),
    "arrow string view": arrow(pa.string_view(), str),
    "arrow binary": arrow(pa.binary(), lambda value: str(value).encode()),
    "arrow large binary": arrow(pa.large_binary(), lambda value: str(value).encode()),
    "arrow dictionary": dictionary,
}

NOT_IN_PARQUET = {"objects of numpy"}
"""Columns that pandas does not write."""


@pytest.mark.parametrize("kind", COLUMNS)
@settings(max_examples=15, deadline=None)
@given(values=st.lists(st.none() | st.integers(0, 127), min_size=1, max_size=8))
def test_ids_of_every_dtype_are_the_same_strings(kind: str, values: list[int | None]) -> None:
    texts = read_texts(COLUMNS[kind](values), "users: column user_id")
    assert texts.tolist() == ["" if value is None else str(value) for value in values]


@pytest.mark.parametrize("kind", [kind for kind in COLUMNS if kind not in NOT_IN_PARQUET])
def test_ids_survive_a_parquet_file(kind: str, tmp_path: Any) -> None:
    column = COLUMNS[kind]([7, 12, 7])
    pd.DataFrame({"user_id": column, "item_id": column, "timestamp": [1, 2, 3]}).to_parquet(
        tmp_path / "interactions.parquet"
    )
    assert Dataset.from_folder(tmp_path).item_vocabulary.tokens.tolist() == ["", "12", "7"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("007", "007"),
        ("7.0", "7.0"),
        (np.str_("a"), "a"),
        (b"\xe7\x94\xb5", "电"),
        (8.5, "8.5"),
        (np.float32(0.1), "0.1"),
        (Decimal("0.50"), "0.5"),
        (-0.0, "0"),
        (2**70, str(2**70)),
        (2.0**53 - 1, "9007199254740991"),
        (True, "True"),
        (np.False_, "False"),
        (Colour.RED, "red"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (pd.NA, ""),
        (np.nan, ""),
        (None, ""),
    ],
)
def test_single_values_have_one_text(value: Any, text: str) -> None:
    assert read_texts(pd.Series([value], dtype=object), "column").tolist() == [text]


def test_values_that_are_equal_but_not_the_same_stay_apart() -> None:
    values = pd.Series([1, True, 1.0, "1", 0, False], dtype=object)
    assert read_texts(values, "column").tolist() == ["1", "True", "1", "1", "0", "False"]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            [1.0, 2.0**53],
            "9007199254740992.0 in row 1, a float that may have lost digits: read the column as integers or",
        ),
        (np.array([1, 2**24], np.float32), "16777216.0 in row 1, a float that may have lost digits"),
        ([1.0, np.inf], "inf in row 1, which is not a finite number"),
        (pd.Series([np.float32(2**24)], dtype=object), "in row 0, a float that may have lost digits"),
        (["a", ["b"]], r"\['b'\] in row 1, which is a list: convert the column to text"),
        (["a", {"b": 1}], "{'b': 1} in row 1, which is a dict"),
        ([("a", "b")], r"\('a', 'b'\) in row 0, which is a tuple"),
        (["a", b"\xff"], "b'.xff' in row 1, which is not UTF-8: decode it to text"),
        (pd.to_datetime(["2024-03-09"]), r"Timestamp\('2024-03-09 00:00:00'\) in row 0, which is a Timestamp"),
        ([1 + 2j], r"\(1\+2j\) in row 0, which is a complex"),
        (arrow(pa.list_(pa.int64()), lambda value: [value])([1]), "in row 0, which is a"),
    ],
)
def test_values_without_a_text_are_refused_with_their_row(values: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=f"^users: column user_id has .*{sentence}"):
        read_texts(pd.Series(values), "users: column user_id")

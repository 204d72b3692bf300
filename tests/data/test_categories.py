"""Categories in text, lists and JSON."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tfllmrec import Dataset, InputError
from tfllmrec.content.item_texts import items_to_texts
from tfllmrec.content.item_tokens import label_vocabulary

LABELS = [["Drama", "War"], ["War"], [], ["电影", "Drama"]]
TEXTS = ["Drama|War", "War", "", "电影|Drama"]
COLUMNS: dict[str, Any] = {
    "text": TEXTS,
    "lists": LABELS,
    "tuples": [tuple(labels) for labels in LABELS],
    "arrays": [np.array(labels, dtype=object) for labels in LABELS],
    "arrays of str": [np.array(labels, dtype=str) for labels in LABELS],
    "JSON": [json.dumps(labels) for labels in LABELS],
    "printed by Python": [str(labels) for labels in LABELS],
    "printed by NumPy": [str(np.array(labels, dtype=str)) for labels in LABELS],
    "lists with missing labels": [[*labels, None, ""] for labels in LABELS],
    "missing for empty": [labels or None for labels in LABELS],
    "arrow": pd.arrays.ArrowExtensionArray(pa.chunked_array([LABELS])),
}


def items_of(categories: Any) -> pd.DataFrame:
    return pd.DataFrame({"item_id": list("abcd"), "title": "T", "categories": pd.Series(categories)})


def data_of(items: pd.DataFrame) -> Dataset:
    return Dataset.from_frames({"user_id": ["u"] * 4, "item_id": list("abcd"), "timestamp": [1, 2, 3, 4]}, items)


@pytest.mark.parametrize("kind", COLUMNS)
def test_lists_are_read_as_text_with_separators(kind: str) -> None:
    items = data_of(items_of(COLUMNS[kind])).items
    assert items["categories"].tolist() == TEXTS
    assert label_vocabulary(items, min_items=1).tokens.tolist() == ["", "Drama", "War", "电影"]


def test_lists_in_parquet_files(tmp_path: Path) -> None:
    data = data_of(items_of(TEXTS))
    data.to_folder(tmp_path / "data")
    items_of(LABELS).to_parquet(tmp_path / "data" / "items.parquet")
    assert Dataset.from_folder(tmp_path / "data").items["categories"].tolist() == TEXTS


def test_sets_are_sorted() -> None:
    assert data_of(items_of([{"b", "a"}, set(), {"c"}, frozenset("a")])).items["categories"].tolist() == [
        "a|b",
        "",
        "c",
        "a",
    ]


def test_text_that_looks_like_a_list_is_text() -> None:
    assert data_of(items_of(["[REC]", "[a", "a", "b"])).items["categories"].tolist() == ["[REC]", "[a", "a", "b"]


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (["a|b"], r"a label 'a\|b' with the separator \|: rename the label"),
        ([["a"]], r"the label \['a'\], which is a list: convert the column to text"),
        ([{"name": "a"}], r"the label {'name': 'a'}, which is a dict"),
        ({"name": "a"}, r"{'name': 'a'} in row 0, which is a dict"),
    ],
)
def test_labels_that_are_not_names_are_refused(labels: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=f"^items: column categories has {sentence}"):
        data_of(items_of([labels, [], [], []]))


def test_lists_of_other_columns_are_read_as_names() -> None:
    assert items_to_texts(
        pd.DataFrame({"title": ["Alien"], "genres": [["Horror", "Sci-Fi"]]}), ["title", "genres"]
    ) == ["Alien. Horror, Sci-Fi"]

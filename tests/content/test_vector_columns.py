"""Vector columns as matrices, and invalid columns."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tfllmrec.content.vector_columns import vector_matrix
from tfllmrec.data import Dataset
from tfllmrec.errors import InputError

KINDS = {"lists": list, "tuples": tuple, "arrays": np.array, "integers": lambda row: [int(value) for value in row]}
NOT_ONE_LENGTH = "items: column image must contain vectors of numbers, all of one length"
NOT_FINITE = "items: column image must contain finite vectors of numbers, all of one length"

BAD: dict[str, tuple[list[Any], str]] = {
    "different lengths": ([[1.0, 2.0], [1.0]], NOT_ONE_LENGTH),
    "words": ([["a", "b"], ["c", "d"]], NOT_ONE_LENGTH),
    "a vector of vectors": ([[[1.0], [1.0, 2.0]], [[1.0], [2.0]]], NOT_ONE_LENGTH),
    "something else": ([{"a": 1.0}, {"a": 2.0}], NOT_ONE_LENGTH),
    "numbers": ([1.0, 2.0], NOT_FINITE),
    "no vectors at all": ([None, float("nan")], "items: column image contains no vector"),
    "matrices": ([[[1.0, 2.0]], [[3.0, 4.0]]], NOT_FINITE),
    "empty vectors": ([[], []], "items: column image contains no vector"),
    "not a number": ([[1.0, 2.0], [float("nan"), 1.0]], NOT_FINITE),
    "infinity": ([[1.0, 2.0], [1.0, -np.inf]], NOT_FINITE),
}


@pytest.mark.parametrize("kind", KINDS)
def test_one_row_per_item_after_the_padding(kind: str) -> None:
    items = pd.DataFrame(
        {"item_id": ["a", "b"], "image": [KINDS[kind]([1.0, 2.0, -3.0]), KINDS[kind]([4.0, 0.0, 5.0])]}
    )
    matrix = vector_matrix(items, "image")
    assert matrix.dtype == np.float32
    np.testing.assert_array_equal(matrix, [[0, 0, 0], [1, 2, -3], [4, 0, 5]])


@pytest.mark.parametrize("missing", [None, float("nan"), np.nan, pd.NA, [], np.array([])], ids=repr)
def test_missing_vectors_are_zero(missing: Any) -> None:
    items = pd.DataFrame({"image": pd.Series([missing, [1.0, 2.0], missing], dtype=object)})
    np.testing.assert_array_equal(vector_matrix(items, "image"), [[0, 0], [0, 0], [1, 2], [0, 0]])
    np.testing.assert_array_equal(vector_matrix(items[:1], "image", width=3), np.zeros((2, 3)))


def test_vectors_of_a_given_width() -> None:
    items = pd.DataFrame({"image": [[1.0, 2.0]]})
    np.testing.assert_array_equal(vector_matrix(items, "image", width=2), [[0, 0], [1, 2]])
    with pytest.raises(InputError, match=r"^items: vectors of column image have length 2 and must have 3$"):
        vector_matrix(items, "image", width=3)


def test_rows_follow_the_vocabulary_also_from_a_folder(tmp_path: Path) -> None:
    interactions = pd.DataFrame({"user_id": ["u", "u"], "item_id": ["b", "a"], "timestamp": [1, 2]})
    items = pd.DataFrame({"item_id": ["c", "b", "a"], "title": ["", "", ""], "image": [[9.0, 9], [0.5, 1], [2, 0.25]]})
    data = Dataset.from_frames(interactions, items)
    data.to_folder(tmp_path / "data")
    for loaded in (data, Dataset.from_folder(tmp_path / "data")):
        np.testing.assert_array_equal(vector_matrix(loaded.items, "image"), [[0, 0], [2, 0.25], [0.5, 1]])


@pytest.mark.parametrize("name", BAD)
def test_invalid_vectors_are_refused(name: str) -> None:
    values, sentence = BAD[name]
    items = pd.DataFrame({"item_id": ["a", "b"], "image": pd.Series(values, dtype=object)})
    with pytest.raises(InputError) as error:
        vector_matrix(items, "image")
    assert str(error.value) == sentence


def test_missing_column_is_refused() -> None:
    with pytest.raises(InputError) as error:
        vector_matrix(pd.DataFrame({"item_id": ["a"], "title": ["A"]}), "image")
    assert str(error.value) == "items: column image is missing; the table has item_id, title"

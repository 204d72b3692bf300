"""Vocabulary: ids to indices and back."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfllmrec.data import Vocabulary
from tfllmrec.errors import InputError


@settings(max_examples=50, deadline=None)
@given(ids=st.lists(st.text(st.characters(), min_size=1), unique=True), extra=st.text())
def test_unicode_round_trip(ids, extra):
    vocabulary = Vocabulary(ids)
    indices = vocabulary.lookup(ids)
    assert indices.dtype == np.int32
    assert list(indices) == list(range(1, len(ids) + 1))
    assert list(vocabulary.ids(indices)) == ids
    assert vocabulary.lookup([extra])[0] == (ids.index(extra) + 1 if extra in ids else 0)


def test_ids_that_look_alike_are_distinct():
    ids = ["\u00e9", "e\u0301", "a", "a\x00", "A", " a"]
    assert list(Vocabulary(ids).lookup(ids)) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("unknown", ["", "c", None, np.nan, 1])
def test_unknown_ids_are_0(unknown):
    assert Vocabulary(["a", "b", "1", "nan", "None"]).lookup([unknown]) == [0]


@pytest.mark.parametrize("ids", [["a", "b", "a"], ["a", ""], [""]])
def test_repeated_and_empty_ids_are_refused(ids):
    with pytest.raises(InputError, match="vocabulary: ids must be distinct and not empty"):
        Vocabulary(ids)


def test_shapes_are_kept():
    vocabulary = Vocabulary(["a", "b"])
    assert vocabulary.lookup(np.array([["a", "x"], ["", "b"]], dtype=object)).tolist() == [[1, 0], [0, 2]]
    assert vocabulary.lookup([["a", "b"]]).tolist() == [[1, 2]]
    assert vocabulary.ids([[2, 0]]).tolist() == [["b", ""]]
    assert vocabulary.lookup([]).shape == (0,)


@pytest.mark.parametrize("dtype", ["str", "object", "category"])
def test_series_of_any_string_type(dtype):
    assert list(Vocabulary(["a", "b"]).lookup(pd.Series(["b", "a"], dtype=dtype))) == [2, 1]


def test_length_equality_and_tokens():
    vocabulary = Vocabulary(iter(["a", "b"]))
    assert len(vocabulary) == 2
    assert list(vocabulary.tokens) == ["", "a", "b"]
    assert vocabulary == Vocabulary(["a", "b"])
    assert vocabulary != Vocabulary(["b", "a"])
    assert vocabulary != ["a", "b"]
    assert repr(vocabulary) == "Vocabulary(2 ids)"

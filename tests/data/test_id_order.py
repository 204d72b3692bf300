"""Id orders: data sets of growing tables in which known ids keep their indices."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfllmrec.data import Dataset, Vocabulary
from tfllmrec.data.id_order import IdOrder
from tfllmrec.errors import InputError

COLUMNS = ["user_id", "item_id", "timestamp"]
JANUARY = [("v", "m", 1), ("v", "k", 2), ("x", "m", 3)]
FEBRUARY = [("a", "b", 4), ("v", "z", 5), ("x", "b", 6)]


def frame(rows, columns=COLUMNS):
    return pd.DataFrame(rows, columns=columns)


def test_new_ids_are_appended_and_sorted_among_themselves():
    data = Dataset.from_frames(frame(JANUARY))
    grown = Dataset.from_frames(frame(JANUARY + FEBRUARY), id_order=data.id_order)
    assert list(grown.item_vocabulary.tokens) == ["", "k", "m", "b", "z"]
    assert list(grown.user_vocabulary.tokens) == ["", "v", "x", "a"]
    assert list(grown.items["item_id"]) == ["k", "m", "b", "z"]
    assert grown.histories.padded().tolist() == [[0, 0, 0], [2, 1, 4], [2, 3, 0], [3, 0, 0]]
    assert list(grown.interactions["user_id"]) == ["v", "v", "v", "x", "x", "a"]


def test_known_ids_without_interactions_keep_their_indices():
    data = Dataset.from_frames(frame(JANUARY))
    later = Dataset.from_frames(frame(FEBRUARY[:1]), id_order=data.id_order)
    assert later.item_vocabulary.lookup(["k", "m", "b"]).tolist() == [1, 2, 3]
    assert list(later.item_counts) == [0, 0, 0, 1]
    assert later.histories.padded().tolist() == [[0], [0], [0], [3]]


def test_known_items_are_not_dropped_as_rare():
    data = Dataset.from_frames(frame(JANUARY))
    rows = frame([*JANUARY, *FEBRUARY])
    grown = Dataset.from_frames(rows, id_order=data.id_order, min_item_interactions=2)
    assert list(grown.item_vocabulary.tokens[1:]) == ["k", "m", "b"]
    assert grown.item_counts.tolist() == [0, 1, 2, 2]
    assert "dropped 1 interactions of 1 items" in grown.notes[0]


def test_scenarios_are_appended():
    columns = [*COLUMNS, "scenario"]
    data = Dataset.from_frames(frame([("u", "a", 1, "web"), ("u", "b", 2, "")], columns))
    rows = [("u", "a", 1, "web"), ("u", "b", 2, "app")]
    grown = Dataset.from_frames(frame(rows, columns), id_order=data.id_order)
    assert list(grown.scenarios.names.tokens[1:]) == ["web", "app"]
    assert grown.scenario_indices.tolist() == [1, 2]
    assert grown.scenarios.members.tolist() == [[False] * 3, [False, True, False], [False, False, True]]


def test_the_items_table_must_have_the_known_items():
    data = Dataset.from_frames(frame(JANUARY))
    items = pd.DataFrame({"item_id": ["m", "b"], "title": ["M", "B"]})
    with pytest.raises(InputError, match=r"^id_order: 1 values of item_id are missing from the items table \('k'\)"):
        Dataset.from_frames(frame(FEBRUARY[:1]), items, id_order=data.id_order)


def test_folders_are_read_in_an_order(tmp_path):
    data = Dataset.from_frames(frame(JANUARY))
    Dataset.from_frames(frame(JANUARY + FEBRUARY)).to_folder(tmp_path / "tables")
    grown = Dataset.from_folder(tmp_path / "tables", id_order=data.id_order)
    assert list(grown.item_vocabulary.tokens[1:]) == ["k", "m", "b", "z"]


ROWS = st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from("klmno"), st.integers(0, 3)), min_size=1)


@settings(max_examples=40, deadline=None)
@given(earlier=ROWS, later=ROWS)
def test_a_grown_data_set_equals_a_sorted_one_up_to_the_order(earlier, later):
    data = Dataset.from_frames(frame(earlier))
    grown = Dataset.from_frames(frame(earlier + later), id_order=data.id_order)
    assert data.item_vocabulary.is_prefix_of(grown.item_vocabulary)
    assert data.user_vocabulary.is_prefix_of(grown.user_vocabulary)
    whole = Dataset.from_frames(frame(earlier + later))
    rows = grown.user_vocabulary.lookup(whole.user_vocabulary.tokens[1:])
    np.testing.assert_array_equal(
        grown.item_vocabulary.ids(grown.histories.take(rows).values), whole.item_vocabulary.ids(whole.histories.values)
    )


@pytest.mark.parametrize(
    ("items", "users", "scenarios", "sentence"),
    [
        ("bac", "u", "", "the items of the data are in another order than those of the model; build the data set with"),
        ("ab", "vu", "", "the users of the data are in another order than those of the model; build the data set with"),
        ("ab", "u", "yx", "the scenarios of the data are in another order than those of the model; build"),
        ("abc", "u", "", "the data has 1 items that the model does not have; add them with with_items"),
        ("ab", "u", "xz", "the data has 1 scenarios that the model does not have; fit on data that has them"),
    ],
)
def test_other_orders_are_refused(items, users, scenarios, sentence):
    known = IdOrder(Vocabulary("ab"), Vocabulary("uv"), Vocabulary("x"))
    with pytest.raises(InputError, match=f"^evaluate: {sentence}"):
        known.require_prefix("evaluate", IdOrder(Vocabulary(items), Vocabulary(users), Vocabulary(scenarios)))


def test_prefixes_and_further_users_are_accepted():
    known = IdOrder(Vocabulary("ab"), Vocabulary("uv"), Vocabulary("x"))
    known.require_prefix("evaluate", IdOrder(Vocabulary("a"), Vocabulary("uvw"), None))

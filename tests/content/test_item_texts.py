"""Texts of items: one sentence per column."""

import pandas as pd
import pytest

from tfllmrec.content.item_texts import items_to_texts
from tfllmrec.errors import InputError


def test_one_sentence_per_existing_column() -> None:
    items = pd.DataFrame(
        {
            "text": [" A ship. ", "", ""],
            "title": ["Alien (1979)", "花样年华", None],
            "categories": ["Horror|Sci-Fi", None, ""],
        }
    )
    assert items_to_texts(items) == ["Alien (1979). Horror, Sci-Fi. A ship.", "花样年华", ""]
    assert items_to_texts(items, ["text", "director"]) == ["A ship.", "", ""]


@pytest.mark.parametrize("title", ["Mr. & Mrs.", "Oh!", "What?", "And then…", "活着。"])
def test_complete_sentence_gets_no_full_stop(title: str) -> None:
    assert items_to_texts(pd.DataFrame({"title": [title], "year": [1979]})) == [f"{title} 1979"]


@pytest.mark.parametrize("years", [pd.Series([1979.0, None]), pd.Series([1979, pd.NA], dtype="Int64")])
def test_year_is_an_integer_and_may_be_missing(years: pd.Series) -> None:
    assert items_to_texts(pd.DataFrame({"title": ["Alien", "Heat"], "year": years})) == ["Alien. 1979", "Heat"]
    assert items_to_texts(pd.DataFrame({"title": ["Heat"], "stars": [7.5]}), ["title", "stars"]) == ["Heat. 7.5"]


def test_table_without_the_columns_is_refused() -> None:
    with pytest.raises(InputError, match=r"^items: the table has none of the columns plot; it has title, year$"):
        items_to_texts(pd.DataFrame({"title": ["Alien"], "year": [1979]}), ["plot"])

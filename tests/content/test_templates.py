"""Texts of tables: what is written of items and histories, and what leaves no trace."""

import pandas as pd
import pytest

from tfllmrec.content.templates import item_texts
from tfllmrec.errors import InputError


def test_a_sentence_for_every_column_that_is_there() -> None:
    items = pd.DataFrame(
        {
            "text": [" A ship. ", "", ""],
            "title": ["Alien (1979)", "花样年华", None],
            "categories": ["Horror|Sci-Fi", None, ""],
        }
    )
    assert item_texts(items) == ["Alien (1979). Horror, Sci-Fi. A ship.", "花样年华", ""]
    assert item_texts(items, ["text", "director"]) == ["A ship.", "", ""]


@pytest.mark.parametrize("title", ["Mr. & Mrs.", "Oh!", "What?", "And then…", "活着。"])
def test_a_sentence_that_ends_gets_no_second_end(title: str) -> None:
    assert item_texts(pd.DataFrame({"title": [title], "year": [1979]})) == [f"{title} 1979"]


@pytest.mark.parametrize("years", [pd.Series([1979.0, None]), pd.Series([1979, pd.NA], dtype="Int64")])
def test_a_year_is_a_whole_number_and_may_be_missing(years: pd.Series) -> None:
    assert item_texts(pd.DataFrame({"title": ["Alien", "Heat"], "year": years})) == ["Alien. 1979", "Heat"]
    assert item_texts(pd.DataFrame({"title": ["Heat"], "stars": [7.5]}), ["title", "stars"]) == ["Heat. 7.5"]


def test_no_column_to_read() -> None:
    with pytest.raises(
        InputError, match=r"^items: none of the columns plot is there to read; the table has title, year$"
    ):
        item_texts(pd.DataFrame({"title": ["Alien"], "year": [1979]}), ["plot"])

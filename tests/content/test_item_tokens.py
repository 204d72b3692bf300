"""Tokens of items: titles and categories."""

import numpy as np
import pandas as pd
import pytest

from tfllmrec.content.item_tokens import item_tokens, token_matrix, token_vocabulary


@pytest.mark.parametrize(
    ("title", "categories", "tokens"),
    [
        ("Toy Story", "", "toy story"),
        ("Toy Story (1995)", "Comedy", "category:Comedy decade:199 toy story 1995"),
        ("花样年华", "", "花样 样年 年华"),
        ("花样年华 In the Mood for Love (2000)", "", "decade:200 花样 样年 年华 in the mood for love 2000"),
        ("新Matrix重启", "", "新 matrix 重启"),
        ("侠", "剧情|动作", "category:剧情 category:动作 侠"),
        ("Amélie & l'été", "", "amélie l été"),
        ("2001: A Space Odyssey (1968)", "", "decade:196 2001 a space odyssey 1968"),
        ("(500) Days, (3000)", "", "500 days 3000"),  # not years
        ("Again and AGAIN", "Drama|Drama", "category:Drama again and"),
        ("snake_case", "", "snake case"),
        ("", "Sci-Fi| Film Noir ||", "category:Sci-Fi category:Film_Noir"),
        ("", "", ""),
        ("?! ... — 《》_", "|", ""),
    ],
)
def test_item_tokens(title: str, categories: str, tokens: str) -> None:
    assert [token.replace(" ", "_") for token in item_tokens(title, categories)] == tokens.split()


ITEMS = pd.DataFrame({"title": ["red", "red blue", "blue red red", "?"], "categories": ["x", "", "x|y", ""]})


def test_token_matrix() -> None:
    vocabulary = token_vocabulary(ITEMS, min_items=1)
    assert vocabulary.tokens.tolist() == ["", "category:x", "red", "blue", "category:y"]
    matrix = token_matrix(ITEMS, vocabulary)
    assert matrix.dtype == np.float32
    np.testing.assert_array_equal(
        matrix.toarray(), [[0, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [1, 1, 1, 1], [0, 0, 0, 0]]
    )


def test_token_matrix_of_other_items() -> None:
    new = pd.DataFrame({"title": ["green", "Blue RED"], "categories": ["", "z|y"]})
    matrix = token_matrix(new, token_vocabulary(ITEMS, min_items=1))
    np.testing.assert_array_equal(matrix.toarray(), [[0, 0, 0, 0], [0, 0, 0, 0], [0, 1, 1, 1]])


@pytest.mark.parametrize(("min_items", "tokens"), [(1, "category:x a b c"), (2, "category:x a b"), (3, "a"), (4, "")])
def test_rare_tokens_are_excluded(min_items: int, tokens: str) -> None:
    items = pd.DataFrame({"title": ["a", "a b", "a b c", ""], "categories": ["x", "x", "", ""]})
    vocabulary = token_vocabulary(items, min_items=min_items)
    assert vocabulary.tokens.tolist() == ["", *tokens.split()]
    assert token_matrix(items, vocabulary).shape == (5, len(vocabulary))


@pytest.mark.parametrize("titles", [["", "?"], []], ids=["no words", "no items"])
def test_items_without_tokens(titles: list[str]) -> None:
    items = pd.DataFrame({"title": titles})
    matrix = token_matrix(items, token_vocabulary(items, min_items=1))
    assert matrix.shape == (len(titles) + 1, 0)
    assert matrix.nnz == 0


def test_table_without_categories() -> None:
    items = pd.DataFrame({"title": ["a", "a", "a"]})
    assert token_matrix(items, token_vocabulary(items)).toarray().tolist() == [[0], [1], [1], [1]]

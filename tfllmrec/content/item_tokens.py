"""Tokens and labels of items as vocabularies and multi-hot matrices."""

import re
from collections import Counter

import numpy as np
import pandas as pd
import scipy.sparse

from tfllmrec.content.words import character_bigrams
from tfllmrec.data.vocabulary import Vocabulary

MIN_LABEL_ITEMS = 5
"""Items that a category needs to be an interest label."""
_WORD = re.compile(r"[\u3400-\u9fff]+|[^\W_\u3400-\u9fff]+")
_CHINESE = re.compile(r"[\u3400-\u9fff]")
_YEAR = re.compile(r"\(((?:18|19|20)\d)\d\)")


def item_tokens(title: str, categories: str = "") -> list[str]:
    """Return the distinct tokens of an item: categories, decade of the year in the title, words of the title.

    Chinese text is split into overlapping pairs of characters.

    Args:
        title: any text, or "".
        categories: names separated by `|`.

    Example:
        >>> item_tokens("Toy Story (1995)", "Animation|Comedy")
        ['category:Animation', 'category:Comedy', 'decade:199', 'toy', 'story', '1995']
        >>> item_tokens("花样年华")
        ['花样', '样年', '年华']
    """
    tokens = [f"category:{name.strip()}" for name in categories.split("|") if name.strip()]
    tokens += [f"decade:{decade}" for decade in _YEAR.findall(title)]
    for word in _WORD.findall(title.lower()):
        tokens += character_bigrams(word) if _CHINESE.match(word) else [word]
    return list(dict.fromkeys(tokens))


def token_vocabulary(items: pd.DataFrame, *, min_items: int = 3) -> Vocabulary:
    """Return the vocabulary of the tokens of an items table.

    Args:
        items: column title, optionally categories.
        min_items: tokens of fewer items are excluded, because they carry no more information than the item id.
    """
    counts = Counter(token for row in _tokens(items) for token in row)
    return Vocabulary([token for token, count in counts.items() if count >= min_items])


def token_matrix(items: pd.DataFrame, vocabulary: Vocabulary) -> scipy.sparse.csr_array:
    """Return the multi-hot matrix of tokens: float32 [items + 1, tokens]; row 0, the padding, is empty.

    Args:
        items: column title, optionally categories, in the order of the item vocabulary.
        vocabulary: a `token_vocabulary`; other tokens are ignored.
    """
    tokens = _tokens(items)
    indices = vocabulary.lookup([token for row in tokens for token in row])
    is_known = indices > 0
    rows = np.repeat(np.arange(1, len(items) + 1), [len(row) for row in tokens])[is_known]
    cells = (np.ones(len(rows), np.float32), (rows, indices[is_known] - 1))
    return scipy.sparse.csr_array(cells, shape=(len(items) + 1, len(vocabulary)))


def label_vocabulary(items: pd.DataFrame, *, min_items: int = MIN_LABEL_ITEMS) -> Vocabulary:
    """Return the interest labels of an items table in alphabetical order: categories of at least `min_items` items."""
    counts = Counter(label for row in _labels(items) for label in row)
    return Vocabulary(sorted(label for label, count in counts.items() if count >= min_items))


def label_matrix(items: pd.DataFrame, vocabulary: Vocabulary) -> np.ndarray:
    """Return the multi-hot matrix of interest labels: bool [items + 1, labels]; row 0, the padding, is empty.

    Args:
        items: optionally with categories (separated by `|`), in the order of the item vocabulary.
        vocabulary: a `label_vocabulary`; other labels are ignored.
    """
    labels = _labels(items)
    matrix = np.zeros((len(labels) + 1, len(vocabulary) + 1), bool)
    for row, item_labels in enumerate(labels, start=1):
        matrix[row, vocabulary.lookup(list(item_labels))] = True
    return matrix[:, 1:]


def _tokens(items: pd.DataFrame) -> list[list[str]]:
    categories = items["categories"] if "categories" in items else [""] * len(items)
    return [item_tokens(*row) for row in zip(items["title"], categories, strict=True)]


def _labels(items: pd.DataFrame) -> list[set[str]]:
    if "categories" not in items:
        return [set()] * len(items)
    return [{name.strip() for name in text.split("|")} - {""} for text in items["categories"]]

"""Titles and categories as tokens a candidate tower can embed."""

import re
from collections import Counter

import numpy as np
import pandas as pd
import scipy.sparse

from tfllmrec.content.words import pairs
from tfllmrec.data.vocabulary import Vocabulary

_WORD = re.compile(r"[\u3400-\u9fff]+|[^\W_\u3400-\u9fff]+")
_CHINESE = re.compile(r"[\u3400-\u9fff]")
_YEAR = re.compile(r"\(((?:18|19|20)\d)\d\)")


def item_tokens(title: str, categories: str = "") -> list[str]:
    """Distinct tokens of an item: its categories, the decade in its title, the title's words.

    Chinese, which has no spaces, is cut into overlapping pairs of characters.

    Args:
        title: any text, or "".
        categories: names with `|` between.

    Example:
        >>> item_tokens("Toy Story (1995)", "Animation|Comedy")
        ['category:Animation', 'category:Comedy', 'decade:199', 'toy', 'story', '1995']
        >>> item_tokens("花样年华")
        ['花样', '样年', '年华']
    """
    tokens = [f"category:{name.strip()}" for name in categories.split("|") if name.strip()]
    tokens += [f"decade:{decade}" for decade in _YEAR.findall(title)]
    for word in _WORD.findall(title.lower()):
        tokens += pairs(word) if _CHINESE.match(word) else [word]
    return list(dict.fromkeys(tokens))


def token_vocabulary(items: pd.DataFrame, *, min_items: int = 3) -> Vocabulary:
    """The tokens of an item table.

    Args:
        items: title and perhaps categories.
        min_items: tokens of fewer items tell items apart no better than the item ids do, and are left out.
    """
    counts = Counter(token for row in _tokens(items) for token in row)
    return Vocabulary([token for token, count in counts.items() if count >= min_items])


def token_matrix(items: pd.DataFrame, vocabulary: Vocabulary) -> scipy.sparse.csr_array:
    """Which item has which token: float32 [items + 1, tokens], 1 or 0; row 0, the padding's, is empty.

    Args:
        items: title and perhaps categories, in the order of the item vocabulary.
        vocabulary: a `token_vocabulary`; tokens that it lacks are left out.
    """
    tokens = _tokens(items)
    found = vocabulary.lookup([token for row in tokens for token in row])
    rows = np.repeat(np.arange(1, len(items) + 1), [len(row) for row in tokens])[found > 0]
    cells = (np.ones(len(rows), np.float32), (rows, found[found > 0] - 1))
    return scipy.sparse.csr_array(cells, shape=(len(items) + 1, len(vocabulary)))


def _tokens(items: pd.DataFrame) -> list[list[str]]:
    categories = items["categories"] if "categories" in items else [""] * len(items)
    return [item_tokens(*pair) for pair in zip(items["title"], categories, strict=True)]

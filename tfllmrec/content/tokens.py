"""Titles and categories as tokens a candidate tower can embed."""

import re
from collections import Counter

import numpy as np
import pandas as pd

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
        tokens += _pairs(word) if _CHINESE.match(word) else [word]
    return list(dict.fromkeys(tokens))


def token_table(items: pd.DataFrame, *, width: int = 16, min_items: int = 3) -> np.ndarray:
    """Every item's tokens as indices: int32 [items + 1, width], zeros on the right; row 0 is the padding's.

    Args:
        items: title and perhaps categories, in the order of the item vocabulary.
        width: tokens kept of an item, the first ones.
        min_items: tokens of fewer items tell the items apart no better than the item id does, and are left out.
    """
    categories = items["categories"] if "categories" in items else [""] * len(items)
    tokens = [item_tokens(*pair) for pair in zip(items["title"], categories, strict=True)]
    counts = Counter(token for row in tokens for token in row)
    index = {token: place for place, (token, count) in enumerate(counts.most_common(), start=1) if count >= min_items}
    table = np.zeros((len(items) + 1, width), dtype=np.int32)
    for row, names in enumerate(tokens, start=1):
        known = [index[name] for name in names if name in index][:width]
        table[row, : len(known)] = known
    return table


def _pairs(characters: str) -> list[str]:
    """Overlapping pairs of neighbours; a single character stays as it is."""
    return [characters[place : place + 2] for place in range(max(len(characters) - 1, 1))]

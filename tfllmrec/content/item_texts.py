"""Items as texts: one text per item from the columns of the items table."""

from collections.abc import Sequence

import pandas as pd

from tfllmrec.data.categories import SEPARATOR, read_labels
from tfllmrec.errors import InputError

ITEM_SEPARATOR = "; "
"""Text after every item of a history that a cross-encoder reads."""
_SENTENCE_ENDS = (".", "!", "?", "…", "。", "！", "？")


def items_to_texts(items: pd.DataFrame, columns: Sequence[str] = ("title", "year", "categories", "text")) -> list[str]:
    """Return one text per item with a sentence for each column that the table has.

    Args:
        items: an items table.
        columns: columns with text, numbers, or names (lists, or separated by `|`); empty and missing cells are skipped.

    Raises:
        InputError: If the table has none of the columns.

    Example:
        >>> items_to_texts(pd.DataFrame({"title": ["Alien"], "year": [1979], "categories": ["Horror|Sci-Fi"]}))
        ['Alien. 1979. Horror, Sci-Fi']
    """
    available = [column for column in columns if column in items]
    if not available:
        existing = ", ".join(map(str, items.columns))
        raise InputError(f"items: the table has none of the columns {', '.join(columns)}; it has {existing}")
    cells = [_cells(items[column]) for column in available]
    return [_join_sentences([cell for cell in row if cell]) for row in zip(*cells, strict=True)]


def _join_sentences(cells: Sequence[str]) -> str:
    ended = [cell if cell.endswith(_SENTENCE_ENDS) else f"{cell}." for cell in cells[:-1]]
    return " ".join([*ended, *cells[-1:]])


def _cells(column: pd.Series) -> pd.Series:
    texts = read_labels(column, f"items: column {column.name}")
    return texts.str.replace(SEPARATOR, ", ", regex=False).str.strip()

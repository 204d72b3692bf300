"""How tables become texts: what is written of an item, and of a history."""

from collections.abc import Sequence

import pandas as pd

from tfllmrec.errors import InputError

BETWEEN_ITEMS = "; "
"""What stands after every item of a history that a cross-encoder reads."""
_ENDS = (".", "!", "?", "…", "。", "！", "？")


def item_texts(items: pd.DataFrame, columns: Sequence[str] = ("title", "year", "categories", "text")) -> list[str]:
    """What is written of every item, as one text: the columns that are there, a sentence each.

    Args:
        items: an item table.
        columns: with text, with names and `|` between, or with numbers; an empty or missing cell leaves no trace.

    Raises:
        InputError: the table has none of the columns.

    Example:
        >>> item_texts(pd.DataFrame({"title": ["Alien"], "year": [1979], "categories": ["Horror|Sci-Fi"]}))
        ['Alien. 1979. Horror, Sci-Fi']
    """
    there = [column for column in columns if column in items]
    if not there:
        raise InputError(
            f"items: none of the columns {', '.join(columns)} is there to read; the table has "
            f"{', '.join(map(str, items.columns))}"
        )
    cells = [items[column].astype(object).where(items[column].notna(), "").map(_cell) for column in there]
    return [_sentences([cell for cell in row if cell]) for row in zip(*cells, strict=True)]


def _sentences(cells: Sequence[str]) -> str:
    ended = [cell if cell.endswith(_ENDS) else f"{cell}." for cell in cells[:-1]]
    return " ".join([*ended, *cells[-1:]])


def _cell(value: object) -> str:
    if isinstance(value, float) and value.is_integer():  # a column of years where some are missing
        value = int(value)
    return str(value).replace("|", ", ").strip()

"""Items as sentences for Word2Vec: the names and words of their columns."""

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple, Self

import pandas as pd
from tqdm import tqdm

from tfllmrec.content.phrases import join_phrases
from tfllmrec.content.words import Language, split_names, split_words
from tfllmrec.errors import InputError


class ItemWords(NamedTuple):
    """Names and words of items, by column and row.

    Attributes:
        names: one list of names per row, for every column of names.
        texts: one list of words per row, for every column of text.
    """

    names: list[list[list[str]]]
    texts: list[list[list[str]]]

    @classmethod
    def from_table(
        cls,
        items: pd.DataFrame,
        *,
        columns: Sequence[str],
        names: Sequence[str],
        language: Language,
        progress: bool = False,
    ) -> Self:
        """Split the cells of an items table; columns that it lacks are skipped.

        Args:
            items: an items table.
            columns: columns of text.
            names: columns of names, separated by `|`.
            language: see `tfllmrec.content.words.split_words`.
            progress: whether to show a progress bar per column of text.

        Raises:
            InputError: If the table has none of the columns.
        """
        by_column = [[split_names(cell) for cell in cell_texts(items[column])] for column in names if column in items]
        texts = []
        for column in columns:
            if column in items:
                cells = tqdm(cell_texts(items[column]), desc=column, unit="text", disable=not progress)
                texts.append([split_words(cell, language) for cell in cells])
        if not by_column and not texts:
            expected, existing = ", ".join((*columns, *names)), ", ".join(map(str, items.columns))
            raise InputError(f"items: the table has none of the columns {expected}; it has {existing}")
        return cls(by_column, texts)

    def sentences(self, phrases: Sequence[str]) -> list[list[str]]:
        """Return one sentence per item, with phrases joined in the texts.

        Names come first, so that the words of the title are in their window.
        """
        texts = [join_phrases(column, phrases) for column in self.texts] if phrases else self.texts
        return [list(chain.from_iterable(row)) for row in zip(*self.names, *texts, strict=True)]


def cell_texts(column: pd.Series) -> list[str]:
    """Return the cells of a column as strings, "" for missing ones."""
    return [str(cell) for cell in column.astype(object).where(column.notna(), "")]

"""Results of requests: lists of rows, or arrays, that can also be read as columns of a table."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

Item = TypeVar("Item")
Columns = dict[str, list[Any]]
"""A table by column, for example for `pandas.DataFrame`."""
RowColumns = Mapping[str, Sequence[str]]


class ScoredItem(NamedTuple):
    """An item of a result.

    Attributes:
        item_id: the id of the item.
        title: its title; the id if it has none.
        score: its score, comparable within one row.
    """

    item_id: str
    title: str
    score: float


class ScoredLabel(NamedTuple):
    """A label of a result.

    Attributes:
        label: the label.
        score: its probability.
    """

    label: str
    score: float


class _Rows(list[list[Item]], Generic[Item]):
    """A list with one list of results per row of the request.

    Args:
        rows: the results of every row.
        fields: the names of the columns after "rank".
        row_columns: columns that identify the rows of the request, one value per row.
    """

    def __init__(self, rows: Iterable[list[Item]], fields: Sequence[str], row_columns: RowColumns) -> None:
        super().__init__(rows)
        self._fields, self._row_columns = fields, row_columns

    def columns(self) -> Columns:
        """Return the results as columns of equal length, one entry per result, for `pandas.DataFrame`."""
        columns: Columns = {name: [] for name in ("row", *self._row_columns, "rank", *self._fields)}
        for row, results in enumerate(self):
            keys = [values[row] for values in self._row_columns.values()]
            for result in self._ranked(row, results):
                for column, value in zip(columns.values(), (row, *keys, *result), strict=True):
                    column.append(value)
        return columns

    def _ranked(self, row: int, results: list[Any]) -> Iterator[tuple[Any, ...]]:
        """Yield the rank and the fields of every result of a row."""
        return ((rank, *result) for rank, result in enumerate(results, 1))


class ScoredItems(_Rows[ScoredItem]):
    """Items per row of a request, best first: a list of lists of `ScoredItem`.

    `columns()` has row (position in the request, from 0), the id in the request (user_id of `recommend`, query_item_id
    of `similar_items`), rank (from 1), item_id, title and score.

    Args:
        rows: the items of every row.
        row_columns: columns that identify the rows of the request, one value per row.
    """

    def __init__(self, rows: Iterable[list[ScoredItem]], row_columns: RowColumns) -> None:
        super().__init__(rows, ScoredItem._fields, row_columns)


class ScoredLabels(_Rows[ScoredLabel]):
    """Labels per row of a request, the most probable first: a list of lists of `ScoredLabel`.

    `columns()` has row (position in the request, from 0), user_id, rank (from 1), label and score.

    Args:
        rows: the labels of every row.
        row_columns: columns that identify the rows of the request, one value per row.
    """

    def __init__(self, rows: Iterable[list[ScoredLabel]], row_columns: RowColumns) -> None:
        super().__init__(rows, ScoredLabel._fields, row_columns)


class CandidateScores(_Rows[float]):
    """Scores per row of a request, in the order of its candidates: a list of lists of float.

    `columns()` has row (position in the request, from 0), user_id for `rank`, rank (from 1, the highest score first;
    equal scores in the order of the candidates), item_id for `rank` or text for `rank_texts`, and score.

    Args:
        rows: the scores of every row.
        candidates: the candidates of every row.
        candidate_column: the name of their column.
        row_columns: columns that identify the rows of the request, one value per row.
    """

    def __init__(
        self,
        rows: Iterable[list[float]],
        candidates: Sequence[Sequence[str]],
        candidate_column: str,
        row_columns: RowColumns,
    ) -> None:
        super().__init__(rows, (candidate_column, "score"), row_columns)
        self._candidates = candidates

    def _ranked(self, row: int, results: list[float]) -> Iterator[tuple[Any, ...]]:
        best_first = sorted(range(len(results)), key=lambda position: -results[position])
        ranks = {position: rank for rank, position in enumerate(best_first, 1)}
        for position, (candidate, score) in enumerate(zip(self._candidates[row], results, strict=True)):
            yield ranks[position], candidate, score


class QueryEmbeddings(NamedTuple):
    """Query vectors, one per row of a request.

    Attributes:
        user_ids: the user ids of the request; "" where they are omitted.
        embeddings: float32 [B, D].
    """

    user_ids: list[str]
    embeddings: np.ndarray

    def columns(self) -> Columns:
        """Return the columns row (position in the request, from 0), user_id and embedding, for `pandas.DataFrame`."""
        rows = list(range(len(self.user_ids)))
        return {"row": rows, "user_id": list(self.user_ids), "embedding": list(self.embeddings)}


class ItemEmbeddings(NamedTuple):
    """Item vectors, one per row of a request; zeros for unknown items.

    Attributes:
        item_ids: the item ids of the request.
        embeddings: float32 [B, D].
        biases: float32 [B], for models that have them: a score is query . item + bias.
    """

    item_ids: list[str]
    embeddings: np.ndarray
    biases: np.ndarray | None = None

    def columns(self) -> Columns:
        """Return the columns row (position in the request, from 0), item_id, embedding and, if there are any, bias."""
        rows = list(range(len(self.item_ids)))
        columns: Columns = {"row": rows, "item_id": list(self.item_ids), "embedding": list(self.embeddings)}
        return columns if self.biases is None else columns | {"bias": self.biases.tolist()}

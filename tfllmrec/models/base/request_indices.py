"""Requests as indices: users, histories, candidates and scenarios of string ids, looked up in the fitted data."""

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple, TypeVar

import numpy as np

from tfllmrec.data.histories import Histories
from tfllmrec.errors import InputError
from tfllmrec.models.base.fitted_data import FittedData
from tfllmrec_client.requests import RankRequest, RecommendRequest

Request = TypeVar("Request", RecommendRequest, RankRequest)


class RequestHistories(NamedTuple):
    """Histories of a request.

    Attributes:
        given: the known items of the request.
        stored: the stored histories of the users.
        read: the items that the model reads: the given ones, or the stored ones where none are given.
    """

    given: Histories
    stored: Histories
    read: Histories


class RequestIndices:
    """Looks up the ids of requests.

    Args:
        family: the family name, for messages.
        fitted_data: the known ids, and the stored histories.
    """

    def __init__(self, family: str, fitted_data: FittedData) -> None:
        self._family, self._data = family, fitted_data

    def histories(
        self, users: Sequence[str], histories: Sequence[Sequence[str]]
    ) -> tuple[np.ndarray, RequestHistories]:
        """Look up the users, int32 [B], and the histories of a request."""
        indices = self._data.users.lookup(users)
        given, stored = self.known_items(histories), self._data.histories.take(indices)
        return indices, RequestHistories(given, stored, Histories.where(given.lengths > 0, given, stored))

    def items(self, rows: Sequence[Sequence[str]]) -> Histories:
        """Look up the items of every row; 0 for unknown ones."""
        indices = self._data.items.lookup(chain.from_iterable(rows))
        return Histories.from_lengths(indices, np.array([len(row) for row in rows], np.int64))

    def known_items(self, rows: Sequence[Sequence[str]]) -> Histories:
        """Look up the known items of every row."""
        return self.items(rows).without_padding()

    def scenarios(self, call: str, names: Sequence[str]) -> np.ndarray | None:
        """Look up the scenarios of a request, int32 [B]; None for a model that does not read any."""
        known = self._data.scenarios
        if known is None:
            if any(names):
                raise InputError(f"{call}: this {self._family} does not read scenarios; leave them out")
            return None
        indices = known.lookup(names)
        if not indices.all():
            unknown, available = names[int(np.argmin(indices))], ", ".join(known.tokens[1:])
            raise InputError(f"{call}: unknown scenario {unknown!r}; name one in every row, of {available}")
        return indices


def rows_of(request: Request, rows: slice) -> Request:
    """Return some rows of a request."""
    columns: list[Any] = [column[rows] for column in request]
    return type(request)(*columns)

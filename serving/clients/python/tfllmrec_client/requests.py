"""What `recommend` and `rank` were asked, brought to one list of rows."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from tfllmrec_client.errors import InputError


class RecommendRequest(NamedTuple):
    """As many users as histories, exclusions, features, scenarios and texts; "" and [] stand for what was not given."""

    users: list[str]
    histories: list[Sequence[str]]
    excluded: list[Sequence[str]]
    features: list[Sequence[str]]
    scenarios: list[str]
    texts: list[Sequence[str]]


class RankRequest(NamedTuple):
    """As many users as histories, candidates and scenarios; "" and [] stand for what was not given."""

    users: list[str]
    histories: list[Sequence[str]]
    candidates: list[Sequence[str]]
    scenarios: list[str]


def recommend_request(
    users: Sequence[str] | None,
    histories: Sequence[Sequence[str]] | None,
    exclude: Sequence[Sequence[str]] | None,
    user_features: Sequence[Sequence[str]] | None = None,
    scenarios: Sequence[str] | None = None,
    *,
    texts: Sequence[Sequence[str]] | None = None,
    call: str = "recommend",
) -> RecommendRequest:
    """Fill in what was not given to `recommend`, or to another call with such questions.

    Raises:
        InputError: neither users nor histories nor features nor texts, rows that do not match, a string for a
            sequence, an id or a text that is no string.
    """
    if users is None and histories is None and user_features is None and texts is None:
        raise InputError(f"{call}: give users, histories, or both")
    asked: dict[str, Any] = {"users": users, "histories": histories, "exclude": exclude}
    asked |= {"user_features": user_features, "scenarios": scenarios, "texts": texts}
    return RecommendRequest(*_filled(call, asked))


def rank_request(
    candidates: Sequence[Sequence[str]],
    users: Sequence[str] | None = None,
    histories: Sequence[Sequence[str]] | None = None,
    scenarios: Sequence[str] | None = None,
) -> RankRequest:
    """Fill in what was not given to `rank`.

    Raises:
        InputError: neither users nor histories, rows that do not match, a string for a sequence, an id or a text that
            is no string.
    """
    if users is None and histories is None:
        raise InputError("rank: give users, histories, or both")
    asked: dict[str, Any] = {"users": users, "histories": histories, "candidates": candidates, "scenarios": scenarios}
    return RankRequest(*_filled("rank", asked))


def _filled(call: str, asked: Mapping[str, Sequence[Any] | None]) -> list[list[Any]]:
    """Every part with as many rows, checked; "" and () for what was not given."""
    given = {name: _rows(call, name, rows) for name, rows in asked.items() if rows is not None}
    counts = {name: len(rows) for name, rows in given.items()}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{count} {name}" for name, count in counts.items())
        raise InputError(f"{call}: the rows do not match ({told})")
    count = next(iter(counts.values()))
    return [given.get(name, [_NOTHING.get(name, ())] * count) for name in asked]


_NOTHING: dict[str, Any] = {"users": "", "scenarios": ""}


def _rows(call: str, name: str, rows: Sequence[Any]) -> list[Any]:
    of_ids = name in _NOTHING  # one a row
    if isinstance(rows, str) or (not of_ids and any(isinstance(row, str) for row in rows)):
        raise InputError(f"{call}: {name} is a sequence with one entry a row, not a single string")
    if not of_ids and any(isinstance(row, Mapping) for row in rows):
        raise InputError(f"{call}: {name} has a dictionary; write a row as texts, ['gender=F', 'age=25'] say")
    for one in rows if of_ids else chain.from_iterable(rows):
        if not isinstance(one, str):
            raise InputError(f"{call}: {name} has {one!r}, which is no string: ids are strings everywhere")
    return list(rows)

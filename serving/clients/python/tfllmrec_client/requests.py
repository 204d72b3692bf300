"""Checked requests: arguments of `recommend`, `rank` and other calls, with as many rows in each."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from tfllmrec_client.errors import InputError
from tfllmrec_client.lists import elements_of, in_one_line, is_table


class RecommendRequest(NamedTuple):
    """Arguments of `recommend` or `interests`, one entry per row.

    Attributes:
        users: user ids; "" where they are omitted.
        histories: item ids, oldest first; empty where they are omitted.
        excluded: ids of items that are not returned; empty where they are omitted.
        features: user features; empty where they are omitted.
        scenarios: names of scenarios; "" where they are omitted.
        texts: texts that users wrote; empty where they are omitted.
    """

    users: list[str]
    histories: list[Sequence[str]]
    excluded: list[Sequence[str]]
    features: list[Sequence[str]]
    scenarios: list[str]
    texts: list[Sequence[str]]


class RankRequest(NamedTuple):
    """Arguments of `rank` or `rank_texts`, one entry per row.

    Attributes:
        users: user ids; "" where they are omitted.
        histories: item ids or texts, oldest first; empty where they are omitted.
        candidates: item ids or texts to score.
        scenarios: names of scenarios; "" where they are omitted.
    """

    users: list[str]
    histories: list[Sequence[str]]
    candidates: list[Sequence[str]]
    scenarios: list[str]


class ItemRequest(NamedTuple):
    """Arguments of `similar_items` or `embed_items`, one entry per row.

    Attributes:
        items: item ids.
        excluded: ids of items that are not returned; empty where they are omitted.
    """

    items: list[str]
    excluded: list[Sequence[str]]


def recommend_request(
    users: Iterable[str] | None,
    histories: Iterable[Iterable[str]] | None,
    exclude: Iterable[Iterable[str]] | None = None,
    user_features: Iterable[Iterable[str]] | None = None,
    scenarios: Iterable[str] | None = None,
    *,
    texts: Iterable[Iterable[str]] | None = None,
    call: str = "recommend",
) -> RecommendRequest:
    """Check the arguments of `recommend`, or of a call with the same ones, and fill in those that are omitted.

    Raises:
        InputError: If users, histories, features and texts are all omitted, the numbers of rows differ, a string
            or a table takes the place of a list, or an id or text is not a string.
    """
    if users is None and histories is None and user_features is None and texts is None:
        raise InputError(f"{call}: give users, histories, or both")
    arguments = {"users": users, "histories": histories, "exclude": exclude}
    arguments |= {"user_features": user_features, "scenarios": scenarios, "texts": texts}
    return RecommendRequest(*_filled(call, arguments))


def rank_request(
    candidates: Iterable[Iterable[str]],
    users: Iterable[str] | None = None,
    histories: Iterable[Iterable[str]] | None = None,
    scenarios: Iterable[str] | None = None,
    *,
    call: str = "rank",
) -> RankRequest:
    """Check the arguments of `rank`, or of a call with the same ones, and fill in those that are omitted.

    Raises:
        InputError: If users and histories are both omitted, the numbers of rows differ, a string takes the place of a
            list, or an id or text is not a string.
    """
    if users is None and histories is None:
        raise InputError(f"{call}: give users, histories, or both")
    arguments = {"users": users, "histories": histories, "candidates": candidates, "scenarios": scenarios}
    return RankRequest(*_filled(call, arguments))


def item_request(items: Iterable[str], exclude: Iterable[Iterable[str]] | None = None, *, call: str) -> ItemRequest:
    """Check the arguments of a call about items, and fill in exclusions that are omitted.

    Raises:
        InputError: If the numbers of rows differ, a string takes the place of a list, or an id is not a string.
    """
    return ItemRequest(*_filled(call, {"items": items, "exclude": exclude}))


_NEUTRAL = {"users": "", "items": "", "scenarios": ""}
"""The arguments with one string per row, and their neutral value; the others have a list of strings per row."""
_REQUIRED = {"items", "candidates"}


def _filled(call: str, arguments: Mapping[str, Iterable[Any] | None]) -> list[list[Any]]:
    """Return every argument with the same number of rows, "" or () in the rows of omitted ones."""
    provided = {
        name: _rows(call, name, rows) for name, rows in arguments.items() if rows is not None or name in _REQUIRED
    }
    counts = {name: len(rows) for name, rows in provided.items()}
    if len(set(counts.values())) > 1:
        numbers = ", ".join(f"{count} {name}" for name, count in counts.items())
        raise InputError(f"{call}: the rows do not match ({numbers})")
    count = next(iter(counts.values()))
    return [provided.get(name, [_NEUTRAL.get(name, ())] * count) for name in arguments]


def _rows(call: str, name: str, argument: Any) -> list[Any]:
    """Read an argument once, each row before the next, because rows may be iterators over shared data."""
    if is_table(argument):
        raise InputError(f"{call}: {name} is a table; pass one of its columns, such as table['user_id']")
    rows = elements_of(argument)
    if rows is None:
        raise InputError(f"{call}: {name} must be a list with one entry per row, not {in_one_line(argument)}")
    return _strings(call, name, rows) if name in _NEUTRAL else [_row(call, name, row) for row in rows]


def _row(call: str, name: str, row: Any) -> list[str]:
    if isinstance(row, Mapping):
        raise InputError(f"{call}: {name} has a dictionary; write the row as strings, such as ['gender=F', 'age=25']")
    is_set = name == "exclude" and isinstance(row, set | frozenset)  # elsewhere the order has a meaning
    values = row if is_set else elements_of(row)
    if values is None:
        raise InputError(f"{call}: {name} must have a list of strings per row, not {in_one_line(row)}")
    return _strings(call, name, values)


def _strings(call: str, name: str, values: Iterable[Any]) -> list[str]:
    strings = list(values)
    for value in strings:
        if not isinstance(value, str):
            shown = in_one_line(value)
            raise InputError(f"{call}: {name} has {shown}, which is not a string; ids and texts must be strings")
    return strings

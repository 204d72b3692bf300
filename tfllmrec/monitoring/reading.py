"""The files of served lists."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from pydantic import ValidationError

from tfllmrec.errors import InputError
from tfllmrec.serving.recommendation_log import ServedList


class Served(NamedTuple):
    """What was served.

    Attributes:
        lists: one row a list, in the order of time, with the columns of `ServedList`.
        cut_short: lines that a server could not finish, for it was killed or the disk was full; they are left out.
    """

    lists: pd.DataFrame
    cut_short: int


def read_served(paths: Iterable[str | Path]) -> Served:
    """The lists of one or more files that `tfllmrec.serving.recommendation_log.ServedLists` wrote.

    A line that was cut short is the last one and has no end, or an empty line follows it.

    Raises:
        InputError: a file cannot be read, another line is no served list, or there is no list at all.

    Example:
        >>> read_served(["served.jsonl.1", "served.jsonl"]).lists["item_ids"]
    """
    found: list[ServedList] = []
    cut_short = 0
    files = [Path(path) for path in paths]
    for path in files:
        try:
            lists, cut = _read(path)
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}") from error
        found += lists
        cut_short += cut
    if not found:
        raise InputError(f"there are no served lists in {', '.join(map(str, files))}")
    table = pd.DataFrame([dict(one) for one in found], columns=list(ServedList.model_fields))
    return Served(table.sort_values("time", kind="stable", ignore_index=True), cut_short)


def _read(path: Path) -> tuple[list[ServedList], int]:
    lists: list[ServedList] = []
    cut_short, broken, line = 0, None, b"\n"
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line != b"\n":
                if broken:
                    break
                try:
                    lists.append(ServedList.model_validate_json(line))
                except ValidationError as error:
                    broken = _no_list(path, number, error)
            elif broken:
                cut_short, broken = cut_short + 1, None
    if broken and line.endswith(b"\n"):
        raise broken
    return lists, cut_short + bool(broken)


def _no_list(path: Path, number: int, error: ValidationError) -> InputError:
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    return InputError(f"{path}, line {number} is no served list: {place and f'{place}: '}{first['msg']}")

"""Reader of the recommendation log that the model server writes."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from pydantic import ValidationError

from tfllmrec.errors import InputError
from tfllmrec.monitoring.impression import Impression


class Impressions(NamedTuple):
    """Logged impressions. An impression is one list of recommended items that was served.

    Attributes:
        table: one row per impression, ordered by time, with the columns of
            `tfllmrec.monitoring.impression.Impression`.
        truncated_lines: number of lines that the server did not finish because it was killed or the disk was full.
            They are left out.
    """

    table: pd.DataFrame
    truncated_lines: int


def read_recommendation_log(paths: Iterable[str | Path]) -> Impressions:
    """Read one or more files of `tfllmrec.monitoring.recommendation_log.RecommendationLog`.

    A truncated line is accepted where a killed server can leave one: at the end of a file without a newline, or
    followed by an empty line.

    Args:
        paths: files in any order.

    Raises:
        InputError: If a file cannot be read, if any other line is invalid, or if the files have no impressions.

    Example:
        >>> read_recommendation_log(["served.jsonl.1", "served.jsonl"]).table["item_ids"]
    """
    impressions: list[Impression] = []
    truncated_lines = 0
    files = [Path(path) for path in paths]
    for path in files:
        try:
            file_impressions, file_truncated_lines = _read_file(path)
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}") from error
        impressions += file_impressions
        truncated_lines += file_truncated_lines
    if not impressions:
        raise InputError(f"the recommendation log has no impressions: {', '.join(map(str, files))}")
    table = pd.DataFrame([dict(impression) for impression in impressions], columns=list(Impression.model_fields))
    return Impressions(table.sort_values("time", kind="stable", ignore_index=True), truncated_lines)


def _read_file(path: Path) -> tuple[list[Impression], int]:
    impressions: list[Impression] = []
    truncated_lines, pending_error, line = 0, None, b"\n"
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line != b"\n":
                if pending_error:
                    break
                try:
                    impressions.append(Impression.model_validate_json(line))
                except ValidationError as error:
                    pending_error = _line_error(path, number, error)
            elif pending_error:
                truncated_lines, pending_error = truncated_lines + 1, None
    if pending_error and line.endswith(b"\n"):
        raise pending_error
    return impressions, truncated_lines + bool(pending_error)


def _line_error(path: Path, number: int, error: ValidationError) -> InputError:
    first = error.errors()[0]
    field = ".".join(map(str, first["loc"]))
    return InputError(f"{path}, line {number} is not a valid impression: {field and f'{field}: '}{first['msg']}")

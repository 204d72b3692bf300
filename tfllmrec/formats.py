"""Format numbers of the folders and files that this package writes and reads."""

from pathlib import Path
from typing import Any

from tfllmrec.errors import InputError


def require_format(path: str | Path, number: Any, known: int, remedy: str) -> None:
    """Check that a folder or file has the format that this version of tfllmrec reads.

    Args:
        path: the folder or file, for the message.
        number: its format number.
        known: the number that this version reads.
        remedy: what to do about another number, such as "fit it again".

    Raises:
        InputError: If the numbers differ.
    """
    if number != known:
        is_newer = isinstance(number, int) and number > known
        action = f"upgrade tfllmrec, or {remedy}" if is_newer else remedy
        raise InputError(f"{path} has format {number}; this version of tfllmrec reads format {known}: {action}")

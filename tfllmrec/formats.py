"""Format numbers in the descriptions of folders that this package writes and reads."""

from pathlib import Path
from typing import Any

from tfllmrec.errors import InputError


def require_format(folder: str | Path, number: Any, known: int, remedy: str) -> None:
    """Check that a folder has the format that this version of tfllmrec reads.

    Args:
        folder: the folder, for the message.
        number: the number in the folder's description.
        known: the number that this version reads.
        remedy: what writes the folder again, such as "fit it again".

    Raises:
        InputError: If the numbers differ.
    """
    if number != known:
        is_newer = isinstance(number, int) and number > known
        action = f"upgrade tfllmrec, or {remedy}" if is_newer else remedy
        raise InputError(f"{folder} has format {number}; this version of tfllmrec reads format {known}: {action}")

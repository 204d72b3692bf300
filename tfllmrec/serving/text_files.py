"""Configuration files of a model server: protobuf messages as text."""

from pathlib import Path
from typing import Any

from google.protobuf import text_format

from tfllmrec.errors import InputError


def read_message(path: Path, message: Any, what: str) -> Any:
    """A message of a class, read from a file.

    Args:
        path: the file.
        message: the class.
        what: what the file should hold, for the error.

    Raises:
        InputError: no such file, or no such text.
    """
    try:
        return text_format.Parse(path.read_text(encoding="utf-8"), message())
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise InputError(f"{path} holds no {what}: {error}") from error

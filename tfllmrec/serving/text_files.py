"""Configuration files of the model server: protobuf messages in text format."""

from pathlib import Path
from typing import Any

from google.protobuf import text_format

from tfllmrec.errors import InputError


def read_message(path: Path, message_class: Any) -> Any:
    """Read a message of a protobuf class from a file in text format.

    Raises:
        InputError: If the file cannot be read or parsed.
    """
    try:
        return text_format.Parse(path.read_text(encoding="utf-8"), message_class())
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise InputError(f"{path} cannot be read as a text-format {message_class.DESCRIPTOR.name}: {error}") from error

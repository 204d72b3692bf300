"""Checks of single arguments, most of them shared with the client."""

import os
from pathlib import Path
from typing import Any

from tfllmrec_client.arguments import positive_integer, require_type

__all__ = ["path_of", "positive_integer", "require_type"]


def path_of(call: str, name: str, value: Any) -> Path:
    """Return a path, which may be a string.

    Raises:
        InputError: If the value is neither.
    """
    require_type(call, name, value, (str, os.PathLike), "pass a path as a string or a pathlib.Path")
    return Path(value)

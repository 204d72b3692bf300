"""The description beside a saved recommender, and one clear error for whatever is damaged."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tfllmrec.errors import InputError

_FORMAT = 1
_DESCRIPTION = "recommender.json"


def write_description(folder: Path, family: str, config: Mapping[str, Any]) -> None:
    """Write `recommender.json`: format, family, config."""
    text = json.dumps({"format": _FORMAT, "family": family, "config": config}, indent=2)
    (folder / _DESCRIPTION).write_text(text + "\n", encoding="utf-8")


def read_description(folder: Path) -> tuple[str, dict[str, Any]]:
    """The family and the configuration's values of a saved recommender.

    Raises:
        InputError: `recommender.json` is missing, damaged, or of another format.
    """
    with reading(folder / _DESCRIPTION) as path:
        description = json.loads(path.read_text(encoding="utf-8"))
        found, family, config = (description[name] for name in ("format", "family", "config"))
        if not isinstance(family, str) or not isinstance(config, dict):
            raise TypeError("the family is a name and the config an object")
    if found != _FORMAT:
        raise InputError(f"{folder} has format {found}; this version of tfllmrec reads format {_FORMAT}")
    return family, config


@contextmanager
def reading(path: Path) -> Iterator[Path]:
    """Whatever goes wrong with a file of a saved recommender is an InputError that names it."""
    try:
        yield path
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path.parent} holds no saved recommender: {path.name} is missing or damaged") from error

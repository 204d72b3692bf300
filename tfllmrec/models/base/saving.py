"""The description in the folder of a saved recommender, and the error for missing or damaged files."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tfllmrec.errors import InputError
from tfllmrec.formats import require_format

_FORMAT = 2
_DESCRIPTION = "recommender.json"


def write_description(folder: Path, family: str, config: Mapping[str, Any], sources: Mapping[str, str]) -> None:
    """Write `recommender.json`: format, family, configuration and the sources of its values."""
    content = {"format": _FORMAT, "family": family, "config": config, "sources": sources}
    (folder / _DESCRIPTION).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_description(folder: Path) -> tuple[str, dict[str, Any], dict[str, str]]:
    """Read the family, the configuration and the sources of a saved recommender.

    Raises:
        InputError: If `recommender.json` is missing, damaged or of another format.
    """
    with reading(folder / _DESCRIPTION) as path:
        content = json.loads(path.read_text(encoding="utf-8"))
        number = content["format"]
    require_format(folder, number, _FORMAT, "fit it again")
    with reading(folder / _DESCRIPTION):
        family, config, sources = (content[name] for name in ("family", "config", "sources"))
        if not isinstance(family, str) or not isinstance(config, dict) or not isinstance(sources, dict):
            raise TypeError("the family is a name, the configuration and the sources are objects")
    return family, config, sources


@contextmanager
def reading(path: Path) -> Iterator[Path]:
    """Turn any error of reading a file of a saved recommender into an InputError that names it."""
    try:
        yield path
    except InputError:  # it names another file already
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path.parent} holds no saved recommender: {path.name} is missing or damaged") from error

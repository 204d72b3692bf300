"""The format number of an export, for the readers in this package; servers load any SavedModel."""

import json
from pathlib import Path

from tfllmrec.errors import InputError
from tfllmrec.formats import require_format

FORMAT_FILE = Path("assets.extra") / "export.json"
"""The file in a version's folder."""
_FORMAT = 1
"""Checkpoint keys, signatures, warm-up requests and checksums as this version reads them. Exports without the file were
written before it existed, and have format 1 as well."""


def write_format(version: Path) -> None:
    """Write the format number of a version."""
    (version / FORMAT_FILE).write_text(json.dumps({"format": _FORMAT}) + "\n", encoding="utf-8")


def check_format(version: Path) -> None:
    """Check that this version of tfllmrec reads the format of an export.

    Raises:
        InputError: If the format is another, or the file with its number is damaged.
    """
    path = version / FORMAT_FILE
    if not path.exists():
        return
    try:
        number = json.loads(path.read_text(encoding="utf-8"))["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{version}: {FORMAT_FILE} is damaged: copy or export the version again") from error
    require_format(version, number, _FORMAT, "export it again")

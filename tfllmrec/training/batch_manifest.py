"""Manifest of batch recommendations: the parts of a folder, and the run and options that they belong to."""

import json
from dataclasses import asdict, dataclass, replace
from itertools import takewhile
from pathlib import Path

from tfllmrec.errors import InputError
from tfllmrec.files import atomic_file, file_digest
from tfllmrec.formats import require_format

MANIFEST = "_manifest.json"
"""Name of the manifest; readers of Parquet folders skip names that start with an underscore."""
_FORMAT = 1


@dataclass(frozen=True)
class Part:
    """Parquet file of recommendations.

    Attributes:
        file: its name.
        rows: number of rows, one for each user.
        sha256: its checksum.
    """

    file: str
    rows: int
    sha256: str

    def is_intact(self, folder: Path) -> bool:
        """Return whether the file exists as it was written."""
        path = folder / self.file
        return path.is_file() and file_digest(path) == self.sha256


@dataclass(frozen=True)
class Manifest:
    """Contents of a folder of batch recommendations.

    Attributes:
        run_sha256: checksum of the run's files.
        k: items per user.
        scenario: name of the scenario; "" for models without scenarios.
        users: number of users of the run.
        parts: the written parts, in order.
    """

    run_sha256: str
    k: int
    scenario: str
    users: int
    parts: tuple[Part, ...] = ()

    @property
    def rows(self) -> int:
        """Number of users in the written parts."""
        return sum(part.rows for part in self.parts)

    @property
    def is_finished(self) -> bool:
        """Whether the written parts have all users."""
        return self.rows == self.users

    def write(self, folder: Path) -> None:
        """Write the manifest, atomically."""
        content = {"format": _FORMAT, "finished": self.is_finished, **asdict(self)}
        with atomic_file(folder / MANIFEST) as path:
            path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    def resume(self, folder: Path) -> "Manifest":
        """Return this manifest with the parts in a folder, without the first damaged part and all after it.

        Raises:
            InputError: If the folder is finished, belongs to another run or other options, or has no manifest.
        """
        written = _read(folder)
        if written.run_sha256 != self.run_sha256:
            raise InputError(f"{folder} has recommendations of another run: choose another folder")
        if (written.k, written.scenario) != (self.k, self.scenario):
            options = f"k {written.k}" + (f" and scenario {written.scenario!r}" if written.scenario else "")
            raise InputError(f"{folder} has recommendations for {options}: choose the same, or another folder")
        resumed = replace(self, parts=tuple(takewhile(lambda part: part.is_intact(folder), written.parts)))
        if resumed.is_finished:
            raise InputError(f"{folder} already has the recommendations of all users: choose another folder")
        return resumed


def _read(folder: Path) -> Manifest:
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        number = content.pop("format")
        parts = tuple(Part(**part) for part in content.pop("parts"))
        del content["finished"]
        manifest = Manifest(**content, parts=parts)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{folder} exists and has no readable {MANIFEST}: choose another folder") from error
    require_format(path, number, _FORMAT, "choose another folder")
    return manifest

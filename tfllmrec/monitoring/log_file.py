"""Append-only file that survives rotation, a full disk and a killed writer."""

import os
from functools import partial
from io import FileIO
from pathlib import Path


class LogFile:
    """File of lines that is only appended to, and created again after it was moved away.

    It is readable by its owner and group. If the last line of an existing file is incomplete, an empty line follows it.

    Args:
        path: file in an existing folder.

    Raises:
        OSError: If the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = _open(path)

    def append(self, lines: bytes) -> None:
        """Append complete lines.

        Raises:
            OSError: If the file cannot be written. A later call opens it again.
        """
        if not self._file.closed and not self._is_in_place():
            self._file.close()
        if self._file.closed:
            self._file = _open(self._path)
        if self._file.write(lines) < len(lines):
            self._file.close()
            raise OSError("the disk is full")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _is_in_place(self) -> bool:
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._file.fileno()))
        except OSError:
            return False


def _open(path: Path) -> FileIO:
    file = open(path, "a+b", buffering=0, opener=partial(os.open, mode=0o640))  # noqa: SIM115, it stays open
    if file.seek(0, 2):
        file.seek(-1, 2)
        if file.read(1) != b"\n":
            file.write(b"\n\n")
    return file

"""Folders that appear in one step: there in full or not at all."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tfllmrec.errors import InputError


@contextmanager
def appearing(target: Path, within: Path | None = None) -> Iterator[Path]:
    """A folder to write to that becomes `target` in one step at the end; after an error nothing is left.

    It is written next to its place, so the renaming stays in one file system, under a name that starts with a
    dot, which TF Serving ignores.

    Args:
        target: a path that does not exist; missing parents are made, and taken away again after an error.
        within: where to write it instead, in the same file system.

    Raises:
        InputError: the target exists, or its parent cannot be made or written to.
    """
    target = target.absolute()
    if target.exists():
        raise InputError(f"{target} exists already: choose another path, or remove it first")
    missing = [parent for parent in target.parents if not parent.exists()]  # innermost first
    hidden = (within or target.parent) / f".tmp-{target.name}-{uuid.uuid4().hex[:8]}"
    try:
        _make(target.parent)
        _make(hidden)
        yield hidden
        hidden.rename(target)
    except BaseException:
        shutil.rmtree(hidden, ignore_errors=True)
        for parent in missing:
            with suppress(OSError):  # never made, or somebody else has put something there
                parent.rmdir()
        raise


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder.parent} cannot be written to: {error.strerror}") from error

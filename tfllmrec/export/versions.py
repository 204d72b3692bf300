"""Version folders, as TF Serving polls them: positive integers, each there in full or not at all."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tfllmrec.errors import InputError


def existing_versions(folder: Path) -> set[int]:
    """The versions TF Serving would see in a model's folder; other names are none of its business."""
    names = (path.name for path in folder.iterdir()) if folder.is_dir() else iter(())
    return {int(name) for name in names if name.isascii() and name.isdigit()}


def free_version(folder: Path, version: int | None) -> int:
    """The version to write: the given one, or the next after the highest (the first is 1).

    Raises:
        InputError: the folder is a file; the version is below 1 or exists.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"export: {folder} is a file; give the folder that holds the model's versions")
    versions = existing_versions(folder)
    if version is None:
        return max(versions, default=0) + 1
    if version < 1:
        raise InputError(f"export: version is {version}, and must be at least 1")
    if version in versions:
        raise InputError(
            f"export: {folder} has a version {version} already; leave version out to add the next one"
        )
    return version


@contextmanager
def appearing(target: Path) -> Iterator[Path]:
    """A folder to write to that becomes `target` in one step at the end; after an error nothing is left.

    It is written next to its place, under a name TF Serving ignores, so that the renaming stays in one file
    system.

    Args:
        target: a path that does not exist; missing parents are made, and taken away again after an error.

    Raises:
        InputError: the parent cannot be made or written to.
    """
    missing = [parent for parent in target.parents if not parent.exists()]  # innermost first
    hidden = target.parent / f".tmp-{target.name}-{uuid.uuid4().hex[:8]}"
    try:
        _make(hidden)
        yield hidden
        hidden.rename(target)
    except BaseException:
        shutil.rmtree(hidden, ignore_errors=True)
        for parent in missing:
            _remove_if_empty(parent)
        raise


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise InputError(f"export: {folder.parent} cannot be written to: {error.strerror}") from error


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):  # never made, or somebody else has put something there
        folder.rmdir()

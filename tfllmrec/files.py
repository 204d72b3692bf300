"""Atomic creation of files and folders, which exist whole or not at all, and their checksums."""

import hashlib
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tfllmrec.errors import InputError


@contextmanager
def atomic_folder(target: Path, staging_parent: Path | None = None) -> Iterator[Path]:
    """Yield a temporary folder that is renamed to `target` when the block ends without an error.

    The name of the temporary folder starts with a dot, so TF Serving ignores it. After an error the temporary folder
    is deleted, and so are the parents that were created for it.

    Args:
        target: a path that does not exist; missing parents are created.
        staging_parent: parent of the temporary folder, on the same file system as `target`; by default the parent of
            `target`.

    Yields:
        The temporary folder.

    Raises:
        InputError: If the target exists, or a folder cannot be created.
    """
    target = target.absolute()
    if target.exists():
        raise InputError(f"{target} already exists: choose another path or remove it first")
    missing_parents = [parent for parent in target.parents if not parent.exists()]  # innermost first
    staging = (staging_parent or target.parent) / f".tmp-{target.name}-{uuid.uuid4().hex[:8]}"
    try:
        _make_folder(target.parent)
        _make_folder(staging)
        yield staging
        staging.rename(target)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        for parent in missing_parents:
            with suppress(OSError):  # it was not created, or another process has written to it
                parent.rmdir()
        raise


@contextmanager
def atomic_file(target: Path) -> Iterator[Path]:
    """Yield the path of a temporary file that replaces `target` when the block ends without an error.

    The name of the temporary file starts with a dot. A process that is killed leaves it behind, and the next one
    overwrites it.

    Args:
        target: a path in an existing folder.

    Yields:
        The path of the temporary file, in the same folder.
    """
    staging = target.with_name(f".{target.name}.tmp")
    yield staging
    staging.replace(target)


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file in a folder and its subfolders, by relative path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): file_digest(path) for path in files}


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder.parent} cannot be written to: {error.strerror}") from error

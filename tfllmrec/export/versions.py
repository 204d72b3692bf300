"""Version numbers of a model: the subfolders that TF Serving reads, which have whole numbers as names."""

from pathlib import Path

from tfllmrec.errors import InputError

_LARGEST = 2**63 - 1


def version_folders(folder: Path) -> dict[int, Path]:
    """Return the version folders that TF Serving sees in a model's folder, by number."""
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    numbers = {int(path.name): path for path in paths if path.name.isascii() and path.name.isdigit()}
    return {number: path for number, path in numbers.items() if number <= _LARGEST}


def free_version(folder: Path, version: int | None) -> int:
    """Return the version to write: `version`, or the highest existing version plus 1 if it is None.

    Raises:
        InputError: If the folder is a file, or the version is below 1 or exists.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"export: {folder} is a file; give the folder that holds the model's versions")
    versions = version_folders(folder)
    if version is None:
        return max(versions, default=0) + 1
    if version < 1:
        raise InputError(f"export: version is {version}, and must be at least 1")
    if version in versions:
        raise InputError(f"export: {folder} has a version {version} already; leave version out to add the next one")
    return version

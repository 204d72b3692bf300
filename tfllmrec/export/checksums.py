"""Checksums of the files of a version, in the format of `sha256sum --check`."""

from pathlib import Path

from tfllmrec.errors import InputError
from tfllmrec.files import file_digests

CHECKSUM_FILE = Path("assets.extra") / "SHA256SUMS"
"""Path of the checksums in a version's folder; they list paths relative to the folder."""


def write_checksums(version: Path) -> None:
    """Write the checksums of all files of a version."""
    lines = [f"{digest}  {path}\n" for path, digest in _digests(version).items()]
    (version / CHECKSUM_FILE).write_text("".join(lines), encoding="utf-8")


def check_checksums(version: Path) -> None:
    """Check that the files of a version match the recorded checksums.

    Raises:
        InputError: If a file is missing, was added or differs.
    """
    try:
        lines = (version / CHECKSUM_FILE).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{version} has no readable {CHECKSUM_FILE}: export it again") from error
    recorded = {path: digest for digest, _, path in (line.partition("  ") for line in lines)}
    present = _digests(version)
    for path in sorted(recorded.keys() | present.keys()):
        if recorded.get(path) != present.get(path):
            problem = "is missing" if path not in present else "differs" if path in recorded else "was added"
            raise InputError(f"{version}: {path} {problem}: copy or export the version again")


def _digests(version: Path) -> dict[str, str]:
    return {path: digest for path, digest in file_digests(version).items() if path != str(CHECKSUM_FILE)}

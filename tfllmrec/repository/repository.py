"""Versions and labels of a model repository, moved in steps that a server never sees half of."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tfllmrec.errors import InputError
from tfllmrec.export.checksums import CHECKSUM_FILE, check_checksums
from tfllmrec.export.target import Target, target_of
from tfllmrec.export.versions import version_folders
from tfllmrec.files import atomic_folder
from tfllmrec.repository.check import check_version
from tfllmrec.repository.configs import MODELS, read_labels, served_versions, write_defaults, write_labels

STABLE, CANARY, PREVIOUS = "stable", "canary", "previous"
"""Labels: what clients ask for, what is tried out, and what was stable before and stays loaded for a rollback."""


class Repository:
    """A folder with a folder for every model, and the configuration that a model server is started with.

    `models.config` has the server serve exactly the versions that have a label. Whatever moves a label replaces that
    file as a whole, and a version's folder appears or disappears as a whole: a server that polls sees nothing half
    done, and a process that is killed leaves nothing so. Processes that change a repository wait for each other.

    Args:
        folder: made with the first version. A server must see it under the same absolute path.

    Example:
        >>> repository = Repository("/models")
        >>> repository.publish("exports/films/2")  # the first version is stable, further ones canary
        >>> repository.promote("films")
        >>> repository.rollback("films")  # to the version that was stable before
        >>> repository.prune("films", keep=3)
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).absolute()

    @classmethod
    def of(cls, model: str | Path) -> "Repository":
        """The repository that a model's folder is in."""
        return cls(Path(model).absolute().parent)

    def labels(self, model: str) -> dict[str, int]:
        """The versions of a model by label."""
        return read_labels(self.folder, model)

    def publish(self, version: str | Path) -> Path:
        """Check a version, bring it here if it is somewhere else, and have it served: as canary, or stable if none is.

        Args:
            version: a folder `<model>/<version>` that `export` has written.

        Returns:
            Its folder in the repository.

        Raises:
            InputError: it is no version, fails its check, or the repository has another one with its number, or serves
                what was made for another target.
        """
        version = Path(version).absolute()
        model, number = version.parent.name, _number(version)
        placed = self.folder / model / str(number)
        check_version(version)
        with self._changing(new=True):
            target = self._target_like_others(version)
            if not placed.exists():
                with atomic_folder(placed, staging_parent=self._staging) as hidden:
                    shutil.copytree(version, hidden, dirs_exist_ok=True)
                    check_checksums(hidden)
            elif _sums(placed) != _sums(version):
                raise InputError(f"publish: {placed} is another version {number}; export yours under a new number")
            write_defaults(self.folder, target)
            labels = self.labels(model)
            if number not in labels.values():
                write_labels(self.folder, model, labels | {CANARY if STABLE in labels else STABLE: number})
        return placed

    def promote(self, model: str) -> dict[str, int]:
        """Make the canary stable; what was stable stays loaded as `previous`. Returns the labels.

        Raises:
            InputError: there is no canary.
        """
        with self._changing():
            labels = self._with(
                CANARY, model, f"promote: {model} has no canary in {self.folder}; publish a version first"
            )
            if STABLE in labels:
                labels[PREVIOUS] = labels[STABLE]
            labels[STABLE] = labels.pop(CANARY)
            write_labels(self.folder, model, labels)
        return labels

    def rollback(self, model: str, *, canary: bool = False) -> dict[str, int]:
        """Make the version that was stable before stable again, or serve the canary no longer. Returns the labels.

        Raises:
            InputError: there was none before, or is no canary.
        """
        with self._changing():
            if canary:
                labels = self._with(CANARY, model, f"rollback: {model} has no canary in {self.folder}")
                del labels[CANARY]
            else:
                missing = f"rollback: {model} has had no other stable version in {self.folder}"
                labels = self._with(PREVIOUS, model, missing)
                labels[STABLE] = labels.pop(PREVIOUS)
            write_labels(self.folder, model, labels)
        return labels

    def prune(self, model: str, keep: int) -> list[int]:
        """Remove versions without a label that are older than the newest `keep`. Returns them.

        Raises:
            InputError: keep is below 1, or there is no such model.
        """
        if keep < 1:
            raise InputError(f"prune: keep is {keep}, and must be at least 1")
        with self._changing():
            versions = version_folders(self.folder / model)
            if not versions:
                raise InputError(f"prune: {self.folder} has no version of {model}")
            kept = {*sorted(versions)[-keep:], *self.labels(model).values()}
            removed = sorted(versions.keys() - kept)
            for number in removed:
                gone = self._staging / f"{model}-{number}"
                versions[number].rename(gone)
                shutil.rmtree(gone)
        return removed

    def _target_like_others(self, version: Path) -> Target:
        """What a version was made for, as all that one server serves: it has one batching, and compiles or does not."""
        target = target_of(version)
        for other in filter(Path.exists, served_versions(self.folder)):
            if target_of(other) != target:
                raise InputError(
                    f"publish: {version} is made for a {target.name}, and {other} for a {target_of(other).name}: "
                    "give each target a repository of its own"
                )
        return target

    def _with(self, label: str, model: str, otherwise: str) -> dict[str, int]:
        """The labels of a model, which has this one."""
        labels = self.labels(model)
        if label not in labels:
            raise InputError(otherwise)
        return labels

    @property
    def _staging(self) -> Path:
        """Where versions come from and go to: in the same file system, and nowhere a server looks."""
        return self.folder / ".staging"

    @contextmanager
    def _changing(self, *, new: bool = False) -> Iterator[None]:
        """One change at a time. What a process that was killed has left in `.staging` is removed."""
        if not new and not (self.folder / MODELS).exists():
            raise InputError(
                f"{self.folder} is not a model repository: it has no {MODELS}; publish a version to it first"
            )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / ".lock").open("w")
        except OSError as error:
            raise InputError(f"{self.folder} cannot be written to: {error.strerror}") from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            shutil.rmtree(self._staging, ignore_errors=True)
            self._staging.mkdir()
            try:
                yield
            finally:
                shutil.rmtree(self._staging, ignore_errors=True)


def _number(version: Path) -> int:
    if version not in version_folders(version.parent).values():
        raise InputError(f"publish: {version} is no version of a model; give a folder such as models/films/2")
    return int(version.name)


def _sums(version: Path) -> bytes:
    path = version / CHECKSUM_FILE
    return path.read_bytes() if path.exists() else b""

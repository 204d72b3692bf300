"""Atomic changes of the versions and labels in a model repository."""

import fcntl
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from tfllmrec.errors import InputError
from tfllmrec.export.checksums import CHECKSUM_FILE, check_checksums
from tfllmrec.export.format import check_format
from tfllmrec.export.target import Target, target_of
from tfllmrec.export.versions import version_folders
from tfllmrec.files import atomic_folder
from tfllmrec.repository.check import check_version
from tfllmrec.repository.configs import MODELS, read_labels, served_versions, write_defaults, write_labels

STABLE, CANARY, PREVIOUS = "stable", "canary", "previous"
"""Labels: the version for clients, the version under test, and the former stable version, loaded for a rollback."""


class Repository:
    """Model repository: a folder per model, and the configuration of a model server.

    The server loads exactly the versions with a label in `models.config`. Every change replaces that file, and adds or
    removes the folder of a version, atomically. A server that polls the repository never sees an intermediate state,
    and a killed process leaves none. Processes that change the same repository wait for each other.

    Args:
        folder: folder of the repository, created with the first version. The server must see it under the same
            absolute path.

    Example:
        >>> repository = Repository("/models")
        >>> repository.publish("exports/films/2")  # the first version becomes stable, later ones canary
        >>> repository.promote("films")
        >>> repository.rollback("films")  # to the previous stable version
        >>> repository.prune("films", keep=3)
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).absolute()

    @classmethod
    def of(cls, model: str | Path) -> "Repository":
        """Return the repository that contains the folder of a model."""
        return cls(Path(model).absolute().parent)

    def labels(self, model: str) -> dict[str, int]:
        """Return the versions of a model by label."""
        return read_labels(self.folder, model)

    def publish(self, version: str | Path, *, allow_ops: Collection[str] = ()) -> Path:
        """Check a version, copy it to the repository if it is not in it yet, and label it.

        It becomes the canary, or stable if the model has no stable version. A version that has a label keeps it.

        Args:
            version: folder `<model>/<version>` of an export.
            allow_ops: names of operations that may reach files, the network or the process, such as "ReadFile". The
                check runs them in this process.

        Returns:
            The folder of the version in the repository.

        Raises:
            InputError: If the folder is not a version or fails its check, if one of its operations reaches outside
                the graph and is not allowed, or if the repository has another version with this number or serves
                exports for another target or of another format.
        """
        version = Path(version).absolute()
        model, number = version.parent.name, _number(version)
        published = self.folder / model / str(number)
        check_version(version, allow_ops=allow_ops)
        with self._locked(create=True):
            target = self._require_same_target(version)
            if not published.exists():
                with atomic_folder(published, staging_parent=self._staging) as hidden:
                    shutil.copytree(version, hidden, dirs_exist_ok=True)
                    check_checksums(hidden)
            elif _checksums(published) != _checksums(version):
                raise InputError(f"publish: {published} is another version {number}; export yours with a new number")
            write_defaults(self.folder, target)
            labels = self.labels(model)
            if number not in labels.values():
                write_labels(self.folder, model, labels | {CANARY if STABLE in labels else STABLE: number})
        return published

    def promote(self, model: str) -> dict[str, int]:
        """Make the canary stable and the stable version previous; return the labels.

        Raises:
            InputError: If there is no canary.
        """
        with self._locked():
            no_canary = f"promote: {model} has no canary in {self.folder}; publish a version first"
            labels = self._labels_with(CANARY, model, no_canary)
            if STABLE in labels:
                labels[PREVIOUS] = labels[STABLE]
            labels[STABLE] = labels.pop(CANARY)
            write_labels(self.folder, model, labels)
        return labels

    def rollback(self, model: str, *, canary: bool = False) -> dict[str, int]:
        """Make the previous version stable again, or remove the canary's label; return the labels.

        Args:
            model: model name.
            canary: whether to remove the canary's label instead.

        Raises:
            InputError: If there is no previous version, or no canary.
        """
        with self._locked():
            if canary:
                labels = self._labels_with(CANARY, model, f"rollback: {model} has no canary in {self.folder}")
                del labels[CANARY]
            else:
                no_previous = f"rollback: {model} has no previous stable version in {self.folder}"
                labels = self._labels_with(PREVIOUS, model, no_previous)
                labels[STABLE] = labels.pop(PREVIOUS)
            write_labels(self.folder, model, labels)
        return labels

    def prune(self, model: str, keep: int) -> list[int]:
        """Remove the versions without a label, except the newest ones; return the removed versions.

        Args:
            model: model name.
            keep: number of newest versions that stay.

        Raises:
            InputError: If `keep` is below 1, or the model has no version.
        """
        if keep < 1:
            raise InputError(f"prune: keep is {keep}, and must be at least 1")
        with self._locked():
            versions = version_folders(self.folder / model)
            if not versions:
                raise InputError(f"prune: {self.folder} has no version of {model}")
            kept = {*sorted(versions)[-keep:], *self.labels(model).values()}
            removed = sorted(versions.keys() - kept)
            for number in removed:
                staged = self._staging / f"{model}-{number}"
                versions[number].rename(staged)
                shutil.rmtree(staged)
        return removed

    def _require_same_target(self, version: Path) -> Target:
        """Return the target of a version; raise an InputError if a served version has another target.

        All versions on a server share its batching configuration and its XLA setting.
        """
        target = target_of(version)
        for other in filter(Path.exists, served_versions(self.folder)):
            check_format(other)
            if target_of(other) != target:
                raise InputError(
                    f"publish: {version} is an export for {target.name} and {other} one for {target_of(other).name}: "
                    "use a repository per target"
                )
        return target

    def _labels_with(self, label: str, model: str, message: str) -> dict[str, int]:
        """Return the labels of a model; raise an InputError with the message if it lacks the label."""
        labels = self.labels(model)
        if label not in labels:
            raise InputError(message)
        return labels

    @property
    def _staging(self) -> Path:
        """Folder for versions that are being added or removed: on the same file system, and ignored by servers."""
        return self.folder / ".staging"

    @contextmanager
    def _locked(self, *, create: bool = False) -> Iterator[None]:
        """Hold the lock of the repository, and remove leftovers of killed processes from `.staging`."""
        if not create and not (self.folder / MODELS).exists():
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
        raise InputError(f"publish: {version} is not a version of a model; give a folder such as models/films/2")
    return int(version.name)


def _checksums(version: Path) -> bytes:
    path = version / CHECKSUM_FILE
    return path.read_bytes() if path.exists() else b""

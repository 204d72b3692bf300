"""Served models: the versions that a configuration selects, changed while requests run."""

import logging
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tfllmrec.errors import InputError
from tfllmrec.serving.configuration import selected_versions, version_labels
from tfllmrec.serving.session import ServedModel
from tfllmrec.serving.snapshot import Snapshot, not_found
from tfllmrec.serving.version import State, Version
from tfllmrec_client.status import RequestError

_log = logging.getLogger(__name__)


class Models:
    """Served models by name and version.

    A change loads new versions first, then moves labels, then unloads versions that are no longer selected. A model
    keeps its last available version until another one is available. So a request that is valid before and after a
    change does not fail during the change.

    Args:
        configs: `ModelConfig` messages.

    Raises:
        InputError: If a folder has no versions, or a selected version or the version of a label does not exist.
    """

    def __init__(self, configs: list[Any]) -> None:
        self._changing = threading.Lock()
        self._configs: list[Any] = []
        self._snapshot = Snapshot({}, {})  # replaced as a whole, so that a reader never sees half of a change
        self.apply(configs)

    def __iter__(self) -> Iterator[tuple[str, int, Version]]:
        for name, versions in self._snapshot.versions.items():
            yield from ((name, number, version) for number, version in versions.items())

    @property
    def names(self) -> Collection[str]:
        """Names of the models."""
        return self._snapshot.versions.keys()

    def apply(self, configs: list[Any]) -> None:
        """Serve the models of these configurations and no others.

        Raises:
            InputError: As in the class, or if a label would move to a version that does not load. Labels then keep
                their versions.
        """
        with self._changing:
            self._apply(configs)

    def poll(self) -> None:
        """Apply the present configurations again, to load new versions and to unload removed ones."""
        with self._changing:
            self._apply(self._configs)

    @contextmanager
    def use(self, spec: Any) -> Iterator[tuple[int, ServedModel]]:
        """Return the version number and the model that a `ModelSpec` requests. The block keeps the model loaded.

        Raises:
            RequestError: As in `find`.
        """
        number, version = self.find(spec)
        while not version.acquire():  # unloaded since the lookup, so another version has replaced it
            number, version = self.find(spec)
        try:
            assert version.model, "an available version has a model"
            yield number, version.model
        finally:
            version.release()

    def find(self, spec: Any) -> tuple[int, Version]:
        """Return the version that a `ModelSpec` requests by number or label; the newest available one by default.

        Raises:
            RequestError: INVALID_ARGUMENT, if the name is missing or the label is unknown. NOT_FOUND, if the model or
                version is not available.
        """
        while True:
            snapshot = self._snapshot
            try:
                return snapshot.find(spec)
            except RequestError:
                if snapshot is self._snapshot:  # else the version may have been replaced during the lookup
                    raise

    def statuses(self, spec: Any) -> Mapping[int, Version]:
        """Return the versions of a model in any state, or only the version that a `ModelSpec` requests.

        Raises:
            RequestError: As in `find`.
        """
        snapshot = self._snapshot
        versions = snapshot.versions_of(spec)
        number = snapshot.requested_number(spec)
        if number is None:
            return versions
        if number not in versions:
            numbers = ", ".join(map(str, versions))
            raise not_found(f"version {number} of model {spec.name!r} does not exist; existing versions: {numbers}")
        return {number: versions[number]}

    def close(self) -> None:
        """Unload all versions without waiting for running requests."""
        with self._changing:
            for _, _, version in self:
                version.unload(timeout=0)

    def _apply(self, configs: list[Any]) -> None:
        selected = {config.name: selected_versions(config) for config in configs}
        labels = {config.name: version_labels(config, selected[config.name]) for config in configs}
        previous = self._snapshot
        loading = {name: _with_selected(previous.versions.get(name, {}), folders) for name, folders in selected.items()}
        self._snapshot = Snapshot(loading, previous.labels)
        for name, number, version in self:
            if version.state is State.START:
                _load(name, number, version)
        _require_available_labels(self._snapshot, labels)
        self._snapshot = Snapshot(
            {name: _remaining(versions, selected[name]) for name, versions in loading.items()}, labels
        )
        self._configs = configs
        for version in (_all(previous.versions) | _all(loading)) - _all(self._snapshot.versions):
            version.unload()


def _all(versions: Mapping[str, Mapping[int, Version]]) -> set[Version]:
    return {version for of_model in versions.values() for version in of_model.values()}


def _with_selected(versions: Mapping[int, Version], selected: Mapping[int, Path]) -> dict[int, Version]:
    """Return the available versions of a model together with the selected ones, which may not be loaded yet."""
    result = {number: version for number, version in versions.items() if version.state is State.AVAILABLE}
    for number, folder in selected.items():
        known = versions.get(number)
        result[number] = Version(folder) if known is None or known.is_outdated(folder) else known
    return dict(sorted(result.items()))


def _remaining(versions: Mapping[int, Version], selected: Mapping[int, Path]) -> dict[int, Version]:
    """Return the selected versions of a model, or all versions if no selected one is available."""
    available = any(versions[number].state is State.AVAILABLE for number in selected)
    return {number: version for number, version in versions.items() if number in selected or not available}


def _load(name: str, number: int, version: Version) -> None:
    version.load()
    if version.error:
        _log.warning("%s: version %d failed to load: %s", name, number, version.error)
    else:
        count, seconds = version.warmup_count, version.seconds
        _log.info("%s: version %d ready, %d warm-up requests, %.1f s", name, number, count, seconds)
        if version.model and (ops := version.model.outside_ops):
            _log.warning("%s: version %d reaches outside its graph: %s", name, number, ", ".join(sorted(ops)))


def _require_available_labels(snapshot: Snapshot, labels: Mapping[str, Mapping[str, int]]) -> None:
    """Raise an InputError if an existing label would move to a version that is not available."""
    for name, new_labels in labels.items():
        for label in new_labels.keys() & snapshot.labels.get(name, {}).keys():
            version = snapshot.versions[name][new_labels[label]]
            if version.state is not State.AVAILABLE:
                raise InputError(f"model {name}: label {label} was not moved: {version.error}")

"""Served models: the versions that a configuration selects, changed while requests run."""

import logging
import threading
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from prometheus_client.metrics_core import Metric

from tfllmrec.errors import InputError
from tfllmrec.serving.configuration import selected_versions
from tfllmrec.serving.session import ServedModel
from tfllmrec.serving.snapshot import Snapshot, not_found
from tfllmrec.serving.version import Loader, State, Version
from tfllmrec_client.status import RequestError

_log = logging.getLogger(__name__)


class Models:
    """Served models by name and version.

    A change loads new versions first, then moves labels, then unloads versions that are no longer selected. A model
    keeps its last available version until another one is available. So a request that is valid before and after a
    change does not fail during the change.

    Args:
        configs: `ModelConfig` messages.
        loader: rules of loading versions.
        allow_unavailable_labels: whether a new label may point to a version that is not available.
    """

    def __init__(
        self, configs: list[Any], loader: Loader | None = None, *, allow_unavailable_labels: bool = False
    ) -> None:
        self._loader, self._allow_unavailable_labels = loader or Loader(), allow_unavailable_labels
        self._changing = threading.Lock()
        self._configs: list[Any] = []
        self._errors, self._error_counts = dict[tuple[str, int | None], str](), Counter[str]()
        self._snapshot = Snapshot({}, {})  # replaced as a whole, so that a reader never sees half of a change
        self.update(configs)

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
            InputError: If a folder has no versions, a selected version or the version of a label does not exist, or a
                label would move to a version that does not load. All models then keep their versions and labels.
        """
        with self._changing:
            self._apply(configs, {config.name: _selection(config) for config in configs}, strict=True)

    def update(self, configs: list[Any] | None = None) -> None:
        """Serve the models of these configurations, by default of the present ones, as far as possible.

        A model with an error keeps its versions and labels. The error is logged, once while it stays the same.
        """
        with self._changing:
            configs = self._configs if configs is None else configs
            selections = {config.name: self._selection_or_present(config) for config in configs}
            self._apply(configs, selections, strict=False)

    def collect(self) -> Iterator[Metric]:
        """Return the number of failed attempts to find, load or label versions for Prometheus, by model."""
        metric = Metric(":tfllmrec:serving:model_error_count", "Failed attempts to find or load versions.", "untyped")
        for name, count in [*self._error_counts.items()]:
            metric.add_sample(metric.name, {"model_name": name}, count)
        yield metric

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
        versions = snapshot.versions.get(spec.name, {})
        number = snapshot.requested_number(spec) if spec.name else None
        if number is not None and number not in versions:
            raise not_found(f"Could not find version {number} of model {spec.name}")
        if not versions:
            raise not_found(f"Could not find any versions of model {spec.name}")
        return versions if number is None else {number: versions[number]}

    def close(self) -> None:
        """Unload all versions without waiting for running requests."""
        with self._changing:
            for _, _, version in self:
                version.unload(timeout=0)

    def _selection_or_present(self, config: Any) -> "_Selection":
        """Return the selection of a configuration; in case of an error, report it and return the present versions."""
        try:
            return _selection(config)
        except (InputError, OSError) as error:
            self._report(config.name, str(error))
            return self._present(config.name)

    def _present(self, name: str) -> "_Selection":
        folders = {number: version.folder for number, version in self._snapshot.versions.get(name, {}).items()}
        return _Selection(folders, self._snapshot.labels.get(name, {}))

    def _apply(self, configs: list[Any], selections: "dict[str, _Selection]", *, strict: bool) -> None:
        previous = self._snapshot
        loading = {
            name: self._with_selected(previous.versions.get(name, {}), selection.folders)
            for name, selection in selections.items()
        }
        self._snapshot = Snapshot(loading, previous.labels)
        for name, number, version in self:
            if version.state is State.START or version.must_load_again():
                self._load(name, number, version)
        for name in selections:
            if error := self._label_error(name, selections[name].labels):
                if strict:
                    raise InputError(error)
                self._report(name, error)
                selections[name] = selections[name]._replace(labels=previous.labels.get(name, {}))
        self._snapshot = Snapshot(
            {name: _remaining(versions, selections[name].folders) for name, versions in loading.items()},
            {name: selection.labels for name, selection in selections.items()},
        )
        self._configs = configs
        for version in (_all(previous.versions) | _all(loading)) - _all(self._snapshot.versions):
            version.unload()

    def _with_selected(self, versions: Mapping[int, Version], folders: Mapping[int, Path]) -> dict[int, Version]:
        """Return the available versions of a model together with the selected ones, which may not be loaded yet."""
        result = {number: version for number, version in versions.items() if version.state is State.AVAILABLE}
        for number, folder in folders.items():
            known = versions.get(number)
            result[number] = known if known and known.folder == folder else Version(folder, self._loader)
        return dict(sorted(result.items()))

    def _load(self, name: str, number: int, version: Version) -> None:
        version.load()
        if version.error:
            self._report(name, f"version {number} failed to load: {version.error}", number)
        else:
            self._errors.pop((name, number), None)
            count, seconds = version.warmup_count, version.seconds
            _log.info("%s: version %d ready, %d warm-up requests, %.1f s", name, number, count, seconds)
            if version.model and (ops := version.model.outside_ops):
                _log.warning("%s: version %d reaches outside its graph: %s", name, number, ", ".join(sorted(ops)))

    def _label_error(self, name: str, labels: Mapping[str, int]) -> str:
        """Return the error of a label that would move to a version that is not available, or of a new one; "" if none.

        A new label may point to such a version if `allow_unavailable_labels` is set.
        """
        for label, number in labels.items():
            version = self._snapshot.versions[name].get(number)
            is_new = label not in self._snapshot.labels.get(name, {})
            allowed = is_new and self._allow_unavailable_labels
            if not allowed and (version is None or version.state is not State.AVAILABLE):
                request = f"Request to assign label to version {number} of model {name}"
                reason = f": {version.error}" if version and version.error else ""
                return f"{request}, which is not currently available for inference{reason}"
        return ""

    def _report(self, name: str, error: str, number: int | None = None) -> None:
        """Count an error of a model or of its version and log it, once while it stays the same."""
        self._error_counts[name] += 1
        if self._errors.get((name, number)) != error:
            _log.warning("%s: %s", name, error)
        self._errors[name, number] = error


class _Selection(NamedTuple):
    """Version folders by number, and version numbers by label, of one model."""

    folders: Mapping[int, Path]
    labels: Mapping[str, int]


def _selection(config: Any) -> _Selection:
    return _Selection(selected_versions(config), dict(config.version_labels))


def _all(versions: Mapping[str, Mapping[int, Version]]) -> set[Version]:
    return {version for of_model in versions.values() for version in of_model.values()}


def _remaining(versions: Mapping[int, Version], selected: Mapping[int, Path]) -> dict[int, Version]:
    """Return the selected versions of a model, or all versions if no selected one is available."""
    available = any(versions[number].state is State.AVAILABLE for number in selected)
    return {number: version for number, version in versions.items() if number in selected or not available}

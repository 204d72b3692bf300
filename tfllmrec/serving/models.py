"""What is served: the models and versions that a configuration names, changed while requests run."""

import logging
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import grpc

from tfllmrec.errors import InputError
from tfllmrec.serving.configuration import labels_of, wanted_versions
from tfllmrec.serving.session import ServedModel
from tfllmrec.serving.version import State, Version
from tfllmrec_client.status import RequestError, invalid

_log = logging.getLogger(__name__)


class _Served(NamedTuple):
    """What is served at one moment: versions by model and number, numbers by model and label."""

    versions: Mapping[str, Mapping[int, Version]]
    labels: Mapping[str, Mapping[str, int]]


class Models:
    """The models, by name and version.

    A change loads what is new before it moves labels, and moves labels before it ends what is no longer wanted; a model
    keeps its last version that answers until another one does. So no request is refused that was possible before and
    is after.

    Args:
        configs: `ModelConfig` messages.

    Raises:
        InputError: a folder without versions, a version or a label's version that is not there.
    """

    def __init__(self, configs: list[Any]) -> None:
        self._changing = threading.Lock()
        self._configs: list[Any] = []
        self._now = _Served({}, {})  # replaced as a whole: who reads it once reads no half of a change
        self.apply(configs)

    def __iter__(self) -> Iterator[tuple[str, int, Version]]:
        for name, versions in self._now.versions.items():
            yield from ((name, number, version) for number, version in versions.items())

    @property
    def names(self) -> Collection[str]:
        """What the models are called."""
        return self._now.versions.keys()

    def apply(self, configs: list[Any]) -> None:
        """Serve what these configurations ask for, and nothing else.

        Raises:
            InputError: as the class, or a label moves to a version that does not load. Labels are as before then.
        """
        with self._changing:
            self._apply(configs)

    def poll(self) -> None:
        """Look for new versions, and for some that are gone, with the configurations as they are."""
        with self._changing:
            self._apply(self._configs)

    @contextmanager
    def asked(self, spec: Any) -> Iterator[tuple[int, ServedModel]]:
        """The version that a `ModelSpec` asks for, as `find`, and its model, which does not end inside the block."""
        number, version = self.find(spec)
        while not version.acquire():  # it has just ended: another has taken its place
            number, version = self.find(spec)
        try:
            assert version.model, "an available version has a model"
            yield number, version.model
        finally:
            version.release()

    def find(self, spec: Any) -> tuple[int, Version]:
        """The version that a `ModelSpec` asks for: a number, a label, or else the newest that is available.

        Raises:
            RequestError: INVALID_ARGUMENT without a name or for an unknown label; NOT_FOUND for a model or version
                that is not served.
        """
        while True:
            now = self._now
            try:
                return _found(now, spec)
            except RequestError:
                if now is self._now:  # else it may have ended just now, and another has taken its place
                    raise

    def statuses(self, spec: Any) -> Mapping[int, Version]:
        """The versions of a model, or the one that is asked for, whether they could be loaded or not.

        Raises:
            RequestError: as `find`.
        """
        now = self._now
        versions = _versions(now, spec)
        number = _asked_number(now, spec)
        if number is None:
            return versions
        if number not in versions:
            raise _not_found(f"model {spec.name!r} has no version {number}; there are {', '.join(map(str, versions))}")
        return {number: versions[number]}

    def close(self) -> None:
        """Free what the models hold, whatever still runs."""
        with self._changing:
            for _, _, version in self:
                version.unload(patience=0)

    def _apply(self, configs: list[Any]) -> None:
        wanted = {config.name: wanted_versions(config) for config in configs}
        labels = {config.name: labels_of(config, wanted[config.name]) for config in configs}
        before = self._now
        loading = {name: _beside(before.versions.get(name, {}), folders) for name, folders in wanted.items()}
        self._now = _Served(loading, before.labels)
        for name, number, version in self:
            if version.state is State.START:
                _load(name, number, version)
        _require_labels(self._now, labels)
        self._now = _Served({name: _remaining(there, wanted[name]) for name, there in loading.items()}, labels)
        self._configs = configs
        for version in (_all(before.versions) | _all(loading)) - _all(self._now.versions):
            version.unload()


def _all(versions: Mapping[str, Mapping[int, Version]]) -> set[Version]:
    return {version for there in versions.values() for version in there.values()}


def _beside(there: Mapping[int, Version], wanted: Mapping[int, Path]) -> dict[int, Version]:
    """The wanted versions of a model, new ones not yet loaded, beside those that answer until then."""
    found = {number: version for number, version in there.items() if version.state is State.AVAILABLE}
    for number, folder in wanted.items():
        known = there.get(number)
        found[number] = Version(folder) if known is None or known.is_outdated(folder) else known
    return dict(sorted(found.items()))


def _remaining(there: Mapping[int, Version], wanted: Mapping[int, Path]) -> dict[int, Version]:
    """The wanted versions of a model; all, where none of these answers."""
    answering = any(there[number].state is State.AVAILABLE for number in wanted)
    return {number: version for number, version in there.items() if number in wanted or not answering}


def _load(name: str, number: int, version: Version) -> None:
    version.load()
    if version.error:
        _log.warning("%s: version %d is not served: %s", name, number, version.error)
    else:
        _log.info("%s: version %d ready, %d warm-up requests, %.1f s", name, number, version.warmed, version.seconds)


def _require_labels(now: _Served, labels: Mapping[str, Mapping[str, int]]) -> None:
    """Raise an InputError where a label that is there would move to a version that does not answer."""
    for name, moved in labels.items():
        for label in moved.keys() & now.labels.get(name, {}).keys():
            version = now.versions[name][moved[label]]
            if version.state is not State.AVAILABLE:
                raise InputError(f"model {name}: label {label} stays where it is: {version.error}")


def _found(now: _Served, spec: Any) -> tuple[int, Version]:
    served = {number: one for number, one in _versions(now, spec).items() if one.state is State.AVAILABLE}
    number = _asked_number(now, spec)
    if number is None:
        number = max(served, default=None)
    if number is None:
        raise _not_found(f"no version of model {spec.name!r} is served")
    if number not in served:
        there = ", ".join(map(str, sorted(served))) or "none"
        raise _not_found(f"model {spec.name!r} has no version {number} that is served; there are: {there}")
    return number, served[number]


def _versions(now: _Served, spec: Any) -> Mapping[int, Version]:
    if not spec.name:
        raise invalid("the request names no model: fill model_spec.name")
    if spec.name not in now.versions:
        raise _not_found(f"there is no model {spec.name!r} here; there are {', '.join(now.versions)}")
    return now.versions[spec.name]


def _asked_number(now: _Served, spec: Any) -> int | None:
    """The number that a `ModelSpec` has, or that its label stands for."""
    if spec.HasField("version"):
        return spec.version.value
    if not spec.HasField("version_label"):
        return None
    labels = now.labels.get(spec.name, {})
    if spec.version_label not in labels:
        there = ", ".join(labels) or "none"
        raise invalid(f"model {spec.name!r} has no version label {spec.version_label!r}; there are: {there}")
    return labels[spec.version_label]


def _not_found(sentence: str) -> RequestError:
    return RequestError(grpc.StatusCode.NOT_FOUND, sentence)

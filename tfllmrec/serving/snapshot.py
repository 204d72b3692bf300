"""Immutable snapshot of the served models: versions, labels, and the lookup of a request's version."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import grpc

from tfllmrec.serving.version import State, Version
from tfllmrec_client.status import RequestError, invalid


class Snapshot(NamedTuple):
    """Served models at one moment.

    Attributes:
        versions: versions by model name and number.
        labels: version numbers by model name and label.
    """

    versions: Mapping[str, Mapping[int, Version]]
    labels: Mapping[str, Mapping[str, int]]

    def find(self, spec: Any) -> tuple[int, Version]:
        """Return the available version that a `ModelSpec` requests, with its number.

        Raises:
            RequestError: As in `Models.find`.
        """
        versions = self.versions_of(spec)
        available = {number: version for number, version in versions.items() if version.state is State.AVAILABLE}
        number = self.requested_number(spec)
        if number is None:
            number = max(available, default=None)
        if number is None:
            raise not_found(f"model {spec.name!r} has no available version")
        if number not in available:
            numbers = ", ".join(map(str, sorted(available))) or "none"
            raise not_found(f"version {number} of model {spec.name!r} is not available; available versions: {numbers}")
        return number, available[number]

    def versions_of(self, spec: Any) -> Mapping[int, Version]:
        """Return all versions of the model that a `ModelSpec` names, in any state.

        Raises:
            RequestError: INVALID_ARGUMENT, if the name is missing. NOT_FOUND, if the model is not served.
        """
        if not spec.name:
            raise invalid("the request has no model name: set model_spec.name")
        if spec.name not in self.versions:
            raise not_found(f"model {spec.name!r} is not served; available models: {', '.join(self.versions)}")
        return self.versions[spec.name]

    def requested_number(self, spec: Any) -> int | None:
        """Return the version number of a `ModelSpec`, directly or by its label; None if it has neither.

        Raises:
            RequestError: INVALID_ARGUMENT, if the label is unknown.
        """
        if spec.HasField("version"):
            return spec.version.value
        if not spec.HasField("version_label"):
            return None
        labels = self.labels.get(spec.name, {})
        if spec.version_label not in labels:
            available = ", ".join(labels) or "none"
            label = spec.version_label
            raise invalid(f"model {spec.name!r} has no version label {label!r}; available labels: {available}")
        return labels[spec.version_label]


def not_found(sentence: str) -> RequestError:
    """Return the error of a model or version that is not served."""
    return RequestError(grpc.StatusCode.NOT_FOUND, sentence)

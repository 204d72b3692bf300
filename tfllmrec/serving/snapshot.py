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
        number = self.requested_number(spec)
        versions = self.versions.get(spec.name, {})
        available = [each for each in versions if versions[each].state is State.AVAILABLE]
        found = max(available, default=None) if number is None else number
        if found is None or found not in available:
            request = f"Latest({spec.name})" if number is None else f"Specific({spec.name}, {number})"
            raise not_found(f"Servable not found for request: {request}")
        return found, versions[found]

    def requested_number(self, spec: Any) -> int | None:
        """Return the version number of a `ModelSpec`, directly or by its label; None if it has neither.

        Raises:
            RequestError: INVALID_ARGUMENT, if the name is missing or the label is unknown.
        """
        if not spec.name:
            raise invalid("ModelSpec has no name specified.")
        if spec.HasField("version"):
            return spec.version.value
        if not spec.HasField("version_label"):
            return None
        labels = self.labels.get(spec.name, {})
        if spec.version_label not in labels:
            raise invalid(f"Unrecognized servable version label: {spec.version_label}")
        return labels[spec.version_label]


def not_found(sentence: str) -> RequestError:
    """Return the error of a model or version that is not served."""
    return RequestError(grpc.StatusCode.NOT_FOUND, sentence)

"""Operations of both interfaces of the model server in TF Serving's messages: predict, metadata, status and reload."""

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

import grpc
import numpy as np
from prometheus_client.registry import Collector
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2

from tfllmrec.errors import InputError
from tfllmrec.serving.batch_arrays import row_count
from tfllmrec.serving.batching import Batcher
from tfllmrec.serving.configuration import checked_configs
from tfllmrec.serving.metrics import Metrics
from tfllmrec.serving.models import Models
from tfllmrec.serving.session import ServedModel
from tfllmrec.serving.signature import Signature
from tfllmrec_client.status import RequestError, invalid

_METADATA_FIELD = "signature_def"
_UNKNOWN_ERROR = 2


class ResponseLog(Collector, Protocol):
    """Log of responses with metrics of its own, such as `tfllmrec.monitoring.recommendation_log.RecommendationLog`."""

    def add(
        self, spec: Any, label: str, inputs: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray], /
    ) -> None:
        """Log a response; return immediately."""

    def close(self) -> None:
        """Write what is pending."""


class ServerCore:
    """Served models with optional batching and logging.

    Args:
        models: served models.
        batcher: joins requests to batches; None runs each request alone.
        response_log: logs responses; None logs nothing.

    Attributes:
        models: served models.
        metrics: request metrics.
    """

    def __init__(self, models: Models, batcher: Batcher | None = None, response_log: ResponseLog | None = None) -> None:
        self.models, self.metrics = models, Metrics()
        self._batcher, self._response_log = batcher, response_log
        self.metrics.add(models)
        if response_log:
            self.metrics.add(response_log)

    def predict(
        self,
        spec: Any,
        inputs: Mapping[str, np.ndarray],
        output_filter: Collection[str] = (),
        deadline: float | None = None,
    ) -> tuple[Any, Mapping[str, np.ndarray]]:
        """Run a signature.

        Args:
            spec: a `ModelSpec` with the model, the version or label, and the signature.
            inputs: all inputs of the signature, with strings as bytes.
            output_filter: names of the outputs to compute; all outputs if empty.
            deadline: value of `time.monotonic()` at which the request ends; None for no limit.

        Returns:
            The `ModelSpec` of the version that ran, and the outputs by name.

        Raises:
            RequestError: If the request is refused or fails.
        """
        with self.models.use(spec) as (version, model):
            signature = model.signature(spec.signature_name)
            used = model_pb2.ModelSpec(name=spec.name, signature_name=signature.name, version={"value": version})
            if self._batcher and signature.batched and not output_filter:
                outputs = self._run_batched(self._batcher, model, signature, inputs, deadline)
            else:
                outputs = model.run(signature.name, inputs, output_filter, deadline)
        if self._response_log:
            self._response_log.add(used, spec.version_label, inputs, outputs)
        return used, outputs

    def _run_batched(
        self,
        batcher: Batcher,
        model: ServedModel,
        signature: Signature,
        inputs: Mapping[str, np.ndarray],
        deadline: float | None,
    ) -> Mapping[str, np.ndarray]:
        """Run a request in a batch, or alone if it has no rows."""
        inputs = signature.complete(inputs)
        if not row_count(inputs):
            return model.run(signature.name, inputs, (), deadline)
        ranks = tuple(array.ndim for array in inputs.values())  # a batch of several ranks would fail as a whole
        key = (model, signature.name, ranks)
        return batcher.run(key, lambda batch, until: model.run(signature.name, batch, (), until), inputs, deadline)

    def count_request(self, spec: Any, api: str, entrypoint: str) -> AbstractContextManager[None]:
        """Count the request that runs inside the block, see `Metrics.request`."""
        known = spec.name if spec.name in self.models.names else ""
        return self.metrics.request(known, api, entrypoint)

    def signature(self, spec: Any) -> Signature:
        """Return the signature that a `ModelSpec` requests.

        Raises:
            RequestError: If the model, version or signature is not available.
        """
        with self.models.use(spec) as (_, model):
            return model.signature(spec.signature_name)

    def metadata(self, spec: Any, fields: Collection[str] = (_METADATA_FIELD,)) -> Any:
        """Return a `GetModelMetadataResponse` with the signatures of a model.

        Raises:
            RequestError: If `fields` is not only `signature_def`, or the model or version is not available.
        """
        if not fields:
            raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
        if unknown := [name for name in fields if name != _METADATA_FIELD]:
            raise invalid(f"Metadata field {unknown[0]} is not supported")
        with self.models.use(spec) as (version, model):
            signatures = get_model_metadata_pb2.SignatureDefMap(signature_def=model.signature_defs)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.model_spec.CopyFrom(model_pb2.ModelSpec(name=spec.name, version={"value": version}))
        response.metadata[_METADATA_FIELD].Pack(signatures)
        return response

    def status(self, spec: Any) -> Any:
        """Return a `GetModelStatusResponse`: the state of each version; END with an error if loading failed.

        Raises:
            RequestError: If the model or version does not exist.
        """
        response = get_model_status_pb2.GetModelStatusResponse()
        for number, version in sorted(self.models.statuses(spec).items(), reverse=True):
            status = {"error_code": _UNKNOWN_ERROR if version.error else 0, "error_message": version.error}
            response.model_version_status.add(version=number, state=version.state, status=status)
        return response

    def reload(self, config: Any) -> None:
        """Serve the models of a `ModelServerConfig` and no others; return when they are loaded.

        Raises:
            RequestError: INVALID_ARGUMENT, if the configuration is invalid. FAILED_PRECONDITION, if it cannot be
                applied; labels then keep their versions.
        """
        try:
            configs = checked_configs(config)
        except InputError as error:
            raise invalid(str(error)) from error
        try:
            self.models.apply(configs)
        except InputError as error:
            raise RequestError(grpc.StatusCode.FAILED_PRECONDITION, str(error)) from error

    def close(self) -> None:
        """Run queued requests, write pending log records and unload the models. No request may follow."""
        if self._batcher:
            self._batcher.close()
        if self._response_log:
            self._response_log.close()
        self.models.close()

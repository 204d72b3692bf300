"""What both interfaces of the model server ask: predict, metadata and status, in TF Serving's messages."""

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from typing import Any

import grpc
import numpy as np
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2

from tfllmrec.errors import InputError
from tfllmrec.serving.batching import Batcher
from tfllmrec.serving.configuration import checked_configs
from tfllmrec.serving.metrics import Metrics
from tfllmrec.serving.models import Models
from tfllmrec.serving.recommendation_log import RecommendationLog
from tfllmrec.serving.session import ServedModel
from tfllmrec.serving.signature import Signature
from tfllmrec_client.status import RequestError, invalid

_METADATA_FIELD = "signature_def"
_UNKNOWN = 2


class ServerCore:
    """Loaded models behind a batcher, if there is one.

    Args:
        models: what is served.
        batcher: joins requests; None runs each on its own.
        recommendation_log: logs served recommendations; None logs nothing.

    Attributes:
        models: what is served.
        metrics: what is counted.
    """

    def __init__(
        self, models: Models, batcher: Batcher | None = None, recommendation_log: RecommendationLog | None = None
    ) -> None:
        self.models, self.metrics = models, Metrics()
        self._batcher, self._recommendation_log = batcher, recommendation_log
        if recommendation_log:
            self.metrics.add(recommendation_log)

    def predict(
        self, spec: Any, inputs: Mapping[str, np.ndarray], outputs: Collection[str] = ()
    ) -> tuple[Any, Mapping[str, np.ndarray]]:
        """Run a signature.

        Args:
            spec: a `ModelSpec`: model, version or label, signature.
            inputs: all inputs of the signature, strings as bytes.
            outputs: those wanted; none means all.

        Returns:
            The `ModelSpec` that answered, and the outputs by name.

        Raises:
            RequestError: the request is refused.
        """
        with self.models.asked(spec) as (version, model):
            signature = model.signature(spec.signature_name)
            answered = model_pb2.ModelSpec(name=spec.name, signature_name=signature.name, version={"value": version})
            if self._batcher and signature.batched and not outputs:
                found = self._batched(self._batcher, model, signature, inputs)
            else:
                found = model.run(signature.name, inputs, outputs)
        if self._recommendation_log:
            self._recommendation_log.add(answered, spec.version_label, inputs, found)
        return answered, found

    def _batched(
        self, batcher: Batcher, model: ServedModel, signature: Signature, inputs: Mapping[str, np.ndarray]
    ) -> Mapping[str, np.ndarray]:
        """The outputs for inputs that are run together with others, unless they have no rows."""
        signature.check(inputs)
        if not all(map(len, inputs.values())):
            return model.run(signature.name, inputs)
        return batcher.run((model, signature.name), lambda merged: model.run(signature.name, merged), inputs)

    def counting(self, spec: Any, api: str, entrypoint: str) -> AbstractContextManager[None]:
        """Count a request, see `Metrics.request`."""
        known = spec.name if spec.name in self.models.names else ""
        return self.metrics.request(known, api, entrypoint)

    def signature(self, spec: Any) -> Any:
        """The `Signature` that a `ModelSpec` means."""
        with self.models.asked(spec) as (_, model):
            return model.signature(spec.signature_name)

    def metadata(self, spec: Any, fields: Collection[str] = (_METADATA_FIELD,)) -> Any:
        """A `GetModelMetadataResponse`: the signatures of a model.

        Raises:
            RequestError: no fields are asked for, or others than `signature_def`; no such model or version.
        """
        if set(fields) != {_METADATA_FIELD}:
            raise invalid(f"metadata_field must be {_METADATA_FIELD!r}, which is all there is")
        with self.models.asked(spec) as (version, model):
            signatures = get_model_metadata_pb2.SignatureDefMap(signature_def=model.signature_defs)
        answer = get_model_metadata_pb2.GetModelMetadataResponse()
        answer.model_spec.CopyFrom(model_pb2.ModelSpec(name=spec.name, version={"value": version}))
        answer.metadata[_METADATA_FIELD].Pack(signatures)
        return answer

    def status(self, spec: Any) -> Any:
        """A `GetModelStatusResponse`: the state of every version, END with the error where it could not be loaded.

        Raises:
            RequestError: no such model or version.
        """
        answer = get_model_status_pb2.GetModelStatusResponse()
        for number, found in sorted(self.models.statuses(spec).items(), reverse=True):
            status = {"error_code": _UNKNOWN if found.error else 0, "error_message": found.error}
            answer.model_version_status.add(version=number, state=found.state, status=status)
        return answer

    def reload(self, config: Any) -> None:
        """Serve what a `ModelServerConfig` asks for, and nothing else; wait until it is served.

        Raises:
            RequestError: INVALID_ARGUMENT for a configuration that is none, FAILED_PRECONDITION for one that cannot be
                served; labels are as before then.
        """
        try:
            configs = checked_configs(config, "the configuration")
        except InputError as error:
            raise invalid(str(error)) from error
        try:
            self.models.apply(configs)
        except InputError as error:
            raise RequestError(grpc.StatusCode.FAILED_PRECONDITION, str(error)) from error

    def close(self) -> None:
        """Answer what is queued, write down what was served, free the models; no request may come after it."""
        if self._batcher:
            self._batcher.close()
        if self._recommendation_log:
            self._recommendation_log.close()
        self.models.close()

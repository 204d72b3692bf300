"""gRPC interface: TF Serving's PredictionService and ModelService."""

import logging
import time
from collections.abc import Callable
from functools import wraps
from typing import Any

import grpc
from tensorflow_serving.apis import (
    classification_pb2,
    model_management_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from tfllmrec.serving.core import ServerCore
from tfllmrec.serving.inference import classify, multi_inference, regress
from tfllmrec.serving.status import seconds_left
from tfllmrec_client.status import RequestError, invalid
from tfllmrec_client.tensors import read, write

MAX_SENTENCE_LENGTH = 400
"""A status travels in headers of 8 kB, where a character can take 12 bytes."""
_MAX_SECONDS = 1e6
_log = logging.getLogger(__name__)


def _rpc(method: Callable[[Any, Any, float | None], Any]) -> Callable[[Any, Any, grpc.ServicerContext], Any]:
    """Run a servicer's method with the deadline of its request, and convert errors to gRPC statuses."""

    def respond(self: Any, request: Any, context: grpc.ServicerContext) -> Any:
        seconds = context.time_remaining()  # centuries, if the client has set no deadline
        try:
            return method(self, request, time.monotonic() + seconds if seconds < _MAX_SECONDS else None)
        except RequestError as error:
            context.abort(error.code, str(error)[:MAX_SENTENCE_LENGTH])
        except Exception as error:
            _log.exception("%s failed", method.__name__)
            context.abort(grpc.StatusCode.INTERNAL, f"{method.__name__} failed: {error}"[:MAX_SENTENCE_LENGTH])

    return respond


def _counted(method: Callable[[Any, Any, float | None], Any]) -> Callable[[Any, Any, float | None], Any]:
    """Count the requests of a servicer's method; an expired request does not run."""

    @wraps(method)
    def respond(self: Any, request: Any, deadline: float | None) -> Any:
        parts = request.tasks[:1] if hasattr(request, "tasks") else [request]
        spec = parts[0].model_spec if parts else model_pb2.ModelSpec()
        with self._core.count_request(spec, method.__name__, "GRPC"):
            seconds_left(deadline)
            return method(self, request, deadline)

    return respond


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict, Classify, Regress, MultiInference and GetModelMetadata.

    Args:
        core: operations of the server.
    """

    def __init__(self, core: ServerCore) -> None:
        self._core = core

    @_rpc
    @_counted
    def Predict(self, request: Any, deadline: float | None) -> Any:  # noqa: N802, gRPC's name
        """Respond to a PredictRequest with a PredictResponse."""
        _require_spec(request)
        inputs = {name: _read_input(name, tensor) for name, tensor in request.inputs.items()}
        spec, outputs = self._core.predict(request.model_spec, inputs, request.output_filter, deadline)
        response = predict_pb2.PredictResponse(model_spec=spec)
        for name, values in outputs.items():
            write(values, response.outputs[name])
        return response

    @_rpc
    def GetModelMetadata(self, request: Any, deadline: float | None) -> Any:  # noqa: N802
        """Respond to a GetModelMetadataRequest with a GetModelMetadataResponse."""
        _require_spec(request)
        return self._core.metadata(request.model_spec, request.metadata_field)

    @_rpc
    @_counted
    def Classify(self, request: Any, deadline: float | None) -> Any:  # noqa: N802
        """Respond to a ClassificationRequest with a ClassificationResponse."""
        _require_spec(request)
        spec, result = classify(self._core, request.model_spec, request.input, deadline)
        return classification_pb2.ClassificationResponse(model_spec=spec, result=result)

    @_rpc
    @_counted
    def Regress(self, request: Any, deadline: float | None) -> Any:  # noqa: N802
        """Respond to a RegressionRequest with a RegressionResponse."""
        _require_spec(request)
        spec, result = regress(self._core, request.model_spec, request.input, deadline)
        return regression_pb2.RegressionResponse(model_spec=spec, result=result)

    @_rpc
    @_counted
    def MultiInference(self, request: Any, deadline: float | None) -> Any:  # noqa: N802
        """Respond to a MultiInferenceRequest with a MultiInferenceResponse."""
        return multi_inference(self._core, request.tasks, request.input, deadline)


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus and HandleReloadConfigRequest.

    Args:
        core: operations of the server.
    """

    def __init__(self, core: ServerCore) -> None:
        self._core = core

    @_rpc
    def GetModelStatus(self, request: Any, deadline: float | None) -> Any:  # noqa: N802
        """Respond to a GetModelStatusRequest with a GetModelStatusResponse."""
        _require_spec(request)
        return self._core.status(request.model_spec)

    @_rpc
    def HandleReloadConfigRequest(self, request: Any, deadline: float | None) -> Any:  # noqa: N802
        """Apply a ReloadConfigRequest, and respond with a ReloadConfigResponse when its models are loaded."""
        self._core.reload(request.config)
        return model_management_pb2.ReloadConfigResponse()


def _require_spec(request: Any) -> None:
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")


def _read_input(name: str, tensor: Any) -> Any:
    try:
        return read(tensor)
    except RequestError as error:
        raise RequestError(error.code, f"tensor parsing error: {name}: {error}") from error

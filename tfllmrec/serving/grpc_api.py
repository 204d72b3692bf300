"""The gRPC interface: TF Serving's PredictionService and ModelService, and gRPC's own health service."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow_serving.apis import (
    classification_pb2,
    model_management_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from tfllmrec.errors import InputError
from tfllmrec.serving.core import ServerCore
from tfllmrec.serving.inference import classify, infer_several, regress
from tfllmrec.serving.limits import MIB, Limits
from tfllmrec.serving.status import cannot_listen
from tfllmrec_client.status import RequestError, invalid
from tfllmrec_client.tensors import read, write

_OPTIONS: dict[str, int | str] = {
    "grpc.so_reuseport": 0,  # else two servers would share a port in silence
    "grpc.max_receive_message_length": 64 * MIB,
    "grpc.max_send_message_length": -1,
}
_SERVICES = ("tensorflow.serving.PredictionService", "tensorflow.serving.ModelService")
_LONGEST_SENTENCE = 400
"""Statuses travel in headers of 8 kB, a character of a quoted request in up to 12 bytes."""
_log = logging.getLogger(__name__)


def _answering(method: Callable[[Any, Any], Any]) -> Callable[[Any, Any, grpc.ServicerContext], Any]:
    """A servicer's method whose refusals become gRPC statuses; nothing it meets ends the server."""

    def answer(self: Any, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(self, request)
        except RequestError as error:
            context.abort(error.code, str(error)[:_LONGEST_SENTENCE])
        except Exception as error:
            _log.exception("%s failed", method.__name__)
            context.abort(grpc.StatusCode.INTERNAL, f"{method.__name__} failed: {error}"[:_LONGEST_SENTENCE])

    return answer


def _counting(api: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A servicer's method whose requests are counted."""

    @wraps(api)
    def count(self: Any, request: Any) -> Any:
        asked = request.tasks[:1] if hasattr(request, "tasks") else [request]
        spec = asked[0].model_spec if asked else model_pb2.ModelSpec()
        with self._core.counting(spec, api.__name__, "GRPC"):
            return api(self, request)

    return count


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict, Classify, Regress, MultiInference and GetModelMetadata.

    Args:
        core: what answers.
    """

    def __init__(self, core: ServerCore) -> None:
        self._core = core

    @_answering
    @_counting
    def Predict(self, request: Any) -> Any:  # noqa: N802, gRPC's name
        """PredictRequest -> PredictResponse."""
        _require_spec(request)
        inputs = {name: _read(name, tensor) for name, tensor in request.inputs.items()}
        spec, outputs = self._core.predict(request.model_spec, inputs, request.output_filter)
        answer = predict_pb2.PredictResponse(model_spec=spec)
        for name, values in outputs.items():
            write(values, answer.outputs[name])
        return answer

    @_answering
    def GetModelMetadata(self, request: Any) -> Any:  # noqa: N802
        """GetModelMetadataRequest -> GetModelMetadataResponse."""
        _require_spec(request)
        return self._core.metadata(request.model_spec, request.metadata_field)

    @_answering
    @_counting
    def Classify(self, request: Any) -> Any:  # noqa: N802
        """ClassificationRequest -> ClassificationResponse."""
        _require_spec(request)
        spec, result = classify(self._core, request.model_spec, request.input)
        return classification_pb2.ClassificationResponse(model_spec=spec, result=result)

    @_answering
    @_counting
    def Regress(self, request: Any) -> Any:  # noqa: N802
        """RegressionRequest -> RegressionResponse."""
        _require_spec(request)
        spec, result = regress(self._core, request.model_spec, request.input)
        return regression_pb2.RegressionResponse(model_spec=spec, result=result)

    @_answering
    @_counting
    def MultiInference(self, request: Any) -> Any:  # noqa: N802
        """MultiInferenceRequest -> MultiInferenceResponse."""
        return infer_several(self._core, request.tasks, request.input)


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus and HandleReloadConfigRequest.

    Args:
        core: what answers.
    """

    def __init__(self, core: ServerCore) -> None:
        self._core = core

    @_answering
    def GetModelStatus(self, request: Any) -> Any:  # noqa: N802
        """GetModelStatusRequest -> GetModelStatusResponse."""
        _require_spec(request)
        return self._core.status(request.model_spec)

    @_answering
    def HandleReloadConfigRequest(self, request: Any) -> Any:  # noqa: N802
        """ReloadConfigRequest -> ReloadConfigResponse, once what is asked for is served."""
        self._core.reload(request.config)
        return model_management_pb2.ReloadConfigResponse()


class _Reading(grpc.ServerInterceptor):
    """Reads messages itself: gRPC keeps something of every message that it cannot read for good."""

    def intercept_service(self, continuation: Callable[[Any], Any], handler_call_details: Any) -> Any:
        """The handler of a method, which is given bytes."""
        handler = continuation(handler_call_details)
        if not (handler and handler.unary_unary):
            return handler

        def answer(content: bytes, context: grpc.ServicerContext) -> Any:
            try:
                request = handler.request_deserializer(content)
            except DecodeError as error:
                context.abort(grpc.StatusCode.INTERNAL, f"the message cannot be read: {error}"[:_LONGEST_SENTENCE])
            return handler.unary_unary(request, context)

        return grpc.unary_unary_rpc_method_handler(answer, None, handler.response_serializer)


class GrpcServer:
    """A gRPC server that has its port already, and answers after `start`.

    Args:
        host: where to listen.
        port: 0 takes a free one.
        threads: requests at the same time; those that wait for a batch count.
        credentials: for TLS; None for no encryption.
        socket_path: a Unix socket where it listens as well, without encryption; "" for none.
        limits: how many more may wait, and gRPC's own options; None for the usual ones.

    Attributes:
        port: where it listens.

    Raises:
        InputError: the port is taken, the host is not this machine, or the socket cannot be made.
    """

    def __init__(
        self,
        host: str,
        port: int,
        threads: int,
        credentials: grpc.ServerCredentials | None = None,
        socket_path: str = "",
        limits: Limits | None = None,
    ) -> None:
        limits = limits or Limits()
        self._server = grpc.server(
            ThreadPoolExecutor(threads),
            options=[*(_OPTIONS | limits.grpc_channel_arguments).items()],
            interceptors=[_Reading()],
            maximum_concurrent_rpcs=threads + limits.max_waiting_requests,
        )
        self._health = health.HealthServicer()
        try:
            if credentials:
                self.port = self._server.add_secure_port(f"{host}:{port}", credentials)
            else:
                self.port = self._server.add_insecure_port(f"{host}:{port}")
        except RuntimeError as error:
            raise cannot_listen(host, port, "--port") from error
        try:
            if socket_path:
                self._server.add_insecure_port(f"unix:{socket_path}")
        except RuntimeError as error:
            raise InputError(f"cannot listen on {socket_path}: choose another --grpc_socket_path") from error

    def start(self, core: ServerCore) -> None:
        """Answer requests."""
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(PredictionService(core), self._server)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(core), self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        for service in ("", *_SERVICES):
            self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        self._server.start()

    def stop(self, grace: float) -> None:
        """Take no more requests, and give those that run some seconds; say so to those who watch the health."""
        self._health.enter_graceful_shutdown()
        self._server.stop(grace).wait()


def _require_spec(request: Any) -> None:
    if not request.HasField("model_spec"):
        raise invalid("the request names no model: fill model_spec.name")


def _read(name: str, tensor: Any) -> Any:
    try:
        return read(tensor)
    except RequestError as error:
        raise RequestError(error.code, f"input {name}: {error}") from error

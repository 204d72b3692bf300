"""gRPC server: port, limits, TLS, and the standard services for health and reflection."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from tfllmrec.errors import InputError
from tfllmrec.serving.core import ServerCore
from tfllmrec.serving.grpc_api import MAX_SENTENCE_LENGTH, ModelService, PredictionService
from tfllmrec.serving.limits import MIB, Limits
from tfllmrec.serving.status import cannot_listen

_OPTIONS: dict[str, int | str] = {
    "grpc.so_reuseport": 0,  # else two servers could share a port without an error
    "grpc.max_receive_message_length": 64 * MIB,
    "grpc.max_send_message_length": -1,
}
_SERVICES = ("tensorflow.serving.PredictionService", "tensorflow.serving.ModelService")
_HEALTH_NAMES = ("", "PredictionService", "ModelService")
"""Names that TF Serving's health service knows; "" is the whole server."""


class GrpcServer:
    """gRPC server that binds its port at once and responds after `start`.

    Args:
        host: address to listen on.
        port: port to listen on; 0 for a free one.
        threads: number of requests that run at the same time, including those that wait for a batch.
        credentials: TLS credentials; None for no encryption.
        socket_path: Unix socket to listen on as well, with the same credentials; "" for none.
        limits: number of waiting requests and gRPC's own options; None for the defaults.

    Attributes:
        port: port of the server.

    Raises:
        InputError: If the port is in use, the host is not an address of this machine, or the socket cannot be created.
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
            interceptors=[_MessageParser()],
            maximum_concurrent_rpcs=threads + limits.max_waiting_requests,
        )
        self._health = health.HealthServicer()
        try:
            self.port = self._listen(f"{host}:{port}", credentials)
        except RuntimeError as error:
            raise cannot_listen(host, port, "--port") from error
        try:
            if socket_path:
                self._listen(f"unix:{socket_path}", credentials)
        except RuntimeError as error:
            raise InputError(f"cannot listen on {socket_path}: choose another --grpc_socket_path") from error

    def start(self, core: ServerCore, enable_health: bool = False) -> None:
        """Start to respond to requests."""
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(PredictionService(core), self._server)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(core), self._server)
        services = [*_SERVICES, reflection.SERVICE_NAME]
        if enable_health:
            health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
            services.append(health.SERVICE_NAME)
        for name in _HEALTH_NAMES:
            self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        _register_descriptors()
        reflection.enable_server_reflection(services, self._server)
        self._server.start()

    def _listen(self, address: str, credentials: grpc.ServerCredentials | None) -> int:
        if credentials:
            return self._server.add_secure_port(address, credentials)
        return self._server.add_insecure_port(address)

    def stop(self, grace: float) -> None:
        """Refuse new requests, report NOT_SERVING, and wait up to `grace` seconds for running requests."""
        self._health.enter_graceful_shutdown()
        self._server.stop(grace).wait()


def _register_descriptors() -> None:
    """Register the descriptors of TF Serving's services, which reflection sends to clients."""
    for module in ("prediction_service_pb2", "model_service_pb2"):
        with suppress(AttributeError):  # they set an attribute of older releases of protobuf after the registration
            import_module(f"tensorflow_serving.apis.{module}")


class _MessageParser(grpc.ServerInterceptor):
    """Parse request messages outside gRPC, which leaks memory for each message that it cannot parse."""

    def intercept_service(self, continuation: Callable[[Any], Any], handler_call_details: Any) -> Any:
        """Return a handler that receives bytes instead of messages."""
        handler = continuation(handler_call_details)
        if not (handler and handler.unary_unary):
            return handler

        def respond(content: bytes, context: grpc.ServicerContext) -> Any:
            try:
                request = handler.request_deserializer(content)
            except DecodeError as error:
                sentence = f"the message cannot be parsed: {error}"
                context.abort(grpc.StatusCode.INTERNAL, sentence[:MAX_SENTENCE_LENGTH])
            return handler.unary_unary(request, context)

        return grpc.unary_unary_rpc_method_handler(respond, None, handler.response_serializer)

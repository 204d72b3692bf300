"""The connection that both clients share: channel, deadline, and errors of gRPC as sentences."""

from collections.abc import Sequence
from types import ModuleType
from typing import Any, ClassVar

import grpc

from tfllmrec_client.channel import channel_to
from tfllmrec_client.request_builder import RequestBuilder
from tfllmrec_client.rpc import GET_MODEL_STATUS, PREDICT, Rpc
from tfllmrec_client.status import RequestError


class Connection:
    """The connection of a `Client` or an `AsyncClient`; see `Client` for the arguments."""

    _transport: ClassVar[ModuleType]

    def __init__(
        self,
        server: str | Sequence[str],
        model: str,
        *,
        version: int | None = None,
        label: str | None = None,
        timeout: float = 10.0,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        servers = [server] if isinstance(server, str) else [*server]
        self.server, self.model, self.timeout = " or ".join(servers), model, timeout
        self._requests = RequestBuilder(model, version, label)
        self._channel = channel_to(self._transport, servers, credentials)
        self._methods = {
            method: self._channel.unary_unary(
                method.path,
                request_serializer=method.request.SerializeToString,
                response_deserializer=method.response.FromString,
            )
            for method in (PREDICT, GET_MODEL_STATUS)
        }

    def _send(self, rpc: Rpc[Any], timeout: float | None) -> Any:
        """Send the request and return the response, which is an awaitable for `grpc.aio`."""
        return self._methods[rpc.method](rpc.request, timeout=self._seconds(timeout))

    def _seconds(self, timeout: float | None) -> float:
        return self.timeout if timeout is None else timeout

    def _request_error(self, error: Any, timeout: float | None) -> RequestError:
        return RequestError(error.code(), self._sentence(error, self._seconds(timeout)))

    def _sentence(self, error: Any, seconds: float) -> str:
        match error.code():
            case grpc.StatusCode.UNAVAILABLE:
                if not error.details().startswith(("failed to connect", "connections to all backends failing")):
                    return f"{self.server} is not available: {error.details()}"
                reason = error.details().rsplit(": ", 1)[-1]
                return f"{self.server} cannot be reached ({reason}): check that it is the gRPC port of a model server"
            case grpc.StatusCode.DEADLINE_EXCEEDED:
                return f"{self.server} did not respond within {seconds:g} s: set a longer timeout, or send fewer rows"
            case grpc.StatusCode.UNIMPLEMENTED:
                return f"{self.server} is not a model server: give the host and port of its gRPC interface"
            case _:
                return f"{self.server} refused the request: {error.details()}"

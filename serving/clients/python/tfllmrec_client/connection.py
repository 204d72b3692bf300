"""What both clients are: whom they ask, and what it means that no answer came."""

from collections.abc import Sequence
from types import ModuleType
from typing import Any, ClassVar

import grpc

from tfllmrec_client.calls import PREDICT, STATUS, Call, Calls
from tfllmrec_client.channel import channel_to
from tfllmrec_client.status import RequestError


class Connection:
    """What a `Client` or an `AsyncClient` asks its questions through; see there."""

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
        self._calls = Calls(model, version, label)
        self._channel = channel_to(self._transport, servers, credentials)
        self._methods = {
            method: self._channel.unary_unary(
                method.path,
                request_serializer=method.request.SerializeToString,
                response_deserializer=method.response.FromString,
            )
            for method in (PREDICT, STATUS)
        }

    def _send(self, call: Call[Any], timeout: float | None) -> Any:
        """The response; from `grpc.aio` it has to be awaited."""
        return self._methods[call.method](call.request, timeout=self._seconds(timeout))

    def _seconds(self, timeout: float | None) -> float:
        return self.timeout if timeout is None else timeout

    def _refusal(self, error: Any, timeout: float | None) -> RequestError:
        return RequestError(error.code(), self._sentence(error, self._seconds(timeout)))

    def _sentence(self, error: Any, seconds: float) -> str:
        match error.code():
            case grpc.StatusCode.UNAVAILABLE:
                if not error.details().startswith(("failed to connect", "connections to all backends failing")):
                    return f"{self.server} cannot answer now: {error.details()}"
                reason = error.details().rsplit(": ", 1)[-1]
                return f"{self.server} cannot be reached ({reason}): is the gRPC port of a model server there?"
            case grpc.StatusCode.DEADLINE_EXCEEDED:
                return f"{self.server} did not answer within {seconds:g} s: give it a longer timeout, or less to do"
            case grpc.StatusCode.UNIMPLEMENTED:
                return f"{self.server} is no model server: give the host and port of its gRPC interface"
            case _:
                return f"{self.server} refuses: {error.details()}"

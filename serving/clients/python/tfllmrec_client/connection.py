"""The connection that both clients share: channel, deadline, and errors of gRPC as sentences."""

import asyncio
from collections.abc import Iterable
from functools import partial
from types import ModuleType
from typing import Any, ClassVar

import grpc

from tfllmrec_client.arguments import require_type, seconds
from tfllmrec_client.channel import Channel, target_of
from tfllmrec_client.errors import InputError
from tfllmrec_client.request_builder import RequestBuilder
from tfllmrec_client.status import RequestError


class Connection:
    """The connection of a `Client` or an `AsyncClient`; see `Client` for the arguments."""

    _transport: ClassVar[ModuleType]

    def __init__(
        self,
        server: str | Iterable[str],
        model: str,
        *,
        version: int | None = None,
        label: str | None = None,
        timeout: float = 10.0,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        servers = _addresses(server)
        tls = (grpc.ChannelCredentials, type(None))
        require_type("client", "credentials", credentials, tls, "pass those of grpc.ssl_channel_credentials")
        self.server, self.model, self.timeout = " or ".join(servers), model, seconds("client", "timeout", timeout)
        self._requests = RequestBuilder(model, version, label)
        self._open = partial(Channel, self._transport, target_of(servers), credentials)
        self._channels: dict[asyncio.AbstractEventLoop | None, Channel] = {}
        self._closed = False

    def _channel(self, loop: asyncio.AbstractEventLoop | None = None) -> Channel:
        """Return the channel of an event loop, or that of all threads; the first call opens it."""
        if self._closed:
            raise InputError(f"client: the connection to {self.server} is closed; create another client")
        channel = self._channels.get(loop)
        return self._channels.setdefault(loop, self._open()) if channel is None else channel

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Refuse to pickle or copy a connection."""
        raise InputError("client: a connection cannot be pickled or copied; create a client in each process")

    def _seconds(self, timeout: float | None) -> float:
        return self.timeout if timeout is None else seconds("client", "timeout", timeout)

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


def _addresses(server: Any) -> list[str]:
    advice = "pass 'host:port', or a list of such strings"
    require_type("client", "server", server, Iterable, advice)
    servers = [server] if isinstance(server, str) else list(server)
    for address in servers:
        require_type("client", "server", address, str, advice)
    return servers

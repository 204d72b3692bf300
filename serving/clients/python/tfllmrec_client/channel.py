"""The gRPC channel of a client: one or several addresses, encryption, and the retry policy."""

import json
import socket
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import grpc

from tfllmrec_client.errors import InputError
from tfllmrec_client.rpc import GET_MODEL_STATUS, PREDICT, Rpc

_SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {  # UNAVAILABLE only: a server would refuse again for any other reason
                "maxAttempts": 4,
                "initialBackoff": "0.05s",
                "maxBackoff": "1s",
                "backoffMultiplier": 3,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
}
OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
]


class Channel:
    """An open channel, which balances requests over servers and passes over those that cannot be reached.

    Args:
        transport: `grpc`, or `grpc.aio` for awaitable calls; such a channel belongs to the running event loop.
        target: a target of gRPC; see `target_of`.
        credentials: for TLS, from `grpc.ssl_channel_credentials`; None for no encryption.
    """

    def __init__(self, transport: ModuleType, target: str, credentials: grpc.ChannelCredentials | None) -> None:
        if credentials is None:
            self._channel = transport.insecure_channel(target, options=OPTIONS)
        else:
            self._channel = transport.secure_channel(target, credentials, options=OPTIONS)
        self._methods = {
            method: self._channel.unary_unary(
                method.path,
                request_serializer=method.request.SerializeToString,
                response_deserializer=method.response.FromString,
            )
            for method in (PREDICT, GET_MODEL_STATUS)
        }

    def send(self, rpc: Rpc[Any], timeout: float) -> Any:
        """Send a request and return the response, which is an awaitable for `grpc.aio`."""
        return self._methods[rpc.method](rpc.request, timeout=timeout)

    def close(self) -> Any:
        """Close the channel; an awaitable for `grpc.aio`."""
        return self._channel.close()


def target_of(servers: Sequence[str]) -> str:
    """Return servers as one target of gRPC.

    Args:
        servers: "host:port" each, or a single target of gRPC, such as "dns:///serving:8500" or "unix:/run/films".

    Raises:
        InputError: If there is no server, or the name of one among several cannot be resolved.
    """
    return servers[0] if len(servers) == 1 else _joined(servers)


def _joined(servers: Sequence[str]) -> str:
    """Return several addresses as one target, which takes IP addresses only."""
    if not servers:
        raise InputError("client: give at least one server")
    return "ipv4:" + ",".join(address for server in servers for address in _addresses(server))


def _addresses(server: str) -> list[str]:
    host, _, port = server.rpartition(":")
    try:
        resolved = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM)
    except OSError as error:
        raise InputError(f"client: {server!r} cannot be resolved; give it as host:port: {error}") from error
    return [f"{address[0]!s}:{port}" for *_, address in resolved]

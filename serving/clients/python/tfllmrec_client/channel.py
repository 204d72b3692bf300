"""The gRPC channel of a client: one or several addresses, encryption, and the retry policy."""

import json
import socket
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import grpc

from tfllmrec_client.errors import InputError

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


def channel_to(transport: ModuleType, servers: Sequence[str], credentials: grpc.ChannelCredentials | None) -> Any:
    """Return a channel that balances requests over servers and passes over those that cannot be reached.

    Args:
        transport: `grpc`, or `grpc.aio` for a channel with awaitable calls.
        servers: "host:port" each, or a single target of gRPC, such as "dns:///serving:8500" or "unix:/run/films".
        credentials: for TLS, from `grpc.ssl_channel_credentials`; None for no encryption.

    Raises:
        InputError: If there is no server, or the name of one among several cannot be resolved.
    """
    target = servers[0] if len(servers) == 1 else _joined(servers)
    if credentials is None:
        return transport.insecure_channel(target, options=OPTIONS)
    return transport.secure_channel(target, credentials, options=OPTIONS)


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

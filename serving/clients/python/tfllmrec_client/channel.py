"""The channel of a client: one address or several, encrypted or not, and requests that are sent once more."""

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
            "retryPolicy": {  # UNAVAILABLE alone: whatever else a server says it would say again
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
    """A channel to servers that share the requests; one that cannot be reached is passed over.

    Args:
        transport: `grpc`, or `grpc.aio` for a channel whose calls are awaited.
        servers: "host:port" each, or a single target of gRPC's, such as "dns:///serving:8500" or "unix:/run/films".
        credentials: for TLS, as `grpc.ssl_channel_credentials` makes them; None for no encryption.

    Raises:
        InputError: no server, or among several one whose name nobody knows.
    """
    target = servers[0] if len(servers) == 1 else _joined(servers)
    if credentials is None:
        return transport.insecure_channel(target, options=OPTIONS)
    return transport.secure_channel(target, credentials, options=OPTIONS)


def _joined(servers: Sequence[str]) -> str:
    """Several addresses as one target, which takes numbers only."""
    if not servers:
        raise InputError("client: give a server, or several")
    return "ipv4:" + ",".join(address for server in servers for address in _addresses(server))


def _addresses(server: str) -> list[str]:
    host, _, port = server.rpartition(":")
    try:
        found = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM)
    except OSError as error:
        raise InputError(f"client: {server!r} is no host and port that can be found: {error}") from error
    return [f"{address[0]!s}:{port}" for *_, address in found]

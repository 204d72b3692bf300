"""Limits of a model server: size, number and duration of requests."""

from dataclasses import dataclass, field

from tfllmrec.errors import InputError

MIB = 2**20
_FLAG = "--grpc_channel_arguments"


@dataclass(frozen=True)
class Limits:
    """Limits of a `ModelServer`. A request beyond them is refused before it is read.

    Attributes:
        grpc_max_threads: number of gRPC requests that run at the same time, including those that wait for a batch. 0
            means four per core, or 64 with batching.
        rest_api_num_threads: the same number for REST.
        max_waiting_requests: number of further requests that may wait for a thread, per interface.
        grpc_channel_arguments: options of the gRPC server by name. `grpc.max_receive_message_length` is the maximum
            message size in bytes, 64 MiB by default; -1 means unlimited.
        rest_api_max_body_bytes: maximum size of a request body.
        rest_api_timeout_in_ms: time for a REST request to arrive and run, and for a client to read the response.
    """

    grpc_max_threads: int = 0
    rest_api_num_threads: int = 0
    max_waiting_requests: int = 1000
    grpc_channel_arguments: dict[str, int | str] = field(default_factory=dict)
    rest_api_max_body_bytes: int = 64 * MIB
    rest_api_timeout_in_ms: int = 30_000


def channel_arguments(text: str) -> dict[str, int | str]:
    """Parse options of the gRPC server from "name=value,name=value". Numeric values become integers.

    Raises:
        InputError: If a part has no name or no value.

    Example:
        >>> channel_arguments("grpc.max_receive_message_length=1000000")
        {'grpc.max_receive_message_length': 1000000}
    """
    arguments: dict[str, int | str] = {}
    for part in filter(None, text.split(",")):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not (name and equals and value):
            raise InputError(f"{_FLAG}: {part!r} must have the form name=value")
        arguments[name] = int(value) if value.removeprefix("-").isdecimal() else value
    return arguments

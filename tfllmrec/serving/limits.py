"""What a model server takes at most: how large requests are, how many at once, how slow."""

from dataclasses import dataclass, field

from tfllmrec.errors import InputError

MIB = 2**20
_FLAG = "--grpc_channel_arguments"


@dataclass(frozen=True)
class Limits:
    """Bounds of a `ModelServer`; what is beyond them is refused at once, and costs no memory.

    Attributes:
        grpc_max_threads: gRPC requests that run at the same time; those that wait for a batch count. 0 is four for each
            core, 64 with batching.
        rest_api_num_threads: the same for REST.
        max_waiting_requests: how many more may wait for a thread, on either interface.
        grpc_channel_arguments: options of gRPC's server by name; `grpc.max_receive_message_length` is the largest
            message in bytes, 64 MiB unless given, and -1 for none.
        rest_api_max_body_bytes: the largest body.
        rest_api_timeout_in_ms: what a client has to send its request, and to take its answer.
    """

    grpc_max_threads: int = 0
    rest_api_num_threads: int = 0
    max_waiting_requests: int = 1000
    grpc_channel_arguments: dict[str, int | str] = field(default_factory=dict)
    rest_api_max_body_bytes: int = 64 * MIB
    rest_api_timeout_in_ms: int = 30_000


def channel_arguments(text: str) -> dict[str, int | str]:
    """Options of gRPC's server by name, from "name=value,name=value"; a value that is a number becomes one.

    Raises:
        InputError: a part has no name, or no value.

    Example:
        >>> channel_arguments("grpc.max_receive_message_length=1000000")
        {'grpc.max_receive_message_length': 1000000}
    """
    found: dict[str, int | str] = {}
    for part in filter(None, text.split(",")):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not (name and equals and value):
            raise InputError(f"{_FLAG}: {part!r} is no argument; write name=value,name=value")
        found[name] = int(value) if value.removeprefix("-").isdecimal() else value
    return found

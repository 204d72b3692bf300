"""Status codes of the model server, deadlines, and the error of an unavailable address."""

import time

import grpc

from tfllmrec.errors import InputError
from tfllmrec_client.status import RequestError

HTTP_STATUS = {
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
"""TF Serving's HTTP status of each gRPC code; 500 for all other codes."""

CODES = {code.value[0]: code for code in grpc.StatusCode}
"""gRPC codes by number. TensorFlow uses the same numbers."""


def seconds_left(deadline: float | None) -> float | None:
    """Return the seconds until a deadline of `time.monotonic`; None without a deadline.

    Raises:
        RequestError: DEADLINE_EXCEEDED, if the deadline has passed.
    """
    if deadline is None:
        return None
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise RequestError(grpc.StatusCode.DEADLINE_EXCEEDED, "the deadline passed before the request ran")
    return seconds


def cannot_listen(host: str, port: int, flag: str) -> InputError:
    """Return the error of an address on which a server cannot listen."""
    return InputError(
        f"cannot listen on {host}:{port}: the port is in use, or the host is not an address of this machine; "
        f"choose another {flag}, or 0 for a free port"
    )

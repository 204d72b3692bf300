"""The codes of what a model server refuses, and an address that it cannot have."""

import grpc

from tfllmrec.errors import InputError

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
"""The HTTP status TF Serving gives for a gRPC code; 500 for all others."""

CODES = {code.value[0]: code for code in grpc.StatusCode}
"""gRPC codes by number, which are TensorFlow's as well."""


def cannot_listen(host: str, port: int, flag: str) -> InputError:
    """An address that a server cannot have."""
    return InputError(
        f"cannot listen on {host}:{port}: the port is taken, or the host is not this machine; "
        f"choose another {flag}, or 0 for a free one"
    )

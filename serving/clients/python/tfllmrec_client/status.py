"""The exception for a request that failed on the way or in the server: a gRPC code and one sentence."""

import grpc

from tfllmrec_client.errors import InputError


class RequestError(InputError):
    """A request that a model server refuses, or that did not reach one.

    Args:
        code: the gRPC code.
        sentence: what is wrong, where, and what to do.

    Example:
        >>> try:
        ...     client.recommend(users=["42"])
        ... except RequestError as error:
        ...     if error.code is grpc.StatusCode.DEADLINE_EXCEEDED: ...
    """

    def __init__(self, code: grpc.StatusCode, sentence: str) -> None:
        super().__init__(" ".join(sentence.split()))  # one line, even where it quotes several
        self.code = code


def invalid(sentence: str) -> RequestError:
    """Return the most common refusal, INVALID_ARGUMENT."""
    return RequestError(grpc.StatusCode.INVALID_ARGUMENT, sentence)

"""How a model server says no: a gRPC code and one sentence."""

import grpc

from tfllmrec_client.errors import InputError


class RequestError(InputError):
    """A request that a model server refuses, or that never reached one.

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
        super().__init__(" ".join(sentence.split()))  # one line, whatever it quotes
        self.code = code


def invalid(sentence: str) -> RequestError:
    """The most common refusal, INVALID_ARGUMENT."""
    return RequestError(grpc.StatusCode.INVALID_ARGUMENT, sentence)

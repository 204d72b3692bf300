"""Remote procedure calls of a model server: the method, the request, and how its response is parsed."""

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

from tfllmrec_client import messages

Result = TypeVar("Result")
Parsed = TypeVar("Parsed")


class Method(NamedTuple):
    """A method of a gRPC service, and its message classes."""

    path: str
    request: Any
    response: Any


PREDICT = Method("/tensorflow.serving.PredictionService/Predict", messages.PredictRequest, messages.PredictResponse)
GET_MODEL_STATUS = Method(
    "/tensorflow.serving.ModelService/GetModelStatus", messages.GetModelStatusRequest, messages.GetModelStatusResponse
)


class Rpc(NamedTuple, Generic[Result]):
    """A call that is ready to be sent.

    Attributes:
        method: the method.
        request: its request message.
        parse: maps the response message to the result.
    """

    method: Method
    request: Any
    parse: Callable[[Any], Result]

    def map(self, parse: Callable[[Result], Parsed]) -> "Rpc[Parsed]":
        """Return the call with its result parsed further."""
        return Rpc(self.method, self.request, lambda response: parse(self.parse(response)))

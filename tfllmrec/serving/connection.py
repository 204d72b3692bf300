"""The connection to a model server, TF Serving or the embedded one: any signature asked over gRPC."""

from collections.abc import Sequence
from typing import Any, Self

import grpc
import numpy as np

from tfllmrec.errors import InputError
from tfllmrec.serving import messages
from tfllmrec.serving.channel import channel_to
from tfllmrec.serving.status import RequestError
from tfllmrec.serving.tensors import decoded, read, write

_SERVICES = "/tensorflow.serving"
_STATES = {0: "UNKNOWN", 10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}


class Connection:
    """What a `Client` asks its questions through; see there."""

    def __init__(
        self,
        server: str | Sequence[str],
        model: str,
        *,
        version: int | None = None,
        label: str | None = None,
        timeout: float = 10.0,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        if version is not None and label is not None:
            raise InputError("client: give a version or a label, not both")
        servers = [server] if isinstance(server, str) else [*server]
        self.server, self.model, self.timeout = " or ".join(servers), model, timeout
        self._spec: dict[str, Any] = {"name": model}
        if version is not None:
            self._spec["version"] = {"value": version}
        if label is not None:
            self._spec["version_label"] = label
        self._channel = channel_to(servers, credentials)
        self._predict = self._call("PredictionService/Predict", messages.PredictRequest, messages.PredictResponse)
        self._status = self._call(
            "ModelService/GetModelStatus", messages.GetModelStatusRequest, messages.GetModelStatusResponse
        )

    def predict(self, signature: str, /, timeout: float | None = None, **inputs: Any) -> dict[str, np.ndarray]:
        """The outputs of any signature by name, from arrays or nested lists; strings come back as `str`.

        Python's integers are sent as int32 and its floats as float32, which is what signatures take.

        Raises:
            RequestError: the server refuses, is not there, or is too slow.
        """
        request = messages.PredictRequest(model_spec=self._spec | {"signature_name": signature})
        for name, value in inputs.items():
            write(_array(name, value), request.inputs[name])
        answer = self._ask(self._predict, request, timeout)
        return {name: decoded(read(tensor)) for name, tensor in answer.outputs.items()}

    def status(self, timeout: float | None = None) -> dict[int, str]:
        """The state of every version of the model: AVAILABLE, LOADING, END and so on.

        Raises:
            RequestError: the server has no such model, is not there, or is too slow.
        """
        answer = self._ask(self._status, messages.GetModelStatusRequest(model_spec=self._spec), timeout)
        return {one.version: _STATES.get(one.state, str(one.state)) for one in answer.model_version_status}

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _call(self, method: str, request: Any, answer: Any) -> Any:
        return self._channel.unary_unary(
            f"{_SERVICES}.{method}",
            request_serializer=request.SerializeToString,
            response_deserializer=answer.FromString,
        )

    def _ask(self, call: Any, request: Any, timeout: float | None) -> Any:
        seconds = self.timeout if timeout is None else timeout
        try:
            return call(request, timeout=seconds)
        except grpc.RpcError as error:
            raise RequestError(error.code(), self._sentence(error, seconds)) from error

    def _sentence(self, error: Any, seconds: float) -> str:
        match error.code():
            case grpc.StatusCode.UNAVAILABLE:
                if not error.details().startswith(("failed to connect", "connections to all backends failing")):
                    return f"{self.server} cannot answer now: {error.details()}"
                reason = error.details().rsplit(": ", 1)[-1]
                return f"{self.server} cannot be reached ({reason}): is the gRPC port of a model server there?"
            case grpc.StatusCode.DEADLINE_EXCEEDED:
                return f"{self.server} did not answer within {seconds:g} s: give it a longer timeout, or less to do"
            case grpc.StatusCode.UNIMPLEMENTED:
                return f"{self.server} is no model server: give the host and port of its gRPC interface"
            case _:
                return f"{self.server} refuses: {error.details()}"


def _array(name: str, value: Any) -> np.ndarray:
    """As it travels: strings as bytes; what is no array yet in the dtypes that signatures take."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InputError(f'input {name} has rows of different lengths: fill the shorter ones up with ""') from error
    if array.dtype.kind in "OSU":
        encoded = np.empty(array.size, object)
        encoded[:] = [_utf8(one) for one in array.ravel().tolist()]
        return encoded.reshape(array.shape)
    narrow = {"i": np.int32, "f": np.float32}.get(array.dtype.kind)
    return array if narrow is None or isinstance(value, np.ndarray) else array.astype(narrow)


def _utf8(text: str | bytes) -> bytes:
    try:
        return text if isinstance(text, bytes) else text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(f"{text!r} is no Unicode text: half a character cannot be sent") from error

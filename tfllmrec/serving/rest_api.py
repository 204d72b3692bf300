"""REST interface: a WSGI application with TF Serving's paths."""

import json
import logging
import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

import grpc
from cheroot.errors import MaxSizeExceeded
from google.protobuf.json_format import MessageToDict
from prometheus_client import CONTENT_TYPE_LATEST
from tensorflow_serving.apis import get_model_metadata_pb2, model_pb2

from tfllmrec.serving.core import ServerCore
from tfllmrec.serving.inference import classify, regress
from tfllmrec.serving.json_bodies import quoted, read_object
from tfllmrec.serving.json_examples import input_from
from tfllmrec.serving.json_tensors import read_inputs, to_columns, to_rows
from tfllmrec.serving.session import DEFAULT_SIGNATURE
from tfllmrec.serving.signature import Signature
from tfllmrec.serving.status import HTTP_STATUS
from tfllmrec_client.status import RequestError, invalid

_VERSION = r"(?:(?i:/versions)/(?P<version>[0-9]+)|(?i:/labels)/(?P<label>[^/:]+))?"
_INFERENCE_PATH = re.compile(rf"(?i:/v1/models)/(?P<name>[^/:]+){_VERSION}:(?P<api>predict|classify|regress)")
_MODEL_PATH = re.compile(
    rf"(?i:/v1/models)(?:/(?P<name>[^/:]+))?{_VERSION}(?:(?P<metadata>/metadata)|(?i:/metadata))?"  # /METADATA: status
)
_MAX_VERSION = 2**63 - 1
_log = logging.getLogger(__name__)

StartResponse = Callable[[str, list[tuple[str, str]]], Any]


class RestApi:
    """WSGI application of the REST interface.

    Args:
        core: operations of the server.
        metrics_path: path of the Prometheus metrics; "" disables them.
    """

    def __init__(self, core: ServerCore, metrics_path: str = "") -> None:
        self._core, self._metrics_path = core, metrics_path
        self._apis = {"predict": self._predict, "classify": self._classify, "regress": self._regress}

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Respond to an HTTP request with JSON, or with text for metrics. Errors have the form {"error": sentence}.

        Raises:
            OSError, MaxSizeExceeded: If the body does not arrive or is too large. The HTTP server responds.
        """
        if environ["REQUEST_METHOD"] == "GET" and environ["PATH_INFO"] == (self._metrics_path or None):
            return _respond(start_response, "200 OK", CONTENT_TYPE_LATEST, self._core.metrics.text())
        status, content = HTTPStatus.OK.value, None
        try:
            content = self._handle(environ)
        except RequestError as error:
            status, content = HTTP_STATUS.get(error.code, 500), {"error": str(error)}
        except (OSError, MaxSizeExceeded):
            raise
        except Exception as error:
            _log.exception("%s failed", environ["PATH_INFO"])
            status, content = 500, {"error": f"the request failed: {error}"}
        body = json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")  # errors may quote lone surrogates
        reason = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Client Closed Request"
        return _respond(start_response, f"{status} {reason}", "application/json", body)

    def _handle(self, environ: dict[str, Any]) -> Any:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
        if not path.lower().startswith("/v1/"):
            raise RequestError(grpc.StatusCode.NOT_FOUND, f"{path} does not exist: paths start with /v1/models")
        if method == "POST" and (match := _INFERENCE_PATH.fullmatch(path)):
            spec, api, body = _model_spec(match), match["api"].lower(), environ["wsgi.input"].read()
            with self._core.count_request(spec, api, "REST"):
                request = read_object(body)
                spec.signature_name = _signature_name(request)
                return self._apis[api](spec, request)
        if method == "GET" and (match := _MODEL_PATH.fullmatch(path)):
            return self._metadata(_model_spec(match)) if match["metadata"] else self._status(_model_spec(match))
        raise invalid(
            f"{method} {path} is not supported: use POST /v1/models/NAME:predict, :classify or :regress, GET "
            "/v1/models/NAME or GET /v1/models/NAME/metadata, optionally with /versions/NUMBER or /labels/LABEL after "
            "NAME"
        )

    def _predict(self, spec: Any, request: dict[str, Any]) -> Any:
        outputs = self._core.predict(spec, read_inputs(request, self._signature(spec)))[1]
        return {"predictions": to_rows(outputs)} if "instances" in request else {"outputs": to_columns(outputs)}

    def _signature(self, spec: Any) -> Signature:
        try:
            return self._core.signature(spec)
        except RequestError as error:
            if error.code.name == "FAILED_PRECONDITION":  # TF Serving has another error here than over gRPC
                name = spec.signature_name or DEFAULT_SIGNATURE
                raise invalid(f'Serving signature name: "{name}" not found in signature def') from error
            raise

    def _classify(self, spec: Any, request: dict[str, Any]) -> Any:
        result = classify(self._core, spec, input_from(request))[1]
        return {"results": [[[each.label, each.score] for each in row.classes] for row in result.classifications]}

    def _regress(self, spec: Any, request: dict[str, Any]) -> Any:
        result = regress(self._core, spec, input_from(request))[1]
        return {"results": [row.value for row in result.regressions]}

    def _metadata(self, spec: Any) -> Any:
        response = self._core.metadata(spec)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(signatures)
        return {"model_spec": _as_json(response.model_spec), "metadata": {"signature_def": _as_json(signatures)}}

    def _status(self, spec: Any) -> Any:
        return _as_json(self._core.status(spec))


def _respond(start_response: StartResponse, status: str, content_type: str, body: bytes) -> list[bytes]:
    start_response(status, [("Content-Type", content_type), ("Content-Length", str(len(body)))])
    return [body]


def _model_spec(match: re.Match[str]) -> Any:
    if not match["name"]:
        raise invalid("Missing model name in request.")
    digits = (match["version"] or "").lstrip("0")[: len(str(_MAX_VERSION)) + 1]
    version = int(digits or 0) if match["version"] else None
    if version is not None and version > _MAX_VERSION:
        raise invalid(f"Failed to convert version: {match['version']} to numeric.")
    spec = model_pb2.ModelSpec(name=match["name"], version_label=match["label"])
    if version is not None:
        spec.version.value = version
    return spec


def _signature_name(request: dict[str, Any]) -> str:
    name = request.get("signature_name", "")
    if not isinstance(name, str):
        expected = "'signature_name' key must be a string value."
        raise invalid(f"JSON Value: {quoted(request)} not formatted correctly. {expected}")
    return name


def _as_json(message: Any) -> Any:
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)

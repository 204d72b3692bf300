"""REST interface: responses to HTTP requests with TF Serving's paths and JSON."""

import logging
import re
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from google.protobuf.json_format import MessageToDict
from prometheus_client import CONTENT_TYPE_LATEST
from tensorflow_serving.apis import get_model_metadata_pb2, model_pb2

from tfllmrec.serving.core import ServerCore
from tfllmrec.serving.http_messages import HttpError, Request, Response, error_response, json_response
from tfllmrec.serving.inference import classify, regress, requested_signature
from tfllmrec.serving.json_bodies import decompressed, quoted, read_object
from tfllmrec.serving.json_examples import input_from
from tfllmrec.serving.json_tensors import read_inputs, to_columns, to_rows
from tfllmrec.serving.status import HTTP_STATUS
from tfllmrec_client.status import RequestError, invalid

_VERSION = r"(?:(?i:/versions)/(?P<version>[0-9]+)|(?i:/labels)/(?P<label>[^/:]+))?"
_INFERENCE_PATH = re.compile(rf"(?i:/v1/models)/(?P<name>[^/:]+){_VERSION}:(?P<api>predict|classify|regress)")
_MODEL_PATH = re.compile(
    rf"(?i:/v1/models)(?:/(?P<name>[^/:]+))?{_VERSION}(?:(?P<metadata>/metadata)|(?i:/metadata))?"  # /METADATA: status
)
_MAX_VERSION = 2**63 - 1
_CORS_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, GET",
    "Access-Control-Allow-Headers": "Content-Type",
}
_log = logging.getLogger(__name__)


class RestApi:
    """Responses of the REST interface.

    Args:
        core: operations of the server.
        metrics_path: path of the Prometheus metrics; "" disables them.
        max_body_bytes: maximum size of a body after decompression.
        enable_cors: whether browsers may use responses on pages of other servers.
    """

    def __init__(
        self, core: ServerCore, metrics_path: str = "", *, max_body_bytes: int, enable_cors: bool = False
    ) -> None:
        self._core, self._metrics_path, self._max_body_bytes = core, metrics_path, max_body_bytes
        self._headers = _CORS_HEADERS if enable_cors else {}
        self._apis = {"predict": self._predict, "classify": self._classify, "regress": self._regress}

    def respond(self, request: Request) -> Response:
        """Respond with JSON, or with text for metrics. Errors have the form {"error": sentence}."""
        try:
            response = self._respond(request)
        except HttpError as error:
            response = error_response(error.status, str(error))
        except RequestError as error:
            response = error_response(HTTP_STATUS.get(error.code, 500), str(error))
        except Exception as error:
            _log.exception("%s failed", request.path)
            response = error_response(500, f"the request failed: {error}")
        return replace(response, headers={**response.headers, **self._headers})

    def _respond(self, request: Request) -> Response:
        method, path = request.method, request.path
        inference, model = _INFERENCE_PATH.fullmatch(path), _MODEL_PATH.fullmatch(path)
        is_metrics = path == self._metrics_path
        if not (is_metrics or path.lower().startswith("/v1/")):
            raise HttpError(HTTPStatus.NOT_FOUND, f"{path} does not exist: paths start with /v1/models")
        if method == "OPTIONS" and (is_metrics or inference or model):
            return Response(b"", headers={"Allow": "POST, OPTIONS" if inference else "GET, HEAD, OPTIONS"})
        if method in ("GET", "HEAD") and is_metrics:
            return Response(self._core.metrics.text(), content_type=CONTENT_TYPE_LATEST)
        if method == "POST" and inference:
            return json_response(self._infer(_model_spec(inference), inference["api"], request))
        if method in ("GET", "HEAD") and model:
            spec = _model_spec(model)
            return json_response(self._metadata(spec) if model["metadata"] else self._status(spec))
        raise invalid(f"Malformed request: {method} {path}")

    def _infer(self, spec: Any, api: str, request: Request) -> Any:
        with self._core.count_request(spec, api, "REST"):
            encoding = request.headers.get("content-encoding", "identity")
            content = read_object(decompressed(request.body, encoding, self._max_body_bytes))
            spec.signature_name = _signature_name(content)
            return self._apis[api](spec, content, request.deadline)

    def _predict(self, spec: Any, request: dict[str, Any], deadline: float) -> Any:
        signature = requested_signature(self._core, spec, 'Serving signature name: "{}" not found in signature def')
        inputs = read_inputs(request, signature)
        outputs = self._core.predict(spec, inputs, deadline=deadline)[1]
        return {"predictions": to_rows(outputs)} if "instances" in request else {"outputs": to_columns(outputs)}

    def _classify(self, spec: Any, request: dict[str, Any], deadline: float) -> Any:
        result = classify(self._core, spec, input_from(request), deadline)[1]
        return {"results": [[[each.label, each.score] for each in row.classes] for row in result.classifications]}

    def _regress(self, spec: Any, request: dict[str, Any], deadline: float) -> Any:
        result = regress(self._core, spec, input_from(request), deadline)[1]
        return {"results": [row.value for row in result.regressions]}

    def _metadata(self, spec: Any) -> Any:
        response = self._core.metadata(spec)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(signatures)
        return {
            "model_spec": _as_json(response.model_spec),
            "metadata": {"signature_def": _as_json(signatures)},
        }

    def _status(self, spec: Any) -> Any:
        return _as_json(self._core.status(spec))


def _model_spec(match: re.Match[str]) -> Any:
    if not match["name"]:
        raise invalid("Missing model name in request.")
    digits = (match["version"] or "").lstrip("0")[: len(str(_MAX_VERSION)) + 1]
    version = int(digits or 0) if match["version"] else None
    if version is not None and version > _MAX_VERSION:
        raise invalid(f"Failed to convert version: {match['version']} to numeric.")
    spec = model_pb2.ModelSpec(name=unquote(match["name"]), version_label=match["label"] and unquote(match["label"]))
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

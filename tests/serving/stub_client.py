"""Client of a model server that does not use tfllmrec: TF Serving's official stubs, and urllib for REST."""

import json
import urllib.error
import urllib.request
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2
from tensorflow_serving.apis.model_service_pb2_grpc import ModelServiceStub
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

from tfllmrec.serving import ServerProcess

TIMEOUT = 60.0
"""Seconds until a request counts as hanging. The tests do not measure time."""


@dataclass
class StubClient:
    """Send requests to one server with the official stubs and with urllib."""

    process: ServerProcess
    predictions: PredictionServiceStub
    models: ModelServiceStub

    @property
    def url(self):
        return self.process.rest_url

    def send(self, request):
        """Send a PredictRequest; return the ModelSpec and the arrays of the response. Strings are bytes."""
        response = self.predictions.Predict(request, timeout=TIMEOUT)
        return response.model_spec, {name: tf.make_ndarray(tensor) for name, tensor in response.outputs.items()}

    def predict(self, signature="retrieve", /, output_filter=(), spec=None, **inputs):
        return self.send(predict_request(signature, output_filter, spec, **inputs))[1]

    def metadata(self, *fields, **spec):
        request = get_model_metadata_pb2.GetModelMetadataRequest(model_spec=spec, metadata_field=fields)
        return self.predictions.GetModelMetadata(request, timeout=TIMEOUT)

    def status(self, **spec):
        request = get_model_status_pb2.GetModelStatusRequest(model_spec=spec)
        return self.models.GetModelStatus(request, timeout=TIMEOUT)

    def http(self, path, body=None, method=None):
        """Return the status and the JSON of the response. A body that is not bytes is written as JSON."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
                return read_response(response)
        except urllib.error.HTTPError as error:
            with error:
                return read_response(error)


def read_response(response):
    assert response.headers["Content-Type"] == "application/json"
    return response.status, json.loads(response.read())


def predict_request(signature="retrieve", output_filter=(), spec=None, **inputs):
    """Return a PredictRequest. Inputs are TensorProtos, arrays or lists; an empty list has the dtype string."""
    spec = {"name": "films"} if spec is None else spec
    request = predict_pb2.PredictRequest(model_spec=spec | {"signature_name": signature}, output_filter=output_filter)
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tensor_proto(value))
    return request


def tensor_proto(value):
    if isinstance(value, TensorProto):
        return value
    array = np.asarray(value)
    if array.dtype.kind in "OSU" or (not array.size and isinstance(value, list)):
        return tf.make_tensor_proto(np.asarray(value, object), tf.string, array.shape)
    return tf.make_tensor_proto(array, tf.int32 if array.dtype == np.int64 and isinstance(value, list) else None)

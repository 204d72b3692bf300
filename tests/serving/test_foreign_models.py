"""SavedModels that tfllmrec did not export: TF Serving's half_plus_two, models of TensorFlow 2, scalar outputs."""

import json
import urllib.request

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import classification_pb2, inference_pb2, input_pb2, predict_pb2, regression_pb2
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

from tfllmrec.serving.batching_parameters import BatchingParameters
from tfllmrec.serving.configuration import one_model
from tfllmrec.serving.server import ModelServer

CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"
EXAMPLES = tf.TensorSpec([None], tf.string, "inputs")


class Foreign(tf.Module):
    """Signatures as TensorFlow 2 writes them: the method name of each is that of Predict."""

    @tf.function(input_signature=[EXAMPLES])
    def regress(self, inputs):
        return {"outputs": tf.io.parse_example(inputs, {"x": tf.io.FixedLenFeature([], tf.float32)})["x"] * 2}

    @tf.function(input_signature=[EXAMPLES])
    def classify(self, inputs):
        rows = tf.size(inputs)
        return {"classes": tf.tile([["a", "b"]], [rows, 1]), "scores": tf.tile([[0.25, 0.75]], [rows, 1])}

    @tf.function(input_signature=[EXAMPLES])
    def wrong_rows(self, inputs):
        return {"outputs": tf.zeros([tf.size(inputs) + 1])}

    @tf.function(input_signature=[EXAMPLES])
    def wrong_dtype(self, inputs):
        return {"outputs": tf.zeros([tf.size(inputs)], tf.float64)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def scalars(self, x):
        return {"text": tf.strings.as_string(tf.size(x)), "count": tf.size(x), "data_bytes": tf.constant(b"\xff")}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def one_text(self, x):
        return {"text": tf.strings.join(["sum ", tf.strings.as_string(tf.reduce_sum(x), precision=1)])}

    @tf.function(input_signature=[tf.TensorSpec([None, 1], tf.float32, "x")])
    def dense(self, x):
        return {"y": tf.matmul(x, [[2.0]])}


def write_half_plus_two(path):
    """Write the model of TF Serving's tutorial: y = x / 2 + 2, with the shape [?, 1] in its SignatureDef."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 1], "x")
        a, b = (v1.get_variable(name, initializer=value) for name, value in (("a", 0.5), ("b", 2.0)))
        session.run(v1.global_variables_initializer())
        signature = v1.saved_model.build_signature_def(
            {"x": v1.saved_model.build_tensor_info(x)},
            {"y": v1.saved_model.build_tensor_info(a * x + b)},
            "tensorflow/serving/predict",
        )
        builder = v1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder, module = tmp_path_factory.mktemp("foreign"), Foreign()
    write_half_plus_two(folder / "half_plus_two" / "1")
    names = ("regress", "classify", "wrong_rows", "wrong_dtype", "scalars", "one_text", "dense")
    tf.saved_model.save(module, str(folder / "tf2" / "1"), {name: getattr(module, name) for name in names})
    return folder


class Server:
    def __init__(self, folder, batching):
        configs = [config for name in ("half_plus_two", "tf2") for config in one_model(name, folder / name)]
        self.server = ModelServer(configs, port=0, rest_api_port=0, batching=batching).start()
        self.channel = grpc.insecure_channel(self.server.grpc_address)
        self.stub = PredictionServiceStub(self.channel)

    def predict(self, model, x, signature=""):
        request = predict_pb2.PredictRequest(model_spec={"name": model, "signature_name": signature})
        request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.asarray(x, np.float32)))
        return {name: tf.make_ndarray(tensor) for name, tensor in self.stub.Predict(request).outputs.items()}

    def http(self, model, method="predict", **body):
        url = f"{self.server.rest_url}/v1/models/{model}:{method}"
        with urllib.request.urlopen(url, json.dumps(body).encode(), timeout=60) as response:
            return json.loads(response.read())

    def close(self):
        self.channel.close()
        self.server.stop()


@pytest.fixture(scope="module", params=[None, BatchingParameters(max_batch_size=8)], ids=["alone", "batching"])
def server(request, folder):
    server = Server(folder, request.param)
    yield server
    server.close()


@pytest.mark.parametrize(
    ("instances", "predictions"),
    [
        ([1.0, 2.0, 5.0], [2.5, 3.0, 4.5]),
        ([[1.0], [2.0]], [[2.5], [3.0]]),
        ([[1.0, 2.0]], [[2.5, 3.0]]),
        ([{"x": 5.0}], [4.5]),
    ],
)
def test_shapes_are_those_of_the_graph_over_rest(server, instances, predictions):
    assert server.http("half_plus_two", instances=instances) == {"predictions": predictions}


@pytest.mark.parametrize(("x", "y"), [([5], [4.5]), ([[5], [1]], [[4.5], [2.5]]), ([[[1, 2]]], [[[2.5, 3]]])])
def test_shapes_are_those_of_the_graph_over_grpc(server, x, y):
    assert server.predict("half_plus_two", x)["y"].tolist() == y


def test_a_scalar_has_no_rows_for_a_batch(server):
    if not server.server._core._batcher:
        assert server.predict("half_plus_two", 5)["y"].tolist() == 4.5
        assert server.http("half_plus_two", inputs=5.0) == {"outputs": 4.5}
        return
    with pytest.raises(grpc.RpcError, match="input tensors must have at least one dimension") as error:
        server.predict("half_plus_two", 5)
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_shape_that_the_graph_refuses_is_invalid(server):
    assert server.predict("tf2", [[3]], "dense")["y"].tolist() == [[6]]
    for x in ([3], [[1, 2]]):
        with pytest.raises(grpc.RpcError, match="dense failed: ") as error:
            server.predict("tf2", x, "dense")
        assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_scalar_outputs_are_returned(server):
    outputs = server.predict("tf2", [1, 2], "scalars")
    assert {name: value.tolist() for name, value in outputs.items()} == {
        "text": b"2",
        "count": 2,
        "data_bytes": b"\xff",
    }
    columns = {"text": "2", "count": 2, "data_bytes": {"b64": "/w=="}}
    assert server.http("tf2", inputs=[1.0, 2.0], signature_name="scalars") == {"outputs": columns}
    assert server.http("tf2", inputs=[1.0, 2.0], signature_name="one_text") == {"outputs": "sum 3.0"}
    with pytest.raises(urllib.error.HTTPError, match="400"):
        server.http("tf2", instances=[1.0, 2.0], signature_name="scalars")


def examples(*values):
    features = [tf.train.Features(feature={"x": tf.train.Feature(float_list={"value": [each]})}) for each in values]
    return input_pb2.Input(example_list={"examples": [tf.train.Example(features=each) for each in features]})


def spec(signature):
    return {"name": "tf2", "signature_name": signature}


def labels(result):
    return [[(each.label, each.score) for each in row.classes] for row in result.classifications]


def test_signatures_of_tensorflow_2_classify_and_regress(server):
    response = server.stub.Regress(regression_pb2.RegressionRequest(model_spec=spec("regress"), input=examples(1, 2)))
    assert [each.value for each in response.result.regressions] == [2, 4]
    request = classification_pb2.ClassificationRequest(model_spec=spec("classify"), input=examples(1, 2))
    assert labels(server.stub.Classify(request).result) == [[("a", 0.25), ("b", 0.75)]] * 2
    body = {"signature_name": "regress", "examples": [{"x": 3.0}]}
    assert server.http("tf2", "regress", **body) == {"results": [6]}


def test_multi_inference_of_tensorflow_2(server):
    tasks = [
        {"model_spec": spec("classify"), "method_name": CLASSIFY},
        {"model_spec": spec("regress"), "method_name": REGRESS},
    ]
    response = server.stub.MultiInference(inference_pb2.MultiInferenceRequest(tasks=tasks, input=examples(3)))
    assert labels(response.results[0].classification_result) == [[("a", 0.25), ("b", 0.75)]]
    assert [each.value for each in response.results[1].regression_result.regressions] == [6]


@pytest.mark.parametrize(
    ("signature", "sentence"),
    [
        ("classify", "Expected one output Tensor."),
        ("dense", "No regression inputs found in SignatureDef: dense"),
        ("wrong_rows", "Input batch size did not match output batch size: 1 vs. 2"),
        ("wrong_dtype", "Expected output Tensor of DT_FLOAT.  Got: float64"),
        ("nothing", "No signature was found with the name: nothing"),
    ],
)
def test_a_signature_that_cannot_regress_is_invalid(folder, signature, sentence):
    server = Server(folder, None)
    request = regression_pb2.RegressionRequest(model_spec=spec(signature), input=examples(1))
    with pytest.raises(grpc.RpcError) as error:
        server.stub.Regress(request)
    server.close()
    assert error.value.details() == " ".join(sentence.split())
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_an_unknown_method_is_unimplemented(server):
    tasks = [{"model_spec": spec("regress"), "method_name": "tensorflow/serving/predict"}]
    with pytest.raises(grpc.RpcError, match="Unsupported signature method_name: tensorflow/serving/predict") as error:
        server.stub.MultiInference(inference_pb2.MultiInferenceRequest(tasks=tasks, input=examples(3)))
    assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED

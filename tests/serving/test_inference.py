"""Classify, Regress and MultiInference of a TensorFlow 1 model over both interfaces, and metrics."""

import json
import urllib.error
import urllib.request

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    inference_pb2,
    input_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from tfllmrec.serving.configuration import one_model
from tfllmrec.serving.server import ModelServer

CLASSIFY, REGRESS, PREDICT = (f"tensorflow/serving/{api}" for api in ("classify", "regress", "predict"))
EVEN_AND_ODD = [["even", 0.25], ["odd", 0.75]]


@pytest.fixture(scope="module")
def sums(tmp_path_factory):
    """Export a model that reads x and y: their sum to regress, "even" .25 and "odd" .75 to classify; some invalid."""
    folder = tmp_path_factory.mktemp("models") / "sums"
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        examples = v1.placeholder(tf.string, [None], "examples")
        features = {name: tf.io.FixedLenFeature([], tf.float32) for name in "xy"}
        parsed = tf.io.parse_example(examples, features)
        bias = v1.get_variable("bias", initializer=10.0)
        total = parsed["x"] + parsed["y"] + bias
        rows = tf.shape(total)[0]
        classes, scores = tf.tile([["even", "odd"]], [rows, 1]), tf.tile([[0.25, 0.75]], [rows, 1])
        session.run(bias.initializer)
        methods = {
            "serving_default": (REGRESS, {"outputs": total}),
            "column": (REGRESS, {"outputs": total[:, None]}),
            "labels": (CLASSIFY, {"classes": classes, "scores": scores}),
            "only_scores": (CLASSIFY, {"scores": scores}),
            "only_classes": (CLASSIFY, {"classes": classes}),
            "neither": (CLASSIFY, {"probabilities": scores}),
            "flat": (CLASSIFY, {"scores": total}),
            "no_number": (REGRESS, {"outputs": scores}),
            "sums": (PREDICT, {"total": total}),
        }
        signatures = {
            name: v1.saved_model.build_signature_def(
                {"inputs": v1.saved_model.build_tensor_info(examples)},
                {key: v1.saved_model.build_tensor_info(tensor) for key, tensor in outputs.items()},
                method,
            )
            for name, (method, outputs) in methods.items()
        }
        builder = v1.saved_model.Builder(str(folder / "1"))
        builder.add_meta_graph_and_variables(session, ["serve"], signatures)
        builder.save()
    return folder


@pytest.fixture(scope="module")
def server(sums):
    running = ModelServer(one_model("sums", sums), port=0, rest_api_port=0, metrics_path="/metrics").start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(server.grpc_address) as connected:
        yield connected


@pytest.fixture(scope="module")
def stub(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


def example(**features):
    feature = {name: tf.train.Feature(float_list={"value": [value]}) for name, value in features.items()}
    return tf.train.Example(features=tf.train.Features(feature=feature))


TWO = input_pb2.Input(example_list={"examples": [example(x=1, y=2), example(x=3, y=4)]})
SHARED = input_pb2.Input(
    example_list_with_context={"examples": [example(x=1), example(x=3, y=4)], "context": example(y=2)}
)


def regression(signature="", examples=TWO):
    return regression_pb2.RegressionRequest(model_spec={"name": "sums", "signature_name": signature}, input=examples)


def classification(signature="labels", examples=TWO):
    spec = {"name": "sums", "signature_name": signature}
    return classification_pb2.ClassificationRequest(model_spec=spec, input=examples)


def classes(result):
    return [[[each.label, each.score] for each in row.classes] for row in result.classifications]


@pytest.mark.parametrize("examples", [TWO, SHARED], ids=["examples", "with a context"])
@pytest.mark.parametrize("signature", ["", "column"])
def test_regress_returns_a_value_per_example(stub, signature, examples):
    response = stub.Regress(regression(signature, examples))
    assert [each.value for each in response.result.regressions] == [13, 17]
    assert (response.model_spec.name, response.model_spec.version.value) == ("sums", 1)
    assert response.model_spec.signature_name == (signature or "serving_default")


@pytest.mark.parametrize(
    ("signature", "expected"),
    [
        ("labels", EVEN_AND_ODD),
        ("only_scores", [["", 0.25], ["", 0.75]]),
        ("only_classes", [["even", 0], ["odd", 0]]),
    ],
)
def test_classify_returns_labels_and_scores_per_example(stub, signature, expected):
    assert classes(stub.Classify(classification(signature)).result) == [expected] * 2


def test_multi_inference_returns_the_results_of_all_tasks(stub):
    tasks = [
        {"model_spec": {"name": "sums", "signature_name": "labels"}, "method_name": CLASSIFY},
        {"model_spec": {"name": "sums"}, "method_name": REGRESS},
    ]
    labels, sums = stub.MultiInference(inference_pb2.MultiInferenceRequest(tasks=tasks, input=TWO)).results
    assert classes(labels.classification_result) == [EVEN_AND_ODD] * 2
    assert [each.value for each in sums.regression_result.regressions] == [13, 17]
    assert (labels.model_spec.signature_name, sums.model_spec.signature_name) == ("labels", "serving_default")


def multi(*tasks):
    messages = [
        {"model_spec": {"name": name, "signature_name": "labels"}, "method_name": method} for name, method in tasks
    ]
    return inference_pb2.MultiInferenceRequest(tasks=messages, input=TWO)


EMPTY = input_pb2.Input()
INCOMPLETE = example(x=1)
REFUSED = {
    "no examples": ("Regress", regression(examples=EMPTY), "Input is empty"),
    "only a context": (
        "Regress",
        regression(examples=input_pb2.Input(example_list_with_context={"context": INCOMPLETE})),
        "Input is empty",
    ),
    "a feature is missing": (
        "Regress",
        regression(examples=input_pb2.Input(example_list={"examples": [INCOMPLETE]})),
        "y",
    ),
    "regress a classifier": ("Regress", regression("labels"), "Expected one output Tensor"),
    "classify a regressor": ("Classify", classification(""), "Expected classification signature"),
    "Expected classification signature": (
        "Classify",
        classification("neither"),
        "Expected classification signature",
    ),
    "scores without classes": (
        "Classify",
        classification("flat"),
        r"\[batch_size num_classes\] but got \[2\]",
    ),
    "no number": ("Regress", regression("no_number"), "Expected output Tensor shape to be either"),
    "no tasks": ("MultiInference", multi(), "Found ModelSpec with an empty model name"),
    "two models": ("MultiInference", multi(("sums", CLASSIFY), ("other", CLASSIFY)), "must access the same model name"),
    "twice": (
        "MultiInference",
        multi(("sums", CLASSIFY), ("sums", CLASSIFY)),
        "Duplicate evaluation of signature",
    ),
    "unknown signature": ("Classify", classification("x"), "No signature was found with the name: x"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_invalid_requests_are_refused(stub, case):
    api, request, words = REFUSED[case]
    with pytest.raises(grpc.RpcError, match=words) as error:
        getattr(stub, api)(request)
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert [each.value for each in stub.Regress(regression()).result.regressions] == [13, 17]


def post(server, api, body):
    url = f"{server.rest_url}/v1/models/sums:{api}"
    try:
        with urllib.request.urlopen(url, json.dumps(body).encode(), timeout=60) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())["error"]


def test_classify_and_regress_over_rest(server):
    examples = [{"x": 1.0, "y": [2.5]}, {"x": [3.0], "y": 4.0}]
    assert post(server, "regress", {"examples": examples}) == (200, {"results": [13.5, 17]})
    shared = {"context": {"y": 2.5}, "examples": [{"x": 1.0}, {"x": 3.0, "y": 4.0}]}
    assert post(server, "regress", shared) == (200, {"results": [13.5, 17]})
    body = {"signature_name": "labels", "examples": examples}
    assert post(server, "classify", body) == (200, {"results": [EVEN_AND_ODD] * 2})


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "key 'examples' is expected and was not found"),
        ({"examples": [{"x": 1, "y": 2.0}]}, "serving_default"),
        ({"examples": [{"x": 1.0, "y": []}]}, "serving_default"),
        ({"examples": [{"x": "\ud800"}]}, "JSON Parse error"),
        ({"examples": [{"x": 1.0}], "signature_name": "labels"}, "Expected one output Tensor"),
    ],
)
def test_invalid_bodies_are_refused(server, body, words):
    status, sentence = post(server, "regress", body)
    assert status == 400
    assert words in sentence


def read_metrics(server):
    """Return the metrics by name, from Prometheus' text format."""
    with urllib.request.urlopen(f"{server.rest_url}/metrics", timeout=60) as response:
        assert response.headers["Content-Type"].startswith("text/plain")
        lines = response.read().decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}


def test_requests_are_counted_by_model_and_status(server, stub):
    before = read_metrics(server)
    for _ in range(3):
        stub.Regress(regression())
    post(server, "regress", {"examples": [{"x": 1.0, "y": 2.5}]})
    post(server, "regress", {})
    with pytest.raises(grpc.RpcError):
        stub.Predict(predict_pb2.PredictRequest(model_spec={"name": "unknown"}))
    after = read_metrics(server)
    changes = {name: value - before.get(name, 0) for name, value in after.items() if value != before.get(name, 0)}
    serving = ":tensorflow:serving:request_"

    def count(model, status):
        return changes.pop(f'{serving}count{{model_name="{model}",status="{status}"}}')

    assert [count("sums", "OK"), count("sums", "INVALID_ARGUMENT"), count("", "NOT_FOUND")] == [4, 1, 1]
    labels = 'API="{}",entrypoint="{}",model_name="sums"'
    for api, entrypoint, count_of_api in (("Regress", "GRPC", 3), ("regress", "REST", 1)):
        assert changes[f"{serving}latency_count{{{labels.format(api, entrypoint)}}}"] == count_of_api
        assert changes[f"{serving}latency_sum{{{labels.format(api, entrypoint)}}}"] > 0
    assert all("request_latency" in name for name in changes)


def test_metrics_are_disabled_by_default(sums):
    running = ModelServer(one_model("sums", sums), port=0, rest_api_port=0).start()
    try:
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{running.rest_url}/metrics", timeout=60)
    finally:
        running.stop()

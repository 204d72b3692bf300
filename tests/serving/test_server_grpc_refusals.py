"""Requests that the gRPC interface refuses, with a code and one line."""

import grpc
import numpy as np
import pytest
import tensorflow as tf
from film_requests import INPUTS, VALID
from stub_client import predict_request
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
)

INVALID, NOT_FOUND = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("code", "signature", "changed", "words"),
    [
        pytest.param(INVALID, "retrieve", {"user_id": np.array([1, 2], np.int32)}, ["user_id"], id="int for string"),
        pytest.param(INVALID, "retrieve", {"history": np.ones((2, 1), np.float32)}, ["history"], id="float for string"),
        pytest.param(INVALID, "retrieve_ids", {"user": np.array([1, 2], np.int64)}, ["user"], id="int64 for int32"),
        pytest.param(INVALID, "retrieve_ids", {"user": ["1", "2"]}, ["user"], id="string for int32"),
        pytest.param(INVALID, "retrieve", {"user_id": [["a"], ["b"]]}, [], id="rank 2 for 1"),
        pytest.param(INVALID, "retrieve", {"user_id": np.array("a", object)}, [], id="rank 0 for 1"),
        pytest.param(INVALID, "retrieve", {"history": ["a", "b"]}, [], id="rank 1 for 2"),
        pytest.param(INVALID, "retrieve", {"user_id": ["a"] * 3}, [], id="more users than rows"),
        pytest.param(INVALID, "retrieve", {"exclude_item_ids": [["a"]] * 3}, [], id="more exclusions than rows"),
        pytest.param(INVALID, "similar_items", {"item_id": ["a"] * 5}, [], id="more items than exclusions"),
        pytest.param(INVALID, "retrieve", {"extra": ["a", "b"]}, ["extra"], id="extra"),
        pytest.param(INVALID, "retrieve", {"history": None}, ["history"], id="missing"),
        pytest.param(INVALID, "retrieve", dict.fromkeys(VALID), list(VALID), id="nothing"),
        pytest.param(grpc.StatusCode.FAILED_PRECONDITION, "retrieved", {}, ["retrieved"], id="unknown signature"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(server, assert_refused, code, signature, changed, words):
    inputs = INPUTS.get(signature, VALID) | changed
    request = predict_request(signature, **{name: value for name, value in inputs.items() if value is not None})
    assert_refused(code, lambda: server.send(request), *words)


@pytest.mark.parametrize("name", ["nothing", "", "user_id", "item_ids\n", "scores"])
def test_unknown_outputs_are_refused(server, assert_refused, name):
    assert_refused(INVALID, lambda: server.predict(output_filter=["scores", name], **VALID))


@pytest.mark.parametrize(
    ("code", "spec", "words"),
    [
        pytest.param(NOT_FOUND, {"name": "filmz"}, ["filmz"], id="unknown model"),
        pytest.param(NOT_FOUND, {"name": "Films"}, ["Films"], id="upper case"),
        pytest.param(NOT_FOUND, {"name": "films", "version": {"value": 3}}, ["films", "3"], id="unknown version"),
        pytest.param(NOT_FOUND, {"name": "films", "version": {"value": 0}}, ["films", "0"], id="version 0"),
        pytest.param(NOT_FOUND, {"name": "films", "version": {"value": -(2**63)}}, ["films"], id="lowest int64"),
        pytest.param(INVALID, {"name": "films", "version_label": "beta"}, ["beta"], id="unknown label"),
        pytest.param(INVALID, {"name": "films", "version_label": ""}, ["label"], id="empty label"),
        pytest.param(INVALID, {"name": "popular", "version_label": "stable"}, ["stable"], id="another model's label"),
    ],
)
def test_unknown_models_versions_and_labels_are_refused(server, assert_refused, code, spec, words):
    assert_refused(code, lambda: server.predict(spec=spec, **VALID), *words)
    assert_refused(code, lambda: server.metadata("signature_def", **spec), *words)
    assert_refused(code, lambda: server.status(**spec), *words)


@pytest.mark.parametrize("version", [{}, {"version": {"value": 1}}])
def test_a_model_that_does_not_load_is_not_found(server, assert_refused, version):
    assert_refused(NOT_FOUND, lambda: server.predict(spec={"name": "broken"} | version, **VALID), "broken")
    assert_refused(NOT_FOUND, lambda: server.metadata("signature_def", name="broken", **version), "broken")


def test_a_refusal_does_not_show_python_values(server):
    with pytest.raises(grpc.RpcError) as error:
        server.predict(spec={"name": "broken"}, **VALID)
    assert "None" not in error.value.details()


@pytest.mark.parametrize("spec", [{"name": ""}, {"version": {"value": 1}}])
def test_a_request_without_a_model_name_is_refused(server, assert_refused, spec):
    assert_refused(INVALID, lambda: server.predict(spec=spec, **VALID), "ModelSpec has no name specified.")
    assert_refused(INVALID, lambda: server.metadata("signature_def", **spec), "ModelSpec has no name specified.")
    assert_refused(NOT_FOUND, lambda: server.status(**spec), "Could not find any versions of model")


def test_a_missing_model_spec_is_refused(server, assert_refused):
    requests = {
        server.predictions.Predict: predict_pb2.PredictRequest(),
        server.predictions.GetModelMetadata: get_model_metadata_pb2.GetModelMetadataRequest(
            metadata_field=["signature_def"]
        ),
        server.models.GetModelStatus: get_model_status_pb2.GetModelStatusRequest(),
    }
    for method, request in requests.items():
        assert_refused(INVALID, lambda method=method, request=request: method(request, timeout=60), "Missing ModelSpec")


@pytest.mark.parametrize("fields", [[], ["signatures"], ["signature_def", "more"], [""]])
def test_unknown_metadata_fields_are_refused(server, assert_refused, fields):
    assert_refused(INVALID, lambda: server.metadata(*fields, name="films"), "etadata")


def test_classify_on_a_predict_signature_is_refused(server, assert_refused):
    request = classification_pb2.ClassificationRequest(model_spec={"name": "films"})
    words = "Expected one input Tensor."
    assert_refused(INVALID, lambda: server.predictions.Classify(request, timeout=60), words)


LONG = {
    "ascii": "x" * 100_000,
    "emoji": "🎬" * 25_000,
    "chinese": "长" * 33_000,
    "nul": "\0" * 100_000,
    "lines": "x\n" * 50_000,
}


@pytest.mark.parametrize("name", LONG.values(), ids=LONG)
def test_names_of_100_kb_are_unknown_names(server, assert_refused, name):
    assert_refused(NOT_FOUND, lambda: server.predict(spec={"name": name}, **VALID))
    assert_refused(INVALID, lambda: server.predict(spec={"name": "films", "version_label": name}, **VALID))
    assert_refused(grpc.StatusCode.FAILED_PRECONDITION, lambda: server.predict(name, **VALID))
    assert_refused(INVALID, lambda: server.predict(output_filter=[name], **VALID))
    assert_refused(INVALID, lambda: server.predict(**VALID, **{name: ["a", "b"]}))


def test_a_long_quote_fits_into_the_headers(server):
    """gRPC randomly drops responses with headers beyond 8 kB, where an escaped byte takes 3 bytes."""
    codes = set()
    for _ in range(30):
        with pytest.raises(grpc.RpcError) as error:
            server.predict(spec={"name": LONG["emoji"]}, **VALID)
        codes.add(error.value.code())
    assert codes == {NOT_FOUND}


@pytest.mark.parametrize("name", ["a\nb", "🎬", "\0", "\u2028"])
def test_a_refusal_with_a_quoted_name_is_one_line(server, assert_refused, name):
    assert_refused(INVALID, lambda: server.predict(**VALID, **{name: ["a", "b"]}))
    assert_refused(NOT_FOUND, lambda: server.predict(spec={"name": name}, **VALID))


IMPOSSIBLE = {
    "more values than elements": {"string_val": [b"a", b"b"], "tensor_shape": {"dim": [{"size": 1}]}},
    "values for an empty shape": {"string_val": [b"a"], "tensor_shape": {"dim": [{"size": 0}]}},
    "negative size": {"string_val": [b"a"], "tensor_shape": {"dim": [{"size": -1}]}},
    "unknown rank": {"string_val": [b"a"], "tensor_shape": {"unknown_rank": True}},
    "larger than the memory": {"string_val": [b"a"], "tensor_shape": {"dim": [{"size": 2**40}]}},
    "more elements than int64": {"string_val": [b"a"], "tensor_shape": {"dim": [{"size": 2**62}] * 4}},
    "too many dimensions": {"string_val": [b"a"], "tensor_shape": {"dim": [{"size": 1}] * 300}},
    "strings in tensor_content": {"tensor_content": b"abc", "tensor_shape": {"dim": [{"size": 1}]}},
}


@pytest.mark.parametrize("tensor", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_impossible_tensors_are_refused(server, assert_refused, tensor):
    request = predict_request(**VALID)
    request.inputs["user_id"].CopyFrom(tf.make_tensor_proto("").__class__(dtype=7, **tensor))
    assert_refused(INVALID, lambda: server.send(request), "tensor parsing error: user_id")


@pytest.mark.parametrize("dtype", [0, 8, 14, 18, 19, 20, 21, 101, 107, 999])
def test_unsupported_dtypes_are_refused(server, assert_refused, dtype):
    request = predict_request(**VALID)
    request.inputs["user_id"].dtype = dtype
    assert_refused(INVALID, lambda: server.send(request), "tensor parsing error: user_id")

"""What the gRPC interface refuses: a code and one line."""

import grpc
import numpy as np
import pytest
import tensorflow as tf
from film_requests import INPUTS, VALID
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
        pytest.param(INVALID, "retrieve", {"user_id": [["a"], ["b"]]}, ["user_id"], id="rank 2 for 1"),
        pytest.param(INVALID, "retrieve", {"user_id": np.array("a", object)}, ["user_id"], id="rank 0 for 1"),
        pytest.param(INVALID, "retrieve", {"history": ["a", "b"]}, ["history"], id="rank 1 for 2"),
        pytest.param(INVALID, "retrieve_ids", {"history": [[1] * 5] * 2}, ["history"], id="wider than the model"),
        pytest.param(INVALID, "retrieve", {"user_id": ["a"] * 3}, [], id="more users than rows"),
        pytest.param(INVALID, "retrieve", {"exclude_item_ids": [["a"]] * 3}, [], id="more exclusions than rows"),
        pytest.param(INVALID, "similar_items", {"item_id": ["a"] * 5}, [], id="more items than exclusions"),
        pytest.param(INVALID, "retrieve", {"extra": ["a", "b"]}, ["extra"], id="extra"),
        pytest.param(INVALID, "retrieve", {"history": None}, ["history"], id="missing"),
        pytest.param(INVALID, "retrieve", dict.fromkeys(VALID), list(VALID), id="nothing"),
        pytest.param(grpc.StatusCode.FAILED_PRECONDITION, "retrieved", {}, ["retrieved"], id="unknown signature"),
    ],
)
def test_inputs_that_do_not_fit(server, refused, request_for, code, signature, changed, words):
    inputs = INPUTS.get(signature, VALID) | changed
    request = request_for(signature, **{name: value for name, value in inputs.items() if value is not None})
    refused(code, lambda: server.send(request), *words)


@pytest.mark.parametrize("name", ["nothing", "", "user_id", "item_ids\n"])
def test_outputs_that_are_none(server, refused, name):
    refused(INVALID, lambda: server.predict(output_filter=["scores", name], **VALID))


@pytest.mark.parametrize(
    ("code", "spec", "words"),
    [
        pytest.param(NOT_FOUND, {"name": "filmz"}, ["filmz"], id="unknown model"),
        pytest.param(NOT_FOUND, {"name": "Films"}, ["Films"], id="upper case"),
        pytest.param(NOT_FOUND, {"name": "films", "version": {"value": 3}}, ["films", "3"], id="unknown version"),
        pytest.param(NOT_FOUND, {"name": "films", "version": {"value": 0}}, ["films", "0"], id="version 0"),
        pytest.param(NOT_FOUND, {"name": "films", "version": {"value": -(2**63)}}, ["films"], id="below all"),
        pytest.param(INVALID, {"name": "films", "version_label": "beta"}, ["films", "beta"], id="unknown label"),
        pytest.param(INVALID, {"name": "films", "version_label": ""}, ["films"], id="empty label"),
        pytest.param(INVALID, {"name": "popular", "version_label": "stable"}, ["stable"], id="another model's label"),
        pytest.param(INVALID, {"name": ""}, ["model"], id="no name"),
        pytest.param(INVALID, {"version": {"value": 1}}, ["model"], id="version alone"),
    ],
)
def test_models_that_are_not_there(server, refused, code, spec, words):
    refused(code, lambda: server.predict(spec=spec, **VALID), *words)
    refused(code, lambda: server.metadata("signature_def", **spec), *words)
    refused(code, lambda: server.status(**spec), *words)


@pytest.mark.parametrize("version", [{}, {"version": {"value": 1}}])
def test_a_model_that_does_not_load_is_not_served(server, refused, version):
    refused(NOT_FOUND, lambda: server.predict(spec={"name": "broken"} | version, **VALID), "broken")
    refused(NOT_FOUND, lambda: server.metadata("signature_def", name="broken", **version), "broken")


def test_a_refusal_names_no_python(server):
    with pytest.raises(grpc.RpcError) as refusal:
        server.predict(spec={"name": "broken"}, **VALID)
    assert "None" not in refusal.value.details()


def test_no_model_spec_at_all(server, refused):
    asked = {
        server.predictions.Predict: predict_pb2.PredictRequest(),
        server.predictions.GetModelMetadata: get_model_metadata_pb2.GetModelMetadataRequest(
            metadata_field=["signature_def"]
        ),
        server.models.GetModelStatus: get_model_status_pb2.GetModelStatusRequest(),
    }
    for method, request in asked.items():
        refused(INVALID, lambda method=method, request=request: method(request, timeout=60), "model")


@pytest.mark.parametrize("fields", [[], ["signatures"], ["signature_def", "more"], [""]])
def test_metadata_that_is_none(server, refused, fields):
    refused(INVALID, lambda: server.metadata(*fields, name="films"), "signature_def")


def test_an_export_classifies_nothing(server, refused):
    request = classification_pb2.ClassificationRequest(model_spec={"name": "films"})
    words = "serving_default has the method tensorflow/serving/predict"
    refused(INVALID, lambda: server.predictions.Classify(request, timeout=60), words)


LONG = {
    "ascii": "x" * 100_000,
    "emoji": "🎬" * 25_000,
    "chinese": "长" * 33_000,
    "nul": "\0" * 100_000,
    "lines": "x\n" * 50_000,
}


@pytest.mark.parametrize("name", LONG.values(), ids=LONG)
def test_a_name_of_100_kb_is_an_unknown_name(server, refused, name):
    refused(NOT_FOUND, lambda: server.predict(spec={"name": name}, **VALID))
    refused(INVALID, lambda: server.predict(spec={"name": "films", "version_label": name}, **VALID))
    refused(grpc.StatusCode.FAILED_PRECONDITION, lambda: server.predict(name, **VALID))
    refused(INVALID, lambda: server.predict(output_filter=[name], **VALID))
    refused(INVALID, lambda: server.predict(**VALID, **{name: ["a", "b"]}))


def test_a_long_quote_fits_into_the_headers_every_time(server):
    """Beyond 8 kB, counted in escapes of 3 bytes a byte, gRPC drops answers at random."""
    codes = set()
    for _ in range(30):
        with pytest.raises(grpc.RpcError) as refusal:
            server.predict(spec={"name": LONG["emoji"]}, **VALID)
        codes.add(refusal.value.code())
    assert codes == {NOT_FOUND}


@pytest.mark.parametrize("name", ["a\nb", "🎬", "\0", "\u2028"])
def test_a_refusal_is_one_line_whatever_it_quotes(server, refused, name):
    refused(INVALID, lambda: server.predict(**VALID, **{name: ["a", "b"]}))
    refused(NOT_FOUND, lambda: server.predict(spec={"name": name}, **VALID))


IMPOSSIBLE = {
    "too few places": {"string_val": [b"a", b"b"], "tensor_shape": {"dim": [{"size": 1}]}},
    "values for no places": {"string_val": [b"a"], "tensor_shape": {"dim": [{"size": 0}]}},
    "below zero": {"string_val": [b"a"], "tensor_shape": {"dim": [{"size": -1}]}},
    "unknown rank": {"string_val": [b"a"], "tensor_shape": {"unknown_rank": True}},
    "beyond memory": {"string_val": [b"a"], "tensor_shape": {"dim": [{"size": 2**40}]}},
    "beyond numbers": {"string_val": [b"a"], "tensor_shape": {"dim": [{"size": 2**62}] * 4}},
    "beyond ranks": {"string_val": [b"a"], "tensor_shape": {"dim": [{"size": 1}] * 300}},
    "strings as bytes": {"tensor_content": b"abc", "tensor_shape": {"dim": [{"size": 1}]}},
}


@pytest.mark.parametrize("tensor", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_tensors_that_are_none(server, refused, request_for, tensor):
    request = request_for(**VALID)
    request.inputs["user_id"].CopyFrom(tf.make_tensor_proto("").__class__(dtype=7, **tensor))
    refused(INVALID, lambda: server.send(request), "user_id")


@pytest.mark.parametrize("dtype", [0, 8, 14, 18, 19, 20, 21, 101, 107, 999])
def test_dtypes_that_no_signature_takes(server, refused, request_for, dtype):
    request = request_for(**VALID)
    request.inputs["user_id"].dtype = dtype
    refused(INVALID, lambda: server.send(request), "user_id")

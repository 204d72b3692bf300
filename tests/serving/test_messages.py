"""Messages of the client against the stubs of tensorflow-serving-api."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf.descriptor import FieldDescriptor
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import get_model_status_pb2, predict_pb2

from tfllmrec_client import messages
from tfllmrec_client.messages import declare

PAIRS = [
    (messages.PredictRequest, predict_pb2.PredictRequest),
    (messages.PredictResponse, predict_pb2.PredictResponse),
    (messages.GetModelStatusRequest, get_model_status_pb2.GetModelStatusRequest),
    (messages.GetModelStatusResponse, get_model_status_pb2.GetModelStatusResponse),
]
VALUES = {
    "tensor_content": b"\0\xff",
    "float_val": [1.5, -0.0],
    "double_val": [1e300],
    "int_val": [-3, 2**31 - 1],
    "string_val": ["电影".encode(), b"\xff\0", b""],
    "int64_val": [-(2**63), 7],
    "bool_val": [True, False],
    "uint32_val": [2**32 - 1],
    "uint64_val": [2**64 - 1, 0],
}
TENSORS = {
    field: {"dtype": 9, "tensor_shape": {"dim": [{"size": 2}, {"size": -1}]}, field: VALUES[field]} for field in VALUES
}
TENSORS[""] = {"dtype": 23, "tensor_shape": {"unknown_rank": True}}
SPECS = [
    {"name": "films", "signature_name": "retrieve", "version": {"value": 2**62}},
    {"name": "films", "version": {"value": 0}},
    {"name": "电影", "version_label": "stable"},
]
STATUSES = [
    {"version": 2**40, "state": 30, "status": {}},
    {"version": 1, "state": 50, "status": {"error_code": 2, "error_message": "损坏"}},
]
MESSAGES = [
    *((0, {"model_spec": spec, "inputs": TENSORS}) for spec in SPECS),
    *((1, {"model_spec": spec, "outputs": TENSORS}) for spec in SPECS),
    *((2, {"model_spec": spec}) for spec in SPECS),
    (3, {"model_version_status": STATUSES}),
]
IMPORT_WITHOUT_TENSORFLOW = """
import sys
import tfllmrec_client, tfllmrec.serving
assert tfllmrec.serving.Client is tfllmrec_client.Client
assert tfllmrec.serving.AsyncClient is tfllmrec_client.AsyncClient
heavy = {"tensorflow", "tensorflow_serving", "keras", "pandas"} & sys.modules.keys()
assert not heavy, heavy
"""
STUBS = """
import importlib.util, sys, types
tensorflow = types.ModuleType("tensorflow")  # only its generated stubs: importing the rest takes many seconds
tensorflow.__path__ = list(importlib.util.find_spec("tensorflow").submodule_search_locations)
sys.modules["tensorflow"] = tensorflow
from tensorflow_serving.apis import get_model_status_pb2, predict_pb2
"""
EXCHANGE = """
light = messages.PredictRequest(model_spec={"name": "films", "version": {"value": 3}}, inputs={"x": {"int_val": [5]}})
stub = predict_pb2.PredictRequest.FromString(light.SerializeToString())
assert (stub.model_spec.name, stub.model_spec.version.value, list(stub.inputs["x"].int_val)) == ("films", 3, [5])
assert messages.PredictRequest.FromString(stub.SerializeToString()) == light
"""


@pytest.mark.parametrize(("pair", "fields"), MESSAGES)
def test_both_classes_write_the_same_bytes_and_read_each_other(pair, fields):
    light, stub = (message(**fields) for message in PAIRS[pair])
    assert light.SerializeToString(deterministic=True) == stub.SerializeToString(deterministic=True)
    assert type(stub).FromString(light.SerializeToString()) == stub
    assert type(light).FromString(stub.SerializeToString()) == light


def test_a_message_of_the_stub_is_read():
    stub = predict_pb2.PredictRequest(model_spec=SPECS[0], inputs={"history": TENSORS["string_val"]})
    read = messages.PredictRequest.FromString(stub.SerializeToString())
    assert (read.model_spec.name, read.model_spec.signature_name) == ("films", "retrieve")
    assert read.model_spec.HasField("version")
    assert read.model_spec.version.value == 2**62
    assert [dim.size for dim in read.inputs["history"].tensor_shape.dim] == [2, -1]
    assert list(read.inputs["history"].string_val) == VALUES["string_val"]


@pytest.mark.parametrize("pair", range(len(PAIRS)))
def test_every_field_has_the_number_and_the_type_of_the_stub(pair):
    light, stub = (message.DESCRIPTOR for message in PAIRS[pair])
    seen, pending = set(), [(light, stub)]
    while pending:
        light, stub = pending.pop()
        for name, field in light.fields_by_name.items():
            official = stub.fields_by_name[name]
            kind = FieldDescriptor.TYPE_INT32 if official.type == FieldDescriptor.TYPE_ENUM else official.type
            assert (field.number, field.type, field.is_repeated) == (official.number, kind, official.is_repeated), name
            if field.message_type and field.message_type.full_name not in seen:
                seen.add(field.message_type.full_name)
                pending.append((field.message_type, official.message_type))


@pytest.mark.parametrize(
    "array", [np.float32([[1, 2]]), np.array([b"\xff", b""], object), np.int64([]), np.bool_(True)]
)
def test_tensors_of_tensorflow_are_read(array):
    stub = predict_pb2.PredictResponse(outputs={"y": tf.make_tensor_proto(array)})
    tensor = messages.PredictResponse.FromString(stub.SerializeToString()).outputs["y"]
    back = tf.make_ndarray(tensor_pb2.TensorProto.FromString(tensor.SerializeToString()))
    np.testing.assert_array_equal(back, array)
    assert back.shape == array.shape


def test_unknown_fields_are_skipped():
    request = predict_pb2.PredictRequest(
        inputs={"x": {"dtype": 19, "half_val": [1], "int_val": [4]}}, output_filter=["y"]
    )
    assert list(messages.PredictRequest.FromString(request.SerializeToString()).inputs["x"].int_val) == [4]


def test_declared_messages_have_scalars_lists_maps_and_wrappers():
    table = {
        "Point": {"x": (1, "double"), "name": (2, "StringValue")},
        "Line": {
            "points": (1, "repeated Point"),
            "by_name": (2, "map<string> Point"),
            "counts": (3, "map<string> int64"),
            "tags": (4, "repeated string"),
            "limit": (5, "Int64Value"),
        },
    }
    line = declare("lines", table)["Line"]
    message = line(
        points=[{"x": 1}, {"x": 2}], by_name={"a": {"x": 3}}, counts={"b": 4}, tags=["c", "d"], limit={"value": 0}
    )
    message.by_name["e"].name.value = "five"
    read = line.FromString(message.SerializeToString())
    assert [point.x for point in read.points] == [1, 2]
    assert (read.by_name["a"].x, read.by_name["e"].name.value, dict(read.counts)) == (3, "five", {"b": 4})
    assert not read.by_name["a"].HasField("name")
    assert (list(read.tags), read.HasField("limit"), line().HasField("limit")) == (["c", "d"], True, False)
    same_name = declare("lines", {"Line": {"other": (1, "bytes")}})["Line"]
    assert same_name(other=b"\xff").other == b"\xff"


def test_an_unknown_type_cannot_be_declared():
    with pytest.raises(ValueError, match="TYPE_FLOTE"):
        declare("typo", {"Point": {"x": (1, "flote")}})


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(IMPORT_WITHOUT_TENSORFLOW, id="no TensorFlow"),
        pytest.param(f"from tfllmrec_client import messages\n{STUBS}{EXCHANGE}", id="before the stubs"),
        pytest.param(f"{STUBS}from tfllmrec_client import messages\n{EXCHANGE}", id="after the stubs"),
    ],
)
def test_importing_needs_no_tensorflow_and_works_with_the_stubs_in_any_order(program):
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr

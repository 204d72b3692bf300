"""JSON forms of inputs: rows, columns and refused values."""

import json
import math

import grpc
import numpy as np
import pytest
import tensorflow as tf
from json_forms import DTYPE_NUMBERS, error_of, from_columns, from_rows, signature
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef

from tfllmrec.serving.json_tensors import read_inputs, to_columns
from tfllmrec.serving.signature import Signature
from tfllmrec_client.status import RequestError

VERY_DEEP = 10_000
BOTH = signature(user="string", history="int32")
ONE = signature(user="string")


def assert_array(array, dtype, expected):
    assert (array.dtype, array.tolist()) == (np.dtype(object if dtype == "string" else dtype), expected)


def test_rows_of_several_inputs_are_objects():
    arrays = from_rows([{"user": "电影", "history": [1, 2]}, {"history": [3, 4], "user": ""}], BOTH)
    assert_array(arrays["user"], "string", ["电影".encode(), b""])
    assert_array(arrays["history"], "int32", [[1, 2], [3, 4]])


def test_columns_of_several_inputs_are_an_object():
    arrays = from_columns({"history": [[1], [2]], "user": "a"}, BOTH)
    assert_array(arrays["user"], "string", b"a")
    assert_array(arrays["history"], "int32", [[1], [2]])


@pytest.mark.parametrize("row", ["a", {"user": "a"}, {"b64": "YQ=="}, {"user": {"b64": "YQ=="}}])
def test_rows_of_a_single_input_may_be_bare(row):
    assert_array(from_rows([row, row], ONE)["user"], "string", [b"a", b"a"])


@pytest.mark.parametrize(
    ("value", "expected"),
    [("a", b"a"), ([], []), ([[], []], [[], []]), ([["a"], ["b"]], [[b"a"], [b"b"]]), ({"b64": "/wA="}, b"\xff\0")],
)
def test_a_column_of_a_single_input_may_be_bare(value, expected):
    assert_array(from_columns(value, ONE)["user"], "string", expected)
    assert_array(from_columns({"user": value}, ONE)["user"], "string", expected)
    assert from_columns(value, ONE)["user"].shape == np.array(expected, object).shape


ELEMENT = "Failed to process element: {} of 'instances' list. "


@pytest.mark.parametrize("bare", ["a", 1, ["a"], None, {"b64": "YQ=="}])
def test_bare_values_for_several_inputs_are_refused(bare):
    needed = "multiple input tensors required as per tensorinfo_map"
    rows = f"instances is a plain list, but expecting list of objects as {needed}"
    assert error_of(from_rows, [bare], BOTH) == rows
    columns = f"inputs is a plain value/list, but expecting an object as {needed}"
    assert error_of(from_columns, bare, BOTH) == columns


@pytest.mark.parametrize("keys", [[], ["user"], ["history"], ["user", "history", "more"], ["user", "History"]])
def test_keys_that_are_not_the_inputs_are_refused(keys):
    row = {key: "a" if key == "user" else [1] for key in keys}
    valid = {"user": "a", "history": [1]}
    if unknown := [key for key in keys if key not in valid]:
        place = f"{{}} key: {unknown[0]}"
        sentence = f"Error: INVALID_ARGUMENT: JSON object: does not have named input: {unknown[0]}"
    else:
        place, sentence = "{}", f"JSON object: {json.dumps(row)} keys must be equal to: history,user"
    assert error_of(from_rows, [row, valid], BOTH) == ELEMENT.format(place.format(0)) + sentence
    assert error_of(from_rows, [valid, row], BOTH) == ELEMENT.format(place.format(1)) + sentence


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        ({}, "Missing named input: history in 'inputs' object."),
        ({"user": "a"}, "Missing named input: history in 'inputs' object."),
        ({"history": [1]}, "Missing named input: user in 'inputs' object."),
        ({"history": [1], "user": "a", "more": 1}, "Unknown named input: more in 'inputs' object."),
    ],
)
def test_columns_that_are_not_the_inputs_are_refused(inputs, sentence):
    assert error_of(from_columns, inputs, BOTH) == sentence


@pytest.mark.parametrize("row", ["a", ["a"], None, {"b64": "YQ=="}])
def test_a_bare_row_among_objects_is_refused(row):
    sentence = "Expecting object but got list at item 1 of input list"
    assert error_of(from_rows, [{"user": "a"}, row], ONE) == sentence


def test_an_object_among_bare_rows_is_refused():
    sentence = "Expecting value/list but got object at item 1 of input list"
    assert error_of(from_rows, ["a", {"user": "a"}], ONE) == sentence


@pytest.mark.parametrize(
    ("request_text", "sentence"),
    [
        ('{"instances": {}}', "JSON Value: {} Expecting 'instances' to be an list/array"),
        ('{"instances": null}', "JSON Value: {} Expecting 'instances' to be an list/array"),
        ('{"instances": "a"}', "JSON Value: {} Expecting 'instances' to be an list/array"),
        ('{"instances": []}', "JSON Value: {} No values in 'instances' array"),
        ("{}", "Missing 'inputs' or 'instances' key"),
        ('{"examples": []}', "Missing 'inputs' or 'instances' key"),
        (
            '{"instances": ["a"], "inputs": null}',
            "JSON Value: {} Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist",
        ),
    ],
)
def test_a_request_without_rows_or_columns_is_refused(request_text, sentence):
    assert error_of(read_inputs, json.loads(request_text), ONE) == sentence.replace("{}", request_text)


def test_a_signature_without_inputs_has_no_json_form():
    for request in ({"inputs": {}}, {"instances": [{}]}):
        assert error_of(read_inputs, request, signature()) == "Failed to get input map for signature: sign"


SIZE = "Encountered list at unexpected size: {} at level: {} expected size: {}"
LEVEL = "JSON Value: {} found at incorrect level: {} in the JSON DOM. Expected at level: {}"


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ([[1], [1, 2]], SIZE.format(2, 1, 1)),
        ([[1, 2], [1]], SIZE.format(1, 1, 2)),
        ([[1], []], SIZE.format(0, 1, 1)),
        ([[], [1]], SIZE.format(1, 1, 0)),
        ([[1], 1], LEVEL.format(1, 2, 2)),
        ([[1], None], LEVEL.format("null", 2, 2)),
        ([[], "a"], LEVEL.format('"a"', 2, 2)),
        ([[[1]], [[1], [2]]], SIZE.format(2, 1, 1)),
        ([1, [1]], "Encountered list at unexpected level: 1 expected < 1"),
    ],
)
def test_lists_of_different_lengths_are_refused(value, sentence):
    assert error_of(from_columns, value, signature(x="int32")) == sentence


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([[1], [1, 2]], "Expecting tensor size: 1 but got: 2"),
        ([1, [1]], "Expecting shape [] but got: [1]"),
        ([[[1, 2]], [[1], [2]]], "Expecting shape [1,2] but got: [2,1]"),
        ([[1], []], "Expecting tensor size: 1 but got: 0"),
        ([[1], None], "JSON Value: null Type: Null is not of expected type: int32"),
    ],
)
def test_rows_of_different_shapes_are_refused(rows, sentence):
    error = f"Error: INVALID_ARGUMENT: {sentence}"
    assert error_of(from_rows, rows, signature(x="int32")) == ELEMENT.format(1) + error
    named = [{"x": row} for row in rows]
    assert error_of(from_rows, named, signature(x="int32")) == ELEMENT.format("1 key: x") + error


@pytest.mark.parametrize(
    ("dtype", "value", "type_name"),
    [
        *((dtype, True, "True") for dtype in DTYPE_NUMBERS if dtype != "bool"),
        *((dtype, None, "Null") for dtype in DTYPE_NUMBERS),
        *((dtype, {"a": 1}, "Object") for dtype in DTYPE_NUMBERS if dtype != "string"),
        *((dtype, "1", "String") for dtype in DTYPE_NUMBERS if dtype != "string"),
        *((dtype, {"b64": "YQ=="}, "Object") for dtype in DTYPE_NUMBERS if dtype != "string"),
        *((dtype, 1.0, "Number") for dtype in DTYPE_NUMBERS if "int" in dtype),
        ("bool", 1, "Number"),
        ("bool", 0.0, "Number"),
        ("string", 1, "Number"),
        ("string", 1.5, "Number"),
        ("string", False, "False"),
    ],
)
def test_a_value_of_another_type_is_refused(dtype, value, type_name):
    valid = {"string": "a", "bool": True}.get(dtype, 1)
    name = {"float32": "float", "float64": "double"}.get(dtype, dtype)
    sentence = error_of(from_columns, {"x": [valid, value]}, signature(x=dtype))
    assert sentence == f"JSON Value: {json.dumps(value)} Type: {type_name} is not of expected type: {name}"


@pytest.mark.parametrize("value", [{}, {"a": 1}, {"b64": 1}, {"b64": "YQ==", "more": 1}])
def test_an_object_that_is_not_base64_is_refused_as_a_string(value):
    sentence = f"JSON Value: {json.dumps(value)} not formatted correctly for base64 data"
    assert error_of(from_columns, ["a", value], ONE) == sentence


@pytest.mark.parametrize(("number", "name"), [(17, "uint16"), (19, "half"), (14, "bfloat16"), (8, "complex64")])
def test_a_dtype_without_a_json_form_is_refused(number, name):
    unsupported = Signature("sign", SignatureDef(inputs={"x": {"name": "x:0", "dtype": number}}))
    with pytest.raises(RequestError, match=f"^Conversion of JSON Value: 1 to type: {name}$") as error:
        from_columns([1], unsupported)
    assert error.value.code is grpc.StatusCode.UNIMPLEMENTED
    output = np.zeros(2, tf.as_dtype(number).as_numpy_dtype)
    assert error_of(to_columns, {"x": output}) == f"Failed to write JSON value for tensor type: {name}"


@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPE_NUMBERS if "int" in dtype])
def test_integers_beyond_the_range_of_the_dtype_are_refused(dtype):
    info = np.iinfo(dtype)
    assert_array(from_columns([info.min, info.max], signature(x=dtype))["x"], dtype, [info.min, info.max])
    for beyond in (info.min - 1, info.max + 1, 10**200):
        sentence = f"JSON Value: {beyond} Type: Number is not of expected type: {dtype}"
        assert error_of(from_columns, [0, beyond], signature(x=dtype)) == sentence


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_floats_accept_any_number_within_range(dtype):
    assert_array(from_columns([1, -0.5, 2**20], signature(x=dtype))["x"], dtype, [1.0, -0.5, 2.0**20])
    sentence = "JSON Parse error: Number too big to be stored in double."
    assert error_of(from_columns, [10**400], signature(x=dtype)) == sentence
    assert from_columns([math.nan, math.inf, 10**30], signature(x=dtype))["x"][1:].tolist() == [
        math.inf,
        float(np.array(1e30, dtype)),
    ]


@pytest.mark.parametrize("text", ["YQ=", "Y", "Y=", "YQ===", "YWI==", "电影", "Y*==", "YQ==YQ", "=", "YQ=\u00a0="])
def test_invalid_base64_is_refused(text):
    assert error_of(from_columns, {"b64": text}, ONE) == "Unable to base64 decode"


@pytest.mark.parametrize("text", ["YQ==", "YQ", "YQ..", "Y Q==", "YQ==\n", "\tYQ\r\n=="])
def test_padding_and_spaces_of_base64_are_optional(text):
    assert_array(from_columns({"b64": text}, ONE)["user"], "string", b"a")


@pytest.mark.parametrize("leaf", [[], "a"])
@pytest.mark.parametrize("depth", [33, VERY_DEEP])
def test_too_many_dimensions_are_refused(leaf, depth):
    value = nested(leaf, depth - (leaf == []))
    assert error_of(from_columns, value, ONE) == "a tensor may have at most 32 dimensions"
    assert "at most 32 dimensions" in error_of(from_rows, [value], ONE)


def test_32_dimensions_are_accepted():
    assert from_columns(nested("a", 32), ONE)["user"].shape == (1,) * 32


@pytest.mark.parametrize("first", ["a", [], ["a"], [["a"]]])
def test_a_deep_second_row_is_refused(first):
    error_of(from_rows, [first, nested("a", VERY_DEEP)], ONE)


def nested(leaf, depth):
    for _ in range(depth):
        leaf = [leaf]
    return leaf

"""Conversion between TensorProto and numpy, against the functions of TensorFlow."""

import grpc
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow.core.framework.tensor_pb2 import TensorProto

from tfllmrec_client import messages
from tfllmrec_client.status import RequestError
from tfllmrec_client.tensors import read, write

NUMBERS = ["float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool"]
SHAPES = [(), (0,), (3,), (1, 1), (2, 0), (0, 2), (2, 3), (2, 1, 2)]
FIELDS = {"float32": "float_val", "float64": "double_val", "int64": "int64_val", "bool": "bool_val"} | {
    "uint32": "uint32_val",
    "uint64": "uint64_val",
}
"""The fields of values; other dtypes use `int_val`."""
LIGHT = type(messages.PredictRequest().inputs["x"])


def number_array(dtype, shape):
    """Return an array with the smallest and the largest value of a dtype, and 1."""
    info = np.finfo(dtype) if dtype.startswith("float") else np.iinfo(dtype) if dtype != "bool" else None
    values = [False, True, True] if info is None else [info.min, info.max, 1]
    return np.resize(np.array(values, dtype), shape)


def string_array(shape):
    return np.resize(np.array(["电影".encode(), b"\xff\0", b""], object), shape)


def proto(dtype, shape, **fields):
    number = tf.as_dtype(dtype).as_datatype_enum
    return TensorProto(dtype=number, tensor_shape={"dim": [{"size": size} for size in shape]}, **fields)


def read_error(message):
    with pytest.raises(RequestError) as error:
        read(message)
    assert error.value.code is grpc.StatusCode.INVALID_ARGUMENT
    return str(error.value)


def assert_same(array, expected):
    assert (array.dtype, array.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize("message_class", [TensorProto, LIGHT])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [*NUMBERS, "object"])
def test_arrays_are_exchanged_with_tensorflow(dtype, shape, message_class):
    array = string_array(shape) if dtype == "object" else number_array(dtype, shape)
    message = message_class()
    write(array, message)
    official = TensorProto.FromString(message.SerializeToString())
    assert_same(tf.make_ndarray(official), array)
    assert_same(read(message), array)
    assert_same(read(message_class.FromString(tf.make_tensor_proto(array).SerializeToString())), array)
    assert not message.tensor_content, "TF Serving responds in the typed fields"


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_tensor_content_is_read(dtype, shape):
    array = number_array(dtype, shape)
    message = proto(dtype, shape, tensor_content=array.tobytes())
    assert_same(read(message), array)
    assert_same(read(message), tf.make_ndarray(message))


@pytest.mark.parametrize("shape", [[4], [2, 2], [0], []])
@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("count", [0, 1, 2])
def test_the_last_of_too_few_values_is_repeated(dtype, shape, count):
    values = [1, 0][: min(count, int(np.prod(shape)))]
    message = proto(dtype, shape, **{FIELDS.get(dtype, "int_val"): values})
    assert_same(read(message), tf.make_ndarray(message))
    assert_same(read(message), tf.io.parse_tensor(message.SerializeToString(), dtype).numpy())


@pytest.mark.parametrize(
    ("values", "expected"), [([], [b"", b"", b""]), ([b"a"], [b"a"] * 3), ([b"a", b"b"], [b"a", b"b", b"b"])]
)
def test_the_last_of_too_few_strings_is_repeated(values, expected):
    message = proto("string", [3], string_val=values)
    assert read(message).tolist() == expected
    assert tf.io.parse_tensor(message.SerializeToString(), tf.string).numpy().tolist() == expected


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(max_size=9), min_size=4, max_size=4), st.sampled_from([(4,), (2, 2), (1, 4), (4, 1, 1)]))
def test_strings_can_be_any_bytes(strings, shape):
    array = np.array(strings, object).reshape(shape)
    message = LIGHT()
    write(array, message)
    assert_same(read(LIGHT.FromString(message.SerializeToString())), array)
    assert_same(tf.make_ndarray(TensorProto.FromString(message.SerializeToString())), array)


@pytest.mark.parametrize("array", [np.zeros(2, np.float16), np.zeros(1, complex), np.array(["text"]), np.array([b"S"])])
def test_unsupported_dtypes_are_not_written(array):
    with pytest.raises(RequestError, match=f"{array.dtype.name} tensors are not supported") as error:
        write(array, TensorProto())
    assert error.value.code is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("dtype", [0, 8, 14, 19, 21, 101, 999])
def test_unsupported_dtypes_are_not_read(dtype):
    assert f"DataType {dtype} are not supported" in read_error(LIGHT(dtype=dtype))


@pytest.mark.parametrize("shape", [[-1], [2, -1], [-1, -1], [2**26 + 1], [2**13, 2**14], [2**40, 2**40], [1] * 33])
@pytest.mark.parametrize("dtype", ["float32", "string", "int64"])
def test_impossible_shapes_are_refused(dtype, shape):
    assert read_error(proto(dtype, shape)) == f"a tensor of shape {shape} is not possible"


@pytest.mark.parametrize("shape", [[0, 2**62], [2**62, 0, 4]])
def test_huge_shapes_without_elements_are_refused(shape):
    assert f"shape {shape}" in read_error(proto("int64", shape))


def test_an_unknown_rank_is_refused():
    assert "is not possible" in read_error(TensorProto(dtype=1, tensor_shape={"unknown_rank": True}, float_val=[1]))


@pytest.mark.parametrize(
    ("dtype", "shape", "fields"),
    [
        pytest.param("float32", [1], {"float_val": [1, 2]}, id="too many values"),
        pytest.param("float32", [], {"float_val": [1, 2]}, id="too many values for a scalar"),
        pytest.param("float32", [0], {"float_val": [1]}, id="a value in an empty tensor"),
        pytest.param("string", [2], {"string_val": [b"", b"", b""]}, id="too many strings"),
        pytest.param("int64", [1], {"tensor_content": b"1234567"}, id="part of a value"),
        pytest.param("int64", [1], {"tensor_content": bytes(16)}, id="too many bytes"),
        pytest.param("float32", [3], {"tensor_content": bytes(4)}, id="too few bytes"),
        pytest.param("string", [1], {"tensor_content": b"\1a"}, id="strings in tensor_content"),
        pytest.param("int8", [1], {"int_val": [128]}, id="beyond int8"),
        pytest.param("uint8", [1], {"int_val": [-1]}, id="below uint8"),
        pytest.param("int16", [2], {"int_val": [0, -(2**15) - 1]}, id="below int16"),
        pytest.param("uint16", [1], {"int_val": [2**16]}, id="beyond uint16"),
    ],
)
def test_values_that_do_not_fit_are_refused(dtype, shape, fields):
    sentence = read_error(proto(dtype, shape, **fields))
    assert str(shape) in sentence
    assert ("object" if dtype == "string" else dtype) in sentence

"""JSON forms of tensors: rows, columns, round trips and refused values."""

import json

import grpc
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef

from tfllmrec.serving.json_tensors import from_columns, from_rows, to_columns, to_rows
from tfllmrec.serving.signature import Signature
from tfllmrec_client.status import RequestError

DTYPE_NUMBERS = {
    "float32": 1,
    "float64": 2,
    "int32": 3,
    "uint8": 4,
    "int16": 5,
    "int8": 6,
    "string": 7,
    "int64": 9,
    "bool": 10,
}
DTYPE_NUMBERS |= {"uint32": 22, "uint64": 23}
LONE_SURROGATE = json.loads('"\\ud83d"')
VERY_DEEP = 10_000


def signature(**inputs):
    """Return a signature with inputs of these dtypes."""
    infos = {name: {"name": f"{name}:0", "dtype": DTYPE_NUMBERS[dtype]} for name, dtype in inputs.items()}
    return Signature("sign", SignatureDef(inputs=infos))


BOTH = signature(user="string", history="int32")
ONE = signature(user="string")


def error_of(call, *arguments):
    with pytest.raises(RequestError) as error:
        call(*arguments)
    assert error.value.code is grpc.StatusCode.INVALID_ARGUMENT
    return str(error.value)


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


@pytest.mark.parametrize("call", [lambda value: from_rows([value], BOTH), lambda value: from_columns(value, BOTH)])
@pytest.mark.parametrize("bare", ["a", 1, ["a"], None, {"b64": "YQ=="}])
def test_bare_values_for_several_inputs_are_refused(call, bare):
    assert "must have objects, because sign has the inputs history, user" in error_of(call, bare)


@pytest.mark.parametrize("keys", [[], ["user"], ["history"], ["user", "history", "more"], ["user", "History"]])
def test_keys_that_are_not_the_inputs_are_refused(keys):
    row = {key: "a" if key == "user" else [1] for key in keys}
    valid = {"user": "a", "history": [1]}
    assert "row 0" in error_of(from_rows, [row, valid], BOTH)
    assert "row 1" in error_of(from_rows, [valid, row], BOTH)
    assert f"history, user, not {', '.join(keys) or 'none'}" in error_of(from_columns, row, BOTH)


@pytest.mark.parametrize("row", ["a", ["a"], None, {"b64": "YQ=="}])
def test_a_bare_row_among_objects_is_refused(row):
    assert "row 1" in error_of(from_rows, [{"user": "a"}, row], ONE)


def test_an_object_among_bare_rows_is_refused():
    assert "a dict instead of a string" in error_of(from_rows, ["a", {"user": "a"}], ONE)


@pytest.mark.parametrize("instances", [[], {}, {"user": "a"}, "a", 1, None])
def test_instances_that_are_not_a_list_of_rows_are_refused(instances):
    assert "'instances' must be a list" in error_of(from_rows, instances, ONE)


@pytest.mark.parametrize(
    "value", [[[1], [1, 2]], [[1, 2], [1]], [[1], []], [[], [1]], [[1], 1], [[[1]], [[1], [2]]], [[], "a"], [[1], None]]
)
def test_lists_of_different_lengths_are_refused(value):
    for call in (from_columns, from_rows):
        assert "input x has lists of different lengths" in error_of(call, value, signature(x="int32"))


@pytest.mark.parametrize(
    ("dtype", "value", "type_name"),
    [
        *((dtype, True, "bool") for dtype in DTYPE_NUMBERS if dtype != "bool"),
        *((dtype, None, "NoneType") for dtype in DTYPE_NUMBERS),
        *((dtype, {"a": 1}, "dict") for dtype in DTYPE_NUMBERS),
        *((dtype, "1", "str") for dtype in DTYPE_NUMBERS if dtype != "string"),
        *((dtype, {"b64": "YQ=="}, "dict") for dtype in DTYPE_NUMBERS if dtype != "string"),
        *((dtype, 1.0, "float") for dtype in DTYPE_NUMBERS if "int" in dtype),
        ("bool", 1, "int"),
        ("bool", 0.0, "float"),
        ("string", 1, "int"),
        ("string", 1.5, "float"),
        ("string", {"b64": 1}, "dict"),
        ("string", {"b64": "YQ==", "more": 1}, "dict"),
        ("int32", [1], "list"),
    ],
)
def test_a_value_of_another_type_is_refused(dtype, value, type_name):
    valid = {"string": "a", "bool": True}.get(dtype, 1)
    sentence = error_of(from_columns, {"x": [valid, value]}, signature(x=dtype))
    assert sentence == f"input x has a {type_name} instead of a {dtype}"


@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPE_NUMBERS if "int" in dtype])
def test_integers_beyond_the_range_of_the_dtype_are_refused(dtype):
    info = np.iinfo(dtype)
    assert_array(from_columns([info.min, info.max], signature(x=dtype))["x"], dtype, [info.min, info.max])
    for beyond in (info.min - 1, info.max + 1, 10**400):
        assert f"a number beyond the range of {dtype}" in error_of(from_columns, [0, beyond], signature(x=dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_floats_accept_any_number_within_range(dtype):
    assert_array(from_columns([1, -0.5, 2**20], signature(x=dtype))["x"], dtype, [1.0, -0.5, 2.0**20])
    assert "a number beyond" in error_of(from_columns, [10**400], signature(x=dtype))


@pytest.mark.parametrize("text", [LONE_SURROGATE, "a" + LONE_SURROGATE + "b", "\udc00"])
def test_a_lone_surrogate_is_refused(text):
    assert "input user has a string that is not valid Unicode" in error_of(from_rows, [text], ONE)


@pytest.mark.parametrize("text", ["YQ=", "Y", "Y Q==", "YQ==\n", "电影", "Y*==", "YQ==YQ"])
def test_invalid_base64_is_refused(text):
    assert "input user has a b64 value that is not valid base64" in error_of(from_rows, [{"b64": text}], ONE)


@pytest.mark.parametrize("leaf", [[], "a"])
@pytest.mark.parametrize("depth", [33, VERY_DEEP])
def test_too_many_dimensions_are_refused(leaf, depth):
    value = nested(leaf, depth - (leaf == []))
    assert "input user has more than 32 dimensions" in error_of(from_columns, value, ONE)
    assert "input user has more than 32 dimensions" in error_of(from_rows, value, ONE)


def test_32_dimensions_are_accepted():
    assert from_columns(nested("a", 32), ONE)["user"].shape == (1,) * 32


@pytest.mark.parametrize("first", ["a", [], ["a"], [["a"]]])
def test_a_deep_second_row_is_refused(first):
    error_of(from_rows, [first, nested("a", VERY_DEEP)], ONE)


def nested(leaf, depth):
    for _ in range(depth):
        leaf = [leaf]
    return leaf


def test_outputs_are_written_as_rows():
    titles = np.array([["电影".encode(), b""], [b"\xff", b"b"]], object)
    outputs = {"titles": titles, "score": np.float32([0.5, 2])}
    assert to_rows(outputs) == [{"titles": ["电影", ""], "score": 0.5}, {"titles": ["\ufffd", "b"], "score": 2.0}]
    assert to_rows({"titles": titles}) == [["电影", ""], ["\ufffd", "b"]]
    assert to_rows({"flag": np.array([True]), "n": np.array([[2]])}) == [{"flag": True, "n": [2]}]
    assert to_rows({"x": np.zeros((0, 3))}) == []


def test_outputs_are_written_as_columns():
    outputs = {"n": np.int64([[1, 2]]), "flag": np.array(True)}
    assert to_columns(outputs) == {"n": [[1, 2]], "flag": True}
    assert to_columns({"n": outputs["n"]}) == [[1, 2]]


def test_outputs_with_the_suffix_bytes_are_base64():
    values = np.array([b"\xff\0", b""], object)
    written = [{"b64": "/wA="}, {"b64": ""}]
    assert to_rows({"image_bytes": values}) == written
    assert to_columns({"image_bytes": values, "bytes": np.array([b"a"], object)}) == {
        "image_bytes": written,
        "bytes": ["a"],
    }
    assert to_columns({"image_bytes": np.array([values[:1]])}) == [written[:1]]
    assert to_columns({"n_bytes": np.int32([3])}) == [3]


@pytest.mark.parametrize("other", [np.float32(1), np.zeros(3), np.zeros((1, 2))])
def test_outputs_with_different_rows_need_the_columnar_form(other):
    assert "use the columnar form" in error_of(to_rows, {"a": np.zeros(2), "b": np.array(other)})
    assert to_columns({"a": np.zeros(2), "b": np.array(other)})["b"] == other.tolist()


def test_a_scalar_output_cannot_be_written_as_rows():
    error_of(to_rows, {"a": np.array(1)})


SHAPES = st.lists(st.integers(1, 3), max_size=3).flatmap(
    lambda sizes: st.sampled_from([tuple(sizes), (*sizes, 0)])  # JSON cannot express dimensions after a 0
)


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from(sorted(DTYPE_NUMBERS)), SHAPES)
def test_written_tensors_are_read_unchanged(data, dtype, shape):
    count = int(np.prod(shape))
    if dtype == "string":
        texts = data.draw(st.lists(st.text(max_size=3), min_size=count, max_size=count))
        array = np.array([text.encode() for text in texts], object).reshape(shape)
    else:
        array = data.draw(arrays.arrays(dtype, shape))
    assert_round_trip("x", dtype, array)


@settings(max_examples=50, deadline=None)
@given(st.data(), SHAPES)
def test_any_bytes_are_read_unchanged_from_base64(data, shape):
    count = int(np.prod(shape))
    values = data.draw(st.lists(st.binary(max_size=4), min_size=count, max_size=count))
    assert_round_trip("x_bytes", "string", np.array(values, object).reshape(shape))


def assert_round_trip(name, dtype, array):
    """Check the round trip of an array alone and with another input, in columns and, if it has rows, in rows."""
    alone, with_n = signature(**{name: dtype}), signature(**{name: dtype, "n": "int32"})
    results = [from_columns(parsed(to_columns({name: array})), alone)[name]]
    results.append(from_columns(parsed(to_columns({name: array, "n": np.int32([1])})), with_n)[name])
    if array.ndim and len(array):
        results.append(from_rows(parsed(to_rows({name: array})), alone)[name])
        results.append(from_rows(parsed(to_rows({name: array, "n": np.zeros(len(array), np.int32)})), with_n)[name])
    for result in results:
        assert (result.dtype, result.shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(result, array)


def parsed(value):
    return json.loads(json.dumps(value))

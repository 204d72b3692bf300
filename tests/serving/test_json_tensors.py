"""Both JSON forms, there and back, and everything that is neither."""

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

NUMBERS = {
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
NUMBERS |= {"uint32": 22, "uint64": 23}
LONE_SURROGATE = json.loads('"\\ud83d"')
DEEP = 10_000


def signature(**inputs):
    """A signature whose inputs have these dtypes."""
    infos = {name: {"name": f"{name}:0", "dtype": NUMBERS[dtype]} for name, dtype in inputs.items()}
    return Signature("ask", SignatureDef(inputs=infos))


BOTH = signature(user="string", history="int32")
ONE = signature(user="string")


def refused(call, *arguments):
    with pytest.raises(RequestError) as error:
        call(*arguments)
    assert error.value.code is grpc.StatusCode.INVALID_ARGUMENT
    return str(error.value)


def assert_same(found, dtype, wanted):
    assert (found.dtype, found.tolist()) == (np.dtype(object if dtype == "string" else dtype), wanted)


def test_rows_of_several_inputs():
    found = from_rows([{"user": "电影", "history": [1, 2]}, {"history": [3, 4], "user": ""}], BOTH)
    assert_same(found["user"], "string", ["电影".encode(), b""])
    assert_same(found["history"], "int32", [[1, 2], [3, 4]])


def test_columns_of_several_inputs():
    found = from_columns({"history": [[1], [2]], "user": "a"}, BOTH)
    assert_same(found["user"], "string", b"a")
    assert_same(found["history"], "int32", [[1], [2]])


@pytest.mark.parametrize("row", ["a", {"user": "a"}, {"b64": "YQ=="}, {"user": {"b64": "YQ=="}}])
def test_rows_of_one_input_bare_and_named(row):
    assert_same(from_rows([row, row], ONE)["user"], "string", [b"a", b"a"])


@pytest.mark.parametrize(
    ("value", "wanted"),
    [("a", b"a"), ([], []), ([[], []], [[], []]), ([["a"], ["b"]], [[b"a"], [b"b"]]), ({"b64": "/wA="}, b"\xff\0")],
)
def test_columns_of_one_input_bare_and_named(value, wanted):
    assert_same(from_columns(value, ONE)["user"], "string", wanted)
    assert_same(from_columns({"user": value}, ONE)["user"], "string", wanted)
    assert from_columns(value, ONE)["user"].shape == np.array(wanted, object).shape


@pytest.mark.parametrize("call", [lambda it: from_rows([it], BOTH), lambda it: from_columns(it, BOTH)])
@pytest.mark.parametrize("bare", ["a", 1, ["a"], None, {"b64": "YQ=="}])
def test_several_inputs_are_not_bare(call, bare):
    assert "must be made of objects: ask takes the inputs history, user" in refused(call, bare)


@pytest.mark.parametrize("keys", [[], ["user"], ["history"], ["user", "history", "more"], ["user", "History"]])
def test_keys_are_the_inputs(keys):
    row = {key: "a" if key == "user" else [1] for key in keys}
    good = {"user": "a", "history": [1]}
    assert "row 0" in refused(from_rows, [row, good], BOTH)
    assert "row 1" in refused(from_rows, [good, row], BOTH)
    assert f"history, user, not {', '.join(keys) or 'none'}" in refused(from_columns, row, BOTH)


@pytest.mark.parametrize("row", ["a", ["a"], None, {"b64": "YQ=="}])
def test_rows_are_all_objects_or_none_is(row):
    assert "row 1" in refused(from_rows, [{"user": "a"}, row], ONE)


def test_an_object_among_bare_rows():
    assert "a dict in place of a string" in refused(from_rows, ["a", {"user": "a"}], ONE)


@pytest.mark.parametrize("instances", [[], {}, {"user": "a"}, "a", 1, None])
def test_instances_are_a_list_with_something_in_it(instances):
    assert "'instances' must be a list" in refused(from_rows, instances, ONE)


@pytest.mark.parametrize(
    "value", [[[1], [1, 2]], [[1, 2], [1]], [[1], []], [[], [1]], [[1], 1], [[[1]], [[1], [2]]], [[], "a"], [[1], None]]
)
def test_lists_have_one_length(value):
    for call, asked in ((from_columns, value), (from_rows, value)):
        assert "input x has lists of different lengths" in refused(call, asked, signature(x="int32"))


@pytest.mark.parametrize(
    ("dtype", "value", "named"),
    [
        *((dtype, True, "bool") for dtype in NUMBERS if dtype != "bool"),
        *((dtype, None, "NoneType") for dtype in NUMBERS),
        *((dtype, {"a": 1}, "dict") for dtype in NUMBERS),
        *((dtype, "1", "str") for dtype in NUMBERS if dtype != "string"),
        *((dtype, {"b64": "YQ=="}, "dict") for dtype in NUMBERS if dtype != "string"),
        *((dtype, 1.0, "float") for dtype in NUMBERS if "int" in dtype),
        ("bool", 1, "int"),
        ("bool", 0.0, "float"),
        ("string", 1, "int"),
        ("string", 1.5, "float"),
        ("string", {"b64": 1}, "dict"),
        ("string", {"b64": "YQ==", "more": 1}, "dict"),
        ("int32", [1], "list"),
    ],
)
def test_a_value_of_another_type(dtype, value, named):
    good = {"string": "a", "bool": True}.get(dtype, 1)
    sentence = refused(from_columns, {"x": [good, value]}, signature(x=dtype))
    assert sentence == f"input x has a {named} in place of a {dtype}"


@pytest.mark.parametrize("dtype", [dtype for dtype in NUMBERS if "int" in dtype])
def test_integers_end_where_the_dtype_does(dtype):
    info = np.iinfo(dtype)
    assert_same(from_columns([info.min, info.max], signature(x=dtype))["x"], dtype, [info.min, info.max])
    for beyond in (info.min - 1, info.max + 1, 10**400):
        assert f"a number beyond {dtype}" in refused(from_columns, [0, beyond], signature(x=dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_floats_are_any_number(dtype):
    assert_same(from_columns([1, -0.5, 2**20], signature(x=dtype))["x"], dtype, [1.0, -0.5, 2.0**20])
    assert "a number beyond" in refused(from_columns, [10**400], signature(x=dtype))


@pytest.mark.parametrize("text", [LONE_SURROGATE, "a" + LONE_SURROGATE + "b", "\udc00"])
def test_half_a_surrogate_pair_is_no_text(text):
    assert "input user has a string that is no Unicode text" in refused(from_rows, [text], ONE)


@pytest.mark.parametrize("text", ["YQ=", "Y", "Y Q==", "YQ==\n", "电影", "Y*==", "YQ==YQ"])
def test_broken_base64(text):
    assert "input user has a b64 value that is no base64" in refused(from_rows, [{"b64": text}], ONE)


@pytest.mark.parametrize("leaf", [[], "a"])
@pytest.mark.parametrize("depth", [33, DEEP])
def test_too_many_dimensions(leaf, depth):
    value = nested(leaf, depth - (leaf == []))
    assert "input user has more than 32 dimensions" in refused(from_columns, value, ONE)
    assert "input user has more than 32 dimensions" in refused(from_rows, value, ONE)


def test_as_many_dimensions_as_there_may_be():
    assert from_columns(nested("a", 32), ONE)["user"].shape == (1,) * 32


@pytest.mark.parametrize("first", ["a", [], ["a"], [["a"]]])
def test_depth_in_the_second_row(first):
    refused(from_rows, [first, nested("a", DEEP)], ONE)


def nested(leaf, depth):
    for _ in range(depth):
        leaf = [leaf]
    return leaf


def test_outputs_as_rows():
    titles = np.array([["电影".encode(), b""], [b"\xff", b"b"]], object)
    outputs = {"titles": titles, "score": np.float32([0.5, 2])}
    assert to_rows(outputs) == [{"titles": ["电影", ""], "score": 0.5}, {"titles": ["\ufffd", "b"], "score": 2.0}]
    assert to_rows({"titles": titles}) == [["电影", ""], ["\ufffd", "b"]]
    assert to_rows({"flag": np.array([True]), "n": np.array([[2]])}) == [{"flag": True, "n": [2]}]
    assert to_rows({"x": np.zeros((0, 3))}) == []


def test_outputs_as_columns():
    outputs = {"n": np.int64([[1, 2]]), "flag": np.array(True)}
    assert to_columns(outputs) == {"n": [[1, 2]], "flag": True}
    assert to_columns({"n": outputs["n"]}) == [[1, 2]]


def test_outputs_that_end_in_bytes_are_base64():
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
def test_outputs_that_are_no_rows(other):
    assert "ask in the columnar form" in refused(to_rows, {"a": np.zeros(2), "b": np.array(other)})
    assert to_columns({"a": np.zeros(2), "b": np.array(other)})["b"] == other.tolist()


def test_a_scalar_output_is_no_rows():
    refused(to_rows, {"a": np.array(1)})


SHAPES = st.lists(st.integers(1, 3), max_size=3).flatmap(
    lambda sizes: st.sampled_from([tuple(sizes), (*sizes, 0)])  # after a 0, JSON has no more dimensions
)


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from(sorted(NUMBERS)), SHAPES)
def test_what_is_written_is_read_again(data, dtype, shape):
    count = int(np.prod(shape))
    if dtype == "string":
        texts = data.draw(st.lists(st.text(max_size=3), min_size=count, max_size=count))
        array = np.array([text.encode() for text in texts], object).reshape(shape)
    else:
        array = data.draw(arrays.arrays(dtype, shape))
    assert_round_trip("x", dtype, array)


@settings(max_examples=50, deadline=None)
@given(st.data(), SHAPES)
def test_any_bytes_travel_in_base64(data, shape):
    count = int(np.prod(shape))
    values = data.draw(st.lists(st.binary(max_size=4), min_size=count, max_size=count))
    assert_round_trip("x_bytes", "string", np.array(values, object).reshape(shape))


def assert_round_trip(name, dtype, array):
    """Bare and beside another, and by rows where there are any."""
    alone, beside = signature(**{name: dtype}), signature(**{name: dtype, "n": "int32"})
    found = [from_columns(travelled(to_columns({name: array})), alone)[name]]
    found.append(from_columns(travelled(to_columns({name: array, "n": np.int32([1])})), beside)[name])
    if array.ndim and len(array):
        found.append(from_rows(travelled(to_rows({name: array})), alone)[name])
        found.append(from_rows(travelled(to_rows({name: array, "n": np.zeros(len(array), np.int32)})), beside)[name])
    for one in found:
        assert (one.dtype, one.shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(one, array)


def travelled(value):
    return json.loads(json.dumps(value))

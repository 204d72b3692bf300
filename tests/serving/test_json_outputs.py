"""JSON forms of outputs: rows, columns, digits, and round trips of written tensors."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from json_forms import DTYPE_NUMBERS, error_of, from_columns, from_rows, signature

from tfllmrec.serving.json_tensors import to_columns, to_rows


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


def test_float32_outputs_have_the_digits_of_tf_serving():
    values = [0.2, 1 / 3, 2.5, -0.1234567, 1e-7, 2**24 + 1, 0, -0.0, math.inf, -math.inf, math.nan, 3e38, 1e-45]
    text = "[0.2, 0.333333343, 2.5, -0.123456702, 1e-07, 16777216.0, 0.0, -0.0, Infinity, -Infinity, NaN, "
    assert json.dumps(to_columns({"x": np.float32(values)})).startswith(text)
    assert json.dumps(to_columns({"x": np.float32(0.2)})) == "0.2"
    assert json.dumps(to_rows({"x": np.float64([1 / 3])})) == "[0.3333333333333333]"


@settings(max_examples=200, deadline=None)
@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_float32_outputs_are_read_unchanged(value):
    short, long = float(f"{value:.6g}"), float(f"{value:.9g}")
    written = to_columns({"x": np.float32([value])})[0]
    assert np.float32(written) == np.float32(value)
    assert written == pytest.approx(short if np.float32(short) == np.float32(value) else long, rel=1e-14, abs=1e-44)


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
    size = f"inconsistent batch size: {np.shape(other)[0]} expecting: 2" if np.ndim(other) else "no shape information"
    sentence = f"Tensor name: b has {size}: use the columnar form, 'inputs'"
    assert error_of(to_rows, {"a": np.zeros(2), "b": np.array(other)}) == sentence
    assert to_columns({"a": np.zeros(2), "b": np.array(other)})["b"] == other.tolist()


def test_a_scalar_output_cannot_be_written_as_rows():
    assert error_of(to_rows, {"a": np.array(1)}).startswith("Tensor name: a has no shape information")


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

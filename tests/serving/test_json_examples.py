"""JSON form of examples: the first value of a feature decides on its type."""

import numpy as np
import pytest
from tensorflow.core.example.feature_pb2 import Feature

from tfllmrec.serving.json_examples import input_from


def feature_of(value):
    return input_from({"examples": [{"x": value}]}).example_list.examples[0].features.feature["x"]


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (1, "int64_list", [1]),
        ([True, False, 2], "int64_list", [1, 0, 2]),
        ([-(2**63), 2**63 - 1], "int64_list", [-(2**63), 2**63 - 1]),
        (1.0, "float_list", [1.0]),
        ([0.5, 10**20], "float_list", [0.5, float(np.float32(1e20))]),
        (2**64, "float_list", [2.0**64]),
        ("电影", "bytes_list", ["电影".encode()]),
        (["a", {"b64": "/wA"}], "bytes_list", [b"a", b"\xff\0"]),
    ],
)
def test_values_have_the_type_of_tf_serving(value, kind, expected):
    feature = feature_of(value)
    assert feature.WhichOneof("kind") == kind
    assert list(getattr(feature, kind).value) == expected


def test_an_empty_list_has_no_type():
    assert feature_of([]) == Feature()


def test_an_object_of_base64_is_an_example_as_in_tf_serving():
    (example,) = input_from({"examples": [{"b64": "YQ=="}]}).example_list.examples
    assert list(example.features.feature["b64"].bytes_list.value) == [b"YQ=="]


def test_a_context_is_shared():
    message = input_from({"examples": [{"x": 1}, {}], "context": {"y": 2}}).example_list_with_context
    assert len(message.examples) == 2
    assert list(message.context.features.feature["y"].int64_list.value) == [2]

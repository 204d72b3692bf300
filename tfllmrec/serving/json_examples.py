"""JSON form of `tf.Example`s in TF Serving's REST interface for classify and regress, with TF Serving's errors."""

from typing import Any

import tensorflow as tf
from tensorflow_serving.apis import input_pb2

from tfllmrec.serving.json_bodies import quoted, type_name
from tfllmrec.serving.json_tensors import bytes_of, is_b64
from tfllmrec_client.status import invalid


def input_from(request: dict[str, Any]) -> Any:
    """Return the `Input` of a body with `examples` (objects of features) and an optional shared `context`.

    Raises:
        RequestError: INVALID_ARGUMENT, if there are no examples, or a feature is not a number, a string, or a list of
            values of one type.
    """
    if "examples" not in request:
        problem = "When method is classify, key 'examples' is expected and was not found"
    elif not isinstance(request["examples"], list):
        problem = "Expecting 'examples' value to be an list/array"
    elif not request["examples"]:
        problem = "'examples' value is an empty array"
    else:
        return _input(request)
    raise invalid(f"JSON Value: {quoted(request)} {problem}")


def _input(request: dict[str, Any]) -> Any:
    examples = [_example(features) for features in request["examples"]]
    if "context" not in request:
        return input_pb2.Input(example_list={"examples": examples})
    context = _example(request["context"])
    return input_pb2.Input(example_list_with_context={"examples": examples, "context": context})


def _example(features: Any) -> Any:
    if not isinstance(features, dict):
        raise invalid(f"Example must be JSON object but got JSON {type_name(features)}")
    example = tf.train.Example()
    for name, values in features.items():
        feature = example.features.feature[name]
        for value in values if isinstance(values, list) else [values]:
            _add(name, value, feature)
    return example


def _add(name: str, value: Any, feature: Any) -> None:
    """Add a value to a feature. The first value decides on its type."""
    kind, value = _kind_and_value(name, value)
    present = feature.WhichOneof("kind") or kind
    if kind != present:
        expected = present.removesuffix("_list")
        raise invalid(f"Unexpected element type in feature: {name} expecting type: {expected}")
    getattr(feature, kind).value.append(value)


def _kind_and_value(name: str, value: Any) -> tuple[str, Any]:
    if isinstance(value, str) or is_b64(value):
        return "bytes_list", bytes_of(value)
    if isinstance(value, float):
        return "float_list", value
    if not isinstance(value, int):
        raise invalid(f"Feature: {name} has element with unexpected JSON type: {type_name(value)}")
    if -(2**63) <= value < 2**63:
        return "int64_list", int(value)  # true is 1
    if 0 < value < 2**64:
        raise invalid(f"Feature: {name} has uint64_t element. Only int64_t is supported.")
    try:
        return "float_list", float(value)
    except OverflowError as error:
        raise invalid("JSON Parse error: Number too big to be stored in double.") from error

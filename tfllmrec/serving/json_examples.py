"""JSON form of `tf.Example`s in TF Serving's REST interface for classify and regress."""

from typing import Any

import tensorflow as tf
from tensorflow_serving.apis import input_pb2

from tfllmrec.serving.json_tensors import bytes_of, is_b64
from tfllmrec_client.status import invalid


def input_from(request: Any) -> Any:
    """Return the `Input` of a body with `examples` (objects of features) and an optional shared `context`.

    Raises:
        RequestError: INVALID_ARGUMENT, if there are no examples, or a feature is not a number, a string, or a list of
            numbers or strings.
    """
    examples = request.get("examples")
    if not isinstance(examples, list) or not examples:
        raise invalid("'examples' must be a list with at least one object")
    messages = [_example(f"example {position}", features) for position, features in enumerate(examples)]
    if "context" not in request:
        return input_pb2.Input(example_list={"examples": messages})
    context = _example("the context", request["context"])
    return input_pb2.Input(example_list_with_context={"examples": messages, "context": context})


def _example(where: str, features: Any) -> Any:
    if not isinstance(features, dict) or is_b64(features):
        raise invalid(f"{where} must be an object of features")
    example = tf.train.Example()
    for name, value in features.items():
        example.features.feature[name].CopyFrom(_feature(f"{where}, feature {name!r}", value))
    return example


def _feature(where: str, value: Any) -> Any:
    values = value if isinstance(value, list) else [value]
    if all(isinstance(value, str) or is_b64(value) for value in values):
        return tf.train.Feature(bytes_list={"value": [bytes_of(where, value) for value in values]})
    try:
        if all(type(value) is int for value in values):
            return tf.train.Feature(int64_list={"value": values})
        if all(type(value) in (int, float) for value in values):
            return tf.train.Feature(float_list={"value": values})
    except (ValueError, OverflowError) as error:
        raise invalid(f"{where} has a number beyond 64 bits") from error
    raise invalid(f"{where} must be a number, a string, a list of numbers or a list of strings")

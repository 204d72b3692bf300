"""`tf.Example`s as JSON, as TF Serving's REST interface takes them for classify and regress."""

from typing import Any

import tensorflow as tf
from tensorflow_serving.apis import input_pb2

from tfllmrec.serving.json_tensors import bytes_of, is_b64
from tfllmrec_client.status import invalid


def input_from(request: Any) -> Any:
    """The `Input` of a body with `examples`, objects of features, and perhaps a `context` that all of them share.

    Raises:
        RequestError: no examples, or a feature that is no number, no string and no list of one kind of these.
    """
    examples = request.get("examples")
    if not isinstance(examples, list) or not examples:
        raise invalid("'examples' must be a list with at least one object")
    made = [_example(f"example {place}", one) for place, one in enumerate(examples)]
    if "context" not in request:
        return input_pb2.Input(example_list={"examples": made})
    context = _example("the context", request["context"])
    return input_pb2.Input(example_list_with_context={"examples": made, "context": context})


def _example(where: str, features: Any) -> Any:
    if not isinstance(features, dict) or is_b64(features):
        raise invalid(f"{where} must be an object of features")
    example = tf.train.Example()
    for name, value in features.items():
        example.features.feature[name].CopyFrom(_feature(f"{where}, feature {name!r}", value))
    return example


def _feature(where: str, value: Any) -> Any:
    values = value if isinstance(value, list) else [value]
    if all(isinstance(one, str) or is_b64(one) for one in values):
        return tf.train.Feature(bytes_list={"value": [bytes_of(where, one) for one in values]})
    try:
        if all(type(one) is int for one in values):
            return tf.train.Feature(int64_list={"value": values})
        if all(type(one) in (int, float) for one in values):
            return tf.train.Feature(float_list={"value": values})
    except (ValueError, OverflowError) as error:
        raise invalid(f"{where} has a number beyond 64 bits") from error
    raise invalid(f"{where} must be a number, a string, or a list of one kind of these")

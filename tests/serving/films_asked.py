"""What the films are asked in several files of tests, over both interfaces."""

import numpy as np
import tensorflow as tf
from made_data import GREEDY, ITEMS
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis import predict_pb2

GOOD = {"user_id": ["用户3", ""], "history": [["item1"], [""]], "exclude_item_ids": [["item2"], ["电影一"]]}
INPUTS = {
    "serving_default": GOOD,
    "retrieve": GOOD,
    "retrieve_ids": {"user": [1, 0], "history": [[3, 5, 0, 0], [0] * 4], "exclude": [[2, 3], [1, 0]]},
    "embed_query": {"user_id": GOOD["user_id"], "history": GOOD["history"]},
    "embed_items": {"item_ids": ["电影一", "unheard of", "item7"]},
    "similar_items": {"item_id": ["电影一", "🎬🍿"], "exclude_item_ids": [["item7"], [""]]},
}
PREDICT = "/v1/models/films:predict"
ROWS = [
    {"user_id": "用户3", "history": ["item1", "电影一"], "exclude_item_ids": ["item2"]},
    {"user_id": "", "history": ['say "hi"', ""], "exclude_item_ids": ["🎬🍿"]},
    {"user_id": "nobody", "history": ["", ""], "exclude_item_ids": [""]},
    {"user_id": GREEDY, "history": ["", ""], "exclude_item_ids": ["item7"]},
]
COLUMNS = {name: [row[name] for row in ROWS] for name in ROWS[0]}
CASES = {
    "retrieve": COLUMNS,
    "retrieve_ids": {"user": [1, 0], "history": [[3, 5, 0, 0], [0] * 4], "exclude": [[2, 3], [1, 0]]},
    "embed_query": {name: COLUMNS[name] for name in ("user_id", "history")},
    "embed_items": {"item_ids": ["电影一", "unheard of", "item7"]},
    "similar_items": {"item_id": ITEMS, "exclude_item_ids": [["item7"]] * len(ITEMS)},
}


def request_of(signature="retrieve", output_filter=(), spec=None, **inputs):
    """A PredictRequest; inputs are TensorProtos, or arrays and lists, whose strings may be empty lists as well."""
    spec = {"name": "films"} if spec is None else spec
    request = predict_pb2.PredictRequest(model_spec=spec | {"signature_name": signature}, output_filter=output_filter)
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(proto_of(value))
    return request


def proto_of(value):
    if isinstance(value, TensorProto):
        return value
    array = np.asarray(value)
    if array.dtype.kind in "OSU" or (not array.size and isinstance(value, list)):
        return tf.make_tensor_proto(np.asarray(value, object), tf.string, array.shape)
    return tf.make_tensor_proto(array, tf.int32 if array.dtype == np.int64 and isinstance(value, list) else None)


def assert_error(answer, code, *words):
    status, said = answer
    assert status == code, said
    assert said.keys() == {"error"}
    assert said["error"].strip()
    assert len(said["error"].splitlines()) == 1, said
    assert not [word for word in words if word not in said["error"]], said

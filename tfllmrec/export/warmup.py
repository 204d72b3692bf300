"""Warm-up requests: recorded with an export, replayed by the server before it answers anybody."""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import model_pb2, predict_pb2, prediction_log_pb2

from tfllmrec.recommenders.catalogue import Catalogue

WARMUP_FILE = Path("assets.extra") / "tf_serving_warmup_requests"
"""Where TF Serving looks, in a version's folder."""
BATCH_SIZES = (1, 8)
"""One request alone and several at once: TensorFlow prepares what it runs at the first request."""


def write_warmup(saved_model: Path, signatures: dict[str, Any], catalogue: Catalogue, *, name: str) -> None:
    """Write a request for every signature at every batch size, made of real ids.

    Args:
        saved_model: the folder with `saved_model.pb`.
        signatures: `SignatureDef`s by name.
        catalogue: where the ids come from.
        name: what the model is called in TF Serving.
    """
    path = saved_model / WARMUP_FILE
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, definition in signatures.items():
            for rows in BATCH_SIZES:
                request = predict_pb2.PredictRequest(
                    model_spec=model_pb2.ModelSpec(name=name, signature_name=signature)
                )
                for key, info in definition.inputs.items():
                    request.inputs[key].CopyFrom(tf.make_tensor_proto(_example(key, info, rows, catalogue)))
                log = prediction_log_pb2.PredictLog(request=request)
                writer.write(prediction_log_pb2.PredictionLog(predict_log=log).SerializeToString())


def _example(key: str, info: Any, rows: int, catalogue: Catalogue) -> np.ndarray:
    """An input in its shape, unknown sizes 2: ids of the kind its name says, or indices that all models have."""
    sizes = [dim.size if dim.size > 0 else 2 for dim in info.tensor_shape.dim]
    shape = (rows, *sizes[1:])
    if info.dtype != tf.string.as_datatype_enum:
        return np.ones(shape, tf.as_dtype(info.dtype).as_numpy_dtype)
    kinds = {"user_id": catalogue.users.tokens}
    kinds |= dict.fromkeys(("history_texts", "candidate_texts"), catalogue.titles)
    if catalogue.scenarios is not None:
        kinds["scenario"] = catalogue.scenarios.tokens
    if catalogue.features is not None:
        kinds["user_features"] = catalogue.features.vocabulary.tokens
    return np.resize(kinds.get(key, catalogue.items.tokens)[1:].astype(object), shape)

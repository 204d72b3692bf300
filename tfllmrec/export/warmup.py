"""Warm-up requests and their answers: the server replays the ones before it answers anybody, a check compares both."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import model_pb2, predict_pb2, prediction_log_pb2

from tfllmrec.export.id_mapper import EXCLUDED_BASE
from tfllmrec.export.target import Target
from tfllmrec.models.base.fitted_data import FittedData

WARMUP_FILE = Path("assets.extra") / "tf_serving_warmup_requests"
"""Where TF Serving looks, in a version's folder."""
_EXCLUDED = (1, *(EXCLUDED_BASE**power // 2 for power in range(1, 5)))
_CANDIDATES = (1, 4, 8, 16, 32, 64, 128)
"""Widths that compiled cores are prepared for: up to 4,096 exclusions, history among them, and 128 candidates."""


def write_warmup(
    saved_model: Path, functions: Mapping[str, Any], fitted_data: FittedData, target: Target, *, name: str
) -> None:
    """Write requests for every signature at every batch size, made of real ids, and what they are answered.

    Args:
        saved_model: the folder with `saved_model.pb`.
        functions: the signatures by name, traced, with named inputs.
        fitted_data: where the ids come from.
        target: whose batch sizes; where it compiles cores there are requests for further widths.
        name: what the model is called in TF Serving.
    """
    with tf.io.TFRecordWriter(str(saved_model / WARMUP_FILE)) as writer:
        for signature, function in functions.items():
            specs = [*filter(None, function.structured_input_signature[0])]  # None stands for what it is not asked
            for inputs in _requests(specs, fitted_data, target):
                outputs = {key: value.numpy() for key, value in function(*map(tf.constant, inputs.values())).items()}
                spec = model_pb2.ModelSpec(name=name, signature_name=signature)
                request = predict_pb2.PredictRequest(model_spec=spec, inputs=_protos(inputs))
                response = predict_pb2.PredictResponse(model_spec=spec, outputs=_protos(outputs))
                log = prediction_log_pb2.PredictLog(request=request, response=response)
                writer.write(prediction_log_pb2.PredictionLog(predict_log=log).SerializeToString())


def _requests(specs: list[tf.TensorSpec], fitted_data: FittedData, target: Target) -> Iterator[dict[str, np.ndarray]]:
    for rows in target.batch_sizes:
        inputs = {spec.name: _example(spec, rows, fitted_data) for spec in specs}
        yield inputs
        if target.compiled:
            yield from _with_more_excluded(inputs)
            if rows == target.batch_sizes[0]:
                yield from _with_more_candidates(inputs)


def _with_more_excluded(inputs: Mapping[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
    """The same of nobody, who has nothing stored, and with nothing excluded in the widths that there are."""
    for name in inputs.keys() & {"exclude", "exclude_item_ids"}:
        nobody = {other: np.full_like(given, "") for other, given in inputs.items() if other == "user_id"}
        nothing = "" if inputs[name].dtype == object else 0
        for width in _EXCLUDED:
            yield {**inputs, **nobody, name: np.full((len(inputs[name]), width), nothing, inputs[name].dtype)}


def _with_more_candidates(inputs: Mapping[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
    for name in inputs.keys() & {"candidates", "candidate_item_ids"}:
        for width in _CANDIDATES:
            yield {**inputs, name: np.resize(inputs[name], (len(inputs[name]), width))}


def _example(spec: tf.TensorSpec, rows: int, fitted_data: FittedData) -> np.ndarray:
    """An input in its shape, unknown sizes 2: ids of the kind its name says, or indices that all models have."""
    shape = (rows, *(size or 2 for size in spec.shape[1:]))
    if spec.dtype != tf.string:
        return np.ones(shape, spec.dtype.as_numpy_dtype)
    kinds = {"user_id": fitted_data.users.tokens}
    kinds |= dict.fromkeys(("history_texts", "candidate_texts"), fitted_data.titles)
    if fitted_data.scenarios is not None:
        kinds["scenario"] = fitted_data.scenarios.tokens
    if fitted_data.features is not None:
        kinds["user_features"] = fitted_data.features.vocabulary.tokens
    return np.resize(kinds.get(spec.name, fitted_data.items.tokens)[1:].astype(object), shape)


def _protos(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    return {key: tf.make_tensor_proto(array) for key, array in arrays.items()}

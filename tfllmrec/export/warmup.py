"""Warm-up requests with responses: a server replays the requests at start, a check compares the responses."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import model_pb2, predict_pb2, prediction_log_pb2

from tfllmrec.export.binding import EXCLUDED_BASE, served_name
from tfllmrec.export.target import Target
from tfllmrec.models.base.fitted_data import FittedData
from tfllmrec.models.base.signature import InputKind, Signature

WARMUP_FILE = Path("assets.extra") / "tf_serving_warmup_requests"
"""Path in a version's folder from which TF Serving reads warm-up requests."""
_EXCLUDED = (1, *(EXCLUDED_BASE**power // 2 for power in range(1, 5)))
_CANDIDATES = (1, 4, 8, 16, 32, 64, 128)
"""Widths for which compiled cores are warmed up: up to 4,096 exclusions with the history, and 128 candidates."""


def write_warmup(
    saved_model: Path,
    functions: Mapping[str, Any],
    declared: Sequence[Signature],
    fitted_data: FittedData,
    target: Target,
    *,
    name: str,
) -> None:
    """Write requests with real ids for every signature at every batch size, and their responses.

    Args:
        saved_model: the folder with `saved_model.pb`.
        functions: traced signatures by name, with named inputs.
        declared: declarations of the signatures, with the kinds of their inputs.
        fitted_data: ids and titles for the requests.
        target: batch sizes; for compiled cores, requests with more exclusions and candidates are added.
        name: model name in TF Serving.
    """
    examples = _examples(declared, fitted_data)
    with tf.io.TFRecordWriter(str(saved_model / WARMUP_FILE)) as writer:
        for signature, function in functions.items():
            specs = [*filter(None, function.structured_input_signature[0])]  # None marks omitted inputs
            for inputs in _requests(specs, examples, target):
                outputs = {key: value.numpy() for key, value in function(*map(tf.constant, inputs.values())).items()}
                spec = model_pb2.ModelSpec(name=name, signature_name=signature)
                request = predict_pb2.PredictRequest(model_spec=spec, inputs=_protos(inputs))
                response = predict_pb2.PredictResponse(model_spec=spec, outputs=_protos(outputs))
                log = prediction_log_pb2.PredictLog(request=request, response=response)
                writer.write(prediction_log_pb2.PredictionLog(predict_log=log).SerializeToString())


def _examples(declared: Sequence[Signature], fitted_data: FittedData) -> dict[str, np.ndarray]:
    """Return example strings for the inputs, by their served names."""
    items = fitted_data.items.tokens
    kinds = dict.fromkeys((InputKind.HISTORY, InputKind.EXCLUDED, InputKind.CANDIDATES, InputKind.ITEM), items) | {
        InputKind.USER: fitted_data.users.tokens,
        InputKind.TEXTS: fitted_data.titles,
    }
    if fitted_data.scenarios is not None:
        kinds[InputKind.SCENARIO] = fitted_data.scenarios.tokens
    if fitted_data.features is not None:
        kinds[InputKind.FEATURES] = fitted_data.features.vocabulary.tokens
    return {served_name(input_): kinds[input_.kind] for signature in declared for input_ in signature.request}


def _requests(
    specs: list[tf.TensorSpec], examples: Mapping[str, np.ndarray], target: Target
) -> Iterator[dict[str, np.ndarray]]:
    for rows in target.batch_sizes:
        inputs = {spec.name: _example(spec, rows, examples) for spec in specs}
        yield inputs
        if target.compiled:
            yield from _with_more_excluded(inputs)
            if rows == target.batch_sizes[0]:
                yield from _with_more_candidates(inputs)


def _with_more_excluded(inputs: Mapping[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
    """Yield the inputs for an unknown user, without a stored history, with padding as exclusions in all widths."""
    for name in inputs.keys() & {"exclude", "exclude_item_ids"}:
        unknown = {other: np.full_like(values, "") for other, values in inputs.items() if other == "user_id"}
        padding = "" if inputs[name].dtype == object else 0
        for width in _EXCLUDED:
            yield {**inputs, **unknown, name: np.full((len(inputs[name]), width), padding, inputs[name].dtype)}


def _with_more_candidates(inputs: Mapping[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
    for name in inputs.keys() & {"candidates", "candidate_item_ids"}:
        for width in _CANDIDATES:
            yield {**inputs, name: np.resize(inputs[name], (len(inputs[name]), width))}


def _example(spec: tf.TensorSpec, rows: int, examples: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return an example of an input, with unknown sizes 2: strings of its kind, or index 1, which all models have."""
    shape = (rows, *(size or 2 for size in spec.shape[1:]))
    if spec.dtype != tf.string:
        return np.ones(shape, spec.dtype.as_numpy_dtype)
    return np.resize(examples[spec.name][1:].astype(object), shape)


def _protos(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    return {key: tf.make_tensor_proto(array) for key, array in arrays.items()}

"""Warm-up: requests recorded with an export, replayed before the version becomes available."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import prediction_log_pb2

from tfllmrec.errors import InputError
from tfllmrec.export.warmup import WARMUP_FILE
from tfllmrec.serving.session import ServedModel
from tfllmrec_client.status import RequestError
from tfllmrec_client.tensors import read

_MAX_RECORDS = 1000


def replay(model: ServedModel) -> int:
    """Run the warm-up requests of a model and return their number; 0 if the export has no warm-up file.

    Raises:
        InputError: If the warm-up file is invalid.
        RequestError: If a request fails.
    """
    return sum(1 for _ in replay_logs(model))


def replay_logs(model: ServedModel) -> Iterator[tuple[Any, dict[str, np.ndarray]]]:
    """Run the warm-up requests of a model in sequence.

    Yields:
        The `PredictLog` of each request, and its outputs by name.

    Raises:
        InputError: If the file is not a TFRecord file of `PredictionLog`s, or has more records than TF Serving accepts.
        RequestError: If a request fails.
    """
    path = model.folder / WARMUP_FILE
    for number, log in enumerate(_read_logs(path)):
        try:
            yield log, _run(model, log.request)
        except RequestError as error:
            raise RequestError(error.code, f"{path}: warm-up request {number} failed: {error}") from error


def _read_logs(path: Path) -> list[Any]:
    if not path.exists():
        return []
    try:
        records = [record.numpy() for record in tf.data.TFRecordDataset(str(path))]
        logs = [prediction_log_pb2.PredictionLog.FromString(record).predict_log for record in records]
    except (tf.errors.OpError, DecodeError) as error:
        raise InputError(f"{path} is not a TFRecord file of PredictionLog messages") from error
    if len(logs) > _MAX_RECORDS:
        raise InputError(f"{path} has {len(logs)} records, and TF Serving accepts at most {_MAX_RECORDS}")
    return logs


def _run(model: ServedModel, request: Any) -> dict[str, np.ndarray]:
    inputs = {name: read(tensor) for name, tensor in request.inputs.items()}
    return model.run(request.model_spec.signature_name, inputs, request.output_filter)

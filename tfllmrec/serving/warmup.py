"""Warm-up: requests recorded with an export, replayed before it answers anybody."""

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

_MOST_RECORDS = 1000


def replay(model: ServedModel) -> int:
    """Run the warm-up requests of a model; how many there were, 0 where it has none.

    Raises:
        InputError, RequestError: as `replayed`.
    """
    return sum(1 for _ in replayed(model))


def replayed(model: ServedModel) -> Iterator[tuple[Any, dict[str, np.ndarray]]]:
    """Run the warm-up requests of a model one by one: the `PredictLog` of each, and what it is answered.

    Raises:
        InputError: the file is no TFRecord of `PredictionLog`s, or has more records than TF Serving takes.
        RequestError: a request fails.
    """
    path = model.folder / WARMUP_FILE
    for number, log in enumerate(_logs(path)):
        try:
            yield log, _answer(model, log.request)
        except RequestError as error:
            raise RequestError(error.code, f"{path}: request {number} fails: {error}") from error


def _logs(path: Path) -> list[Any]:
    if not path.exists():
        return []
    try:
        records = [record.numpy() for record in tf.data.TFRecordDataset(str(path))]
        logs = [prediction_log_pb2.PredictionLog.FromString(record).predict_log for record in records]
    except (tf.errors.OpError, DecodeError) as error:
        raise InputError(f"{path} is no TFRecord of PredictionLog messages") from error
    if len(logs) > _MOST_RECORDS:
        raise InputError(f"{path} has {len(logs)} records, and TF Serving takes at most {_MOST_RECORDS}")
    return logs


def _answer(model: ServedModel, request: Any) -> dict[str, np.ndarray]:
    inputs = {name: read(tensor) for name, tensor in request.inputs.items()}
    return model.run(request.model_spec.signature_name, inputs, request.output_filter)

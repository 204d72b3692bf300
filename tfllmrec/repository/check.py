"""What a version has to pass before anybody is served by it."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tfllmrec.errors import InputError
from tfllmrec.export.checksums import check_checksums
from tfllmrec.export.ops import check_ops
from tfllmrec.export.precision import precision_of
from tfllmrec.export.target import target_of
from tfllmrec.serving.session import ServedModel
from tfllmrec.serving.warmup import replay_logs
from tfllmrec_client.tensors import read

_TOLERANCES = {"float32": 1e-4, "bfloat16": 2e-2, "int8": 2e-2}
"""Relative and absolute: another processor rounds otherwise."""

Arrays = Mapping[str, np.ndarray]


def check_version(version: Path) -> int:
    """Check a version's folder: its files, its operations, that it loads and answers its warm-up as recorded.

    It runs in the C++ runtime that TF Serving uses, in this process.

    Returns:
        How many answers were compared.

    Raises:
        InputError: files that are missing, damaged or not of the export; an operation that TF Serving does not have; a
            SavedModel that does not load; no warm-up request, or one that fails or is answered otherwise.
    """
    check_checksums(version)
    check_ops(version)
    tolerance = _TOLERANCES[precision_of(version)]
    model = ServedModel(version, target_of(version).tags)
    compared = 0
    try:
        for log, found in replay_logs(model):
            recorded = {name: read(tensor) for name, tensor in log.response.outputs.items()}
            if wrong := different(recorded, found, tolerance):
                asked = f"signature {log.request.model_spec.signature_name}, request {compared}"
                raise InputError(f"{version}: {asked}: {wrong} is not what was recorded: export the version again")
            compared += 1
    finally:
        model.close()
    if not compared:
        raise InputError(f"{version} has no warm-up requests: export it again")
    return compared


def different(recorded: Arrays, found: Arrays, tolerance: float) -> str:
    """The first output by name that is not as recorded; "" where all are.

    Items that score alike may change places.
    """
    for name in sorted(recorded.keys() | found.keys()):
        if name not in recorded or name not in found or recorded[name].shape != found[name].shape:
            return name
        if recorded[name].dtype.kind == "f":
            same = np.isclose(recorded[name], found[name], tolerance, tolerance)
        else:
            same = (recorded[name] == found[name]) | _level(recorded, recorded[name].shape, tolerance)
        if not same.all():
            return name
    return ""


def _level(answer: Arrays, shape: tuple[int, ...], tolerance: float) -> np.ndarray:
    """The places of a list of items that score like a neighbour, and the last, whose neighbour is not there."""
    scores = answer.get("scores")
    if scores is None or scores.shape != shape or scores.ndim != 2:
        return np.zeros(shape, bool)
    alike = np.isclose(scores[:, 1:], scores[:, :-1], tolerance, tolerance)
    return np.pad(alike, ((0, 0), (1, 0))) | np.pad(alike, ((0, 0), (0, 1)), constant_values=True)

"""Check of a version before it is served."""

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from tfllmrec.errors import InputError
from tfllmrec.export.checksums import check_checksums
from tfllmrec.export.format import check_format
from tfllmrec.export.ops import check_ops
from tfllmrec.export.precision import precision_of
from tfllmrec.export.target import target_of
from tfllmrec.serving.session import ServedModel
from tfllmrec.serving.warmup import replay_logs
from tfllmrec_client.tensors import read

_TOLERANCES = {"float32": 1e-4, "bfloat16": 2e-2, "int8": 2e-2}
"""Relative and absolute tolerance by precision: processors round differently."""

Outputs = Mapping[str, np.ndarray]


def check_version(version: Path, *, allow_ops: Collection[str] = ()) -> int:
    """Check the files and operations of a version, load it, and compare its warm-up responses with the recorded ones.

    The version runs in this process, in the C++ runtime that TF Serving uses.

    Args:
        version: folder of the version.
        allow_ops: names of operations that may reach outside the graph, as in `check_ops`.

    Returns:
        The number of responses that were compared.

    Raises:
        InputError: If the version has a format that this version of tfllmrec does not read; if a file is missing,
            damaged or not part of the export; if TF Serving lacks an operation or one is refused by `check_ops`; if
            the SavedModel cannot be loaded; or if there is no warm-up request, or one fails or has another response.
    """
    check_format(version)
    check_checksums(version)
    check_ops(version, allow_ops)
    tolerance = _TOLERANCES[precision_of(version)]
    model = ServedModel(version, target_of(version).tags)
    compared = 0
    try:
        for log, outputs in replay_logs(model):
            recorded = {name: read(tensor) for name, tensor in log.response.outputs.items()}
            if name := first_difference(recorded, outputs, tolerance):
                request = f"signature {log.request.model_spec.signature_name}, request {compared}"
                raise InputError(f"{version}: {request}: {name} differs from the recorded output: export again")
            compared += 1
    finally:
        model.close()
    if not compared:
        raise InputError(f"{version} has no warm-up requests: export it again")
    return compared


def first_difference(recorded: Outputs, outputs: Outputs, tolerance: float) -> str:
    """Return the name of the first output that differs from the recorded one, "" if none does.

    Items with equal scores may be in another order.

    Args:
        recorded: recorded outputs by name.
        outputs: outputs of the same request.
        tolerance: relative and absolute tolerance of floats.
    """
    for name in sorted(recorded.keys() | outputs.keys()):
        if name not in recorded or name not in outputs or recorded[name].shape != outputs[name].shape:
            return name
        if recorded[name].dtype.kind == "f":
            same = np.isclose(recorded[name], outputs[name], tolerance, tolerance)
        else:
            same = (recorded[name] == outputs[name]) | _tied(recorded, recorded[name].shape, tolerance)
        if not same.all():
            return name
    return ""


def _tied(outputs: Outputs, shape: tuple[int, ...], tolerance: float) -> np.ndarray:
    """Return which positions may have another item: positions with the score of a neighbour, and the last position.

    The last item may be tied with the first item after the results.
    """
    scores = outputs.get("scores")
    if scores is None or scores.shape != shape or scores.ndim != 2:
        return np.zeros(shape, bool)
    equal = np.isclose(scores[:, 1:], scores[:, :-1], tolerance, tolerance)
    return np.pad(equal, ((0, 0), (1, 0))) | np.pad(equal, ((0, 0), (0, 1)), constant_values=True)

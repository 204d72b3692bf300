"""Time from the start of a model server to its first response, with and without warm-up requests."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from benchmarks.common import progress
from benchmarks.serving.load import PREDICT, TIMEOUT, Inputs, serialized_request
from tfllmrec.serving import ServerProcess

ROWS = (1, 32)
_LATER_REQUESTS = 20
_WARM_UP = "assets.extra/tf_serving_warmup_requests"


def first_responses(version: Path, request_inputs: list[Inputs], repeats: int) -> dict[str, Any]:
    """Return medians over server starts; each server gets requests of one size only.

    Args:
        version: folder of an export's version that has warm-up requests.
        request_inputs: inputs of one row each, as many as the largest size.
        repeats: server starts per kind and size.
    """
    cold = version.parents[1] / "cold" / version.parent.name
    shutil.copytree(version, cold / version.name)
    (cold / version.name / _WARM_UP).unlink()
    kinds = {"with_warm_up": version.parent, "without": cold}
    times_by_kind: dict[str, dict[int, list[tuple[float, ...]]]] = {kind: {rows: [] for rows in ROWS} for kind in kinds}
    for turn in range(repeats):
        for rows in ROWS:
            request = serialized_request(
                _stack_rows(request_inputs[:rows]), name=version.parent.name, signature_name="retrieve"
            )
            for kind, folder in kinds.items():
                times_by_kind[kind][rows].append(_start(folder, request))
                progress(f"start {turn + 1} of {repeats}, {kind}, {rows} rows: {times_by_kind[kind][rows][-1]}")
    return {kind: _summary(sizes) for kind, sizes in times_by_kind.items()}


def _summary(sizes: dict[int, list[tuple[float, ...]]]) -> dict[str, Any]:
    starts = [start for times in sizes.values() for start, *_ in times]
    summary: dict[str, Any] = {"start_s": float(np.median(starts))}
    for rows, times in sizes.items():
        _, first, following = np.median(times, axis=0) * 1e3
        summary[f"rows_{rows}"] = {"first_ms": float(first), "next_ms": float(following)}
    return summary


def _start(folder: Path, request: bytes) -> tuple[float, float, float]:
    """Return seconds from server start to the first response, of that response, and the median of later ones."""
    started = time.perf_counter()
    with ServerProcess(folder) as server, grpc.insecure_channel(server.grpc_address) as channel:
        grpc.channel_ready_future(channel).result(TIMEOUT)
        method = channel.unary_unary(PREDICT)
        first = _seconds(method, request)
        total = time.perf_counter() - started
        return total, first, float(np.median([_seconds(method, request) for _ in range(_LATER_REQUESTS)]))


def _seconds(method: Callable[..., bytes], request: bytes) -> float:
    sent = time.perf_counter()
    method(request, timeout=TIMEOUT)
    return time.perf_counter() - sent


def _stack_rows(request_inputs: list[Inputs]) -> Inputs:
    """Stack inputs of one row each to one batch, padded with "" on the right."""
    stacked = {}
    for name in request_inputs[0]:
        rows = [row for inputs in request_inputs for row in inputs[name]]
        if isinstance(rows[0], list):
            width = max(map(len, rows))
            rows = [[*row, *[""] * (width - len(row))] for row in rows]
        stacked[name] = rows
    return stacked

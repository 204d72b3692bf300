"""How long a model server takes to its first answer, and that answer, with and without warm-up requests."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from benchmarks.common import progress
from benchmarks.serving.load import PREDICT, TIMEOUT, Question, packed
from tfllmrec.serving import ServerProcess

ROWS = (1, 32)
_MORE = 20
_WARM_UP = "assets.extra/tf_serving_warmup_requests"


def first_answers(version: Path, questions: list[Question], repeats: int) -> dict[str, Any]:
    """Medians over fresh servers, which take turns; every one is asked in one size alone.

    Args:
        version: of an export, with warm-up requests.
        questions: of a row each, as many as the largest size has.
        repeats: servers of each kind for each size.
    """
    cold = version.parents[1] / "cold" / version.parent.name
    shutil.copytree(version, cold / version.name)
    (cold / version.name / _WARM_UP).unlink()
    kinds = {"with_warm_up": version.parent, "without": cold}
    found: dict[str, dict[int, list[tuple[float, ...]]]] = {kind: {rows: [] for rows in ROWS} for kind in kinds}
    for turn in range(repeats):
        for rows in ROWS:
            request = packed(_joined(questions[:rows]), name=version.parent.name, signature_name="retrieve")
            for kind, folder in kinds.items():
                found[kind][rows].append(_started(folder, request))
                progress(f"start {turn + 1} of {repeats}, {kind}, {rows} rows: {found[kind][rows][-1]}")
    return {kind: _summary(sizes) for kind, sizes in found.items()}


def _summary(sizes: dict[int, list[tuple[float, ...]]]) -> dict[str, Any]:
    starts = [start for times in sizes.values() for start, *_ in times]
    summary: dict[str, Any] = {"start_s": float(np.median(starts))}
    for rows, times in sizes.items():
        _, first, following = np.median(times, axis=0) * 1e3
        summary[f"rows_{rows}"] = {"first_ms": float(first), "next_ms": float(following)}
    return summary


def _started(folder: Path, request: bytes) -> tuple[float, float, float]:
    """Seconds from the start of a server to its first answer, of that answer, and of one afterwards (the median)."""
    started = time.perf_counter()
    with ServerProcess(folder) as server, grpc.insecure_channel(server.grpc_address) as channel:
        grpc.channel_ready_future(channel).result(TIMEOUT)
        method = channel.unary_unary(PREDICT)
        first = _seconds(method, request)
        whole = time.perf_counter() - started
        return whole, first, float(np.median([_seconds(method, request) for _ in range(_MORE)]))


def _seconds(method: Callable[..., bytes], request: bytes) -> float:
    sent = time.perf_counter()
    method(request, timeout=TIMEOUT)
    return time.perf_counter() - sent


def _joined(questions: list[Question]) -> Question:
    """One question of many rows, filled up with "" at their ends."""
    joined = {}
    for name in questions[0]:
        rows = [row for question in questions for row in question[name]]
        if isinstance(rows[0], list):
            width = max(map(len, rows))
            rows = [[*row, *[""] * (width - len(row))] for row in rows]
        joined[name] = rows
    return joined

"""A load generator: requests to a function or to a gRPC method, some in flight all the time."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np

from benchmarks.common import progress
from tfllmrec_client.messages import PredictRequest
from tfllmrec_client.tensors import write

TIMEOUT = 60.0
PREDICT = "/tensorflow.serving.PredictionService/Predict"
Question = dict[str, Any]


def arrays_of(question: Question) -> dict[str, np.ndarray]:
    """Inputs of strings as a session takes them."""
    return {name: np.char.encode(rows).astype(object) for name, rows in question.items()}


def packed(question: Question, **spec: str) -> bytes:
    """A prepared `PredictRequest`, for a `ModelSpec`."""
    request = PredictRequest(model_spec=spec)
    for name, array in arrays_of(question).items():
        write(array, request.inputs[name])
    return request.SerializeToString()


@dataclass
class Load:
    """What happened to the requests.

    Attributes:
        latencies: seconds of each that was answered.
        failures: what went wrong with the others.
        seconds: how long all of it took.
    """

    latencies: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, other: "Load") -> None:
        """Count another load's requests in, as if they had come after these."""
        self.latencies += other.latencies
        self.failures += other.failures
        self.seconds += other.seconds

    def summary(self) -> dict[str, float]:
        """p50 and p99 in milliseconds, answers a second, and what failed."""
        p50, p99 = (np.percentile(self.latencies, [50, 99]) * 1e3).tolist()
        rate = len(self.latencies) / self.seconds
        return {"p50_ms": p50, "p99_ms": p99, "per_second": rate, "failed": len(self.failures)}


def one_by_one(
    ask: Callable[[Any], Any], requests: Sequence[Any], count: int, before: Callable[[], Any] = lambda: None
) -> Load:
    """`count` requests, each sent when the one before it is answered; what is done before it is in no latency."""
    load, started = Load(), time.perf_counter()
    for number in range(count):
        before()
        sent = time.perf_counter()
        ask(requests[number % len(requests)])
        load.latencies.append(time.perf_counter() - sent)
    load.seconds = time.perf_counter() - started
    return load


def at_once(method: Any, requests: Sequence[bytes], concurrency: int, *, count: int = 0, seconds: float = 0.0) -> Load:
    """`count` requests, or some seconds of them: whenever one is answered the next is sent.

    Args:
        method: a gRPC method of a channel, bytes to bytes.
        requests: they take turns.
        concurrency: how many are in flight.
        count: how many in all.
        seconds: how long at least.
    """
    load, room = Load(), threading.Semaphore(concurrency)
    started = time.perf_counter()

    def answered(call: grpc.Future, sent: float) -> None:
        if error := call.exception():
            load.failures.append(str(error))
        else:
            load.latencies.append(time.perf_counter() - sent)
        room.release()

    number = 0
    while number < count or time.perf_counter() - started < seconds:
        room.acquire()
        sent = time.perf_counter()
        call = method.future(requests[number % len(requests)], timeout=TIMEOUT)
        call.add_done_callback(lambda call, sent=sent: answered(call, sent))
        number += 1
    for _ in range(concurrency):
        room.acquire()
    load.seconds = time.perf_counter() - started
    return load


def take_turns(tasks: dict[str, Callable[[], Load]], turns: int) -> dict[str, dict[str, float]]:
    """All requests of all turns together; a first turn, for caches, does not count."""
    loads = {name: Load() for name in tasks}
    for turn in range(turns + 1):
        for name, task in tasks.items():
            load = task()
            if turn:
                loads[name].add(load)
        progress(f"turn {turn} of {turns}")
    return {name: load.summary() for name, load in loads.items()}


def rounded(value: Any) -> Any:
    """Floats with four digits, wherever they stand."""
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value

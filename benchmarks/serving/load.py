"""Load generators: one request at a time to a function, or several in flight to a gRPC method."""

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
Inputs = dict[str, Any]


def string_arrays(inputs: Inputs) -> dict[str, np.ndarray]:
    """Return string inputs as the arrays of bytes that a session takes."""
    return {name: np.char.encode(rows).astype(object) for name, rows in inputs.items()}


def serialized_request(inputs: Inputs, **spec: str) -> bytes:
    """Return a serialized `PredictRequest` for a `ModelSpec`."""
    request = PredictRequest(model_spec=spec)
    for name, array in string_arrays(inputs).items():
        write(array, request.inputs[name])
    return request.SerializeToString()


@dataclass
class Load:
    """Outcome of a load.

    Attributes:
        latencies: seconds of each successful request.
        failures: error messages of the others.
        seconds: duration of the whole load.
    """

    latencies: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, other: "Load") -> None:
        """Add the requests of another load, as if they had followed these."""
        self.latencies += other.latencies
        self.failures += other.failures
        self.seconds += other.seconds

    def summary(self) -> dict[str, float]:
        """Return p50 and p99 in milliseconds, responses per second, and the number of failures."""
        p50, p99 = (np.percentile(self.latencies, [50, 99]) * 1e3).tolist()
        rate = len(self.latencies) / self.seconds
        return {"p50_ms": p50, "p99_ms": p99, "per_second": rate, "failed": len(self.failures)}


def one_by_one(
    send: Callable[[Any], Any], requests: Sequence[Any], count: int, before: Callable[[], Any] = lambda: None
) -> Load:
    """Send `count` requests, each after the response to the one before it.

    Args:
        send: function that sends a request and waits for the response.
        requests: requests to send in rotation.
        count: number of requests.
        before: function that is called before each request, outside its latency.
    """
    load, started = Load(), time.perf_counter()
    for number in range(count):
        before()
        sent = time.perf_counter()
        send(requests[number % len(requests)])
        load.latencies.append(time.perf_counter() - sent)
    load.seconds = time.perf_counter() - started
    return load


def in_flight(
    method: Any, requests: Sequence[bytes], concurrency: int, *, count: int = 0, seconds: float = 0.0
) -> Load:
    """Keep a number of requests in flight: each response is followed by the next request.

    Args:
        method: a gRPC method of a channel, bytes to bytes.
        requests: serialized requests to send in rotation.
        concurrency: number of requests in flight.
        count: minimum number of requests.
        seconds: minimum duration.
    """
    load, free = Load(), threading.Semaphore(concurrency)
    started = time.perf_counter()

    def finish(call: grpc.Future, sent: float) -> None:
        if error := call.exception():
            load.failures.append(str(error))
        else:
            load.latencies.append(time.perf_counter() - sent)
        free.release()

    number = 0
    while number < count or time.perf_counter() - started < seconds:
        free.acquire()
        sent = time.perf_counter()
        call = method.future(requests[number % len(requests)], timeout=TIMEOUT)
        call.add_done_callback(lambda call, sent=sent: finish(call, sent))
        number += 1
    for _ in range(concurrency):
        free.acquire()
    load.seconds = time.perf_counter() - started
    return load


def take_turns(tasks: dict[str, Callable[[], Load]], turns: int) -> dict[str, dict[str, float]]:
    """Run loads in turns and summarize each over all its turns; the first turn, which fills caches, does not count."""
    loads = {name: Load() for name in tasks}
    for turn in range(turns + 1):
        for name, task in tasks.items():
            load = task()
            if turn:
                loads[name].add(load)
        progress(f"turn {turn} of {turns}")
    return {name: load.summary() for name, load in loads.items()}


def rounded(value: Any) -> Any:
    """Return a value with all floats rounded to four significant digits, nested ones included."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value

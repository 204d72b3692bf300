"""Prometheus metrics of the model server, under TF Serving's names."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from tfllmrec_client.status import RequestError

_PREFIX = ":tensorflow:serving:"
_BUCKETS = tuple(10 * 1.8**power for power in range(33))  # microseconds, up to 20 minutes


class Metrics:
    """Count requests by model and status, and record latencies of successful requests by model, API and entry point."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._lock, self._counts = threading.Lock(), Counter[tuple[str, str]]()
        self._registry.register(_RequestCollector(self._counts))
        self._latency = Histogram(
            f"{_PREFIX}request_latency",
            "Distribution of wall time (in microseconds) for requests.",
            ["model_name", "API", "entrypoint"],
            buckets=_BUCKETS,
            registry=self._registry,
        )

    @contextmanager
    def request(self, model: str, api: str, entrypoint: str) -> Iterator[None]:
        """Count the request that runs inside the block, by its error or its latency.

        Args:
            model: model name; "" for an unknown model, so that arbitrary names in requests do not fill the memory.
            api: API as TF Serving labels it: Predict over gRPC, predict over REST.
            entrypoint: GRPC or REST.
        """
        started, status = time.perf_counter(), "INTERNAL"
        try:
            yield
            status = "OK"
        except RequestError as error:
            status = error.code.name
            raise
        finally:
            with self._lock:
                self._counts[model, status] += 1
            if status == "OK":
                self._latency.labels(model, api, entrypoint).observe((time.perf_counter() - started) * 1e6)

    def add(self, collector: Collector) -> None:
        """Add the metrics of another part of the server."""
        self._registry.register(collector)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)


class _RequestCollector:
    """Collector of the request counts. The library's counters append `_total` to a name; TF Serving's do not."""

    def __init__(self, counts: Counter[tuple[str, str]]) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        metric = Metric(f"{_PREFIX}request_count", "The total number of requests.", "untyped")
        for (model, status), count in [*self._counts.items()]:
            metric.add_sample(metric.name, {"model_name": model, "status": status}, count)
        yield metric

"""What a model server counts, under TF Serving's names, for Prometheus."""

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
    """Requests by model and status, and how long those took that were answered, by model, API and entry point."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._counting, self._counts = threading.Lock(), Counter[tuple[str, str]]()
        self._registry.register(_Requests(self._counts))
        self._latency = Histogram(
            f"{_PREFIX}request_latency",
            "Distribution of wall time (in microseconds) for requests.",
            ["model_name", "API", "entrypoint"],
            buckets=_BUCKETS,
            registry=self._registry,
        )

    @contextmanager
    def request(self, model: str, api: str, entrypoint: str) -> Iterator[None]:
        """Count what happens inside the block: its refusal or error, or the time it takes to answer.

        Args:
            model: its name, "" for one that is not served, lest strangers' inventions fill the memory.
            api: what is asked, as TF Serving calls it there: Predict over gRPC, predict over REST.
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
            with self._counting:
                self._counts[model, status] += 1
            if status == "OK":
                self._latency.labels(model, api, entrypoint).observe((time.perf_counter() - started) * 1e6)

    def add(self, collector: Collector) -> None:
        """Count what another part of the server counts, too."""
        self._registry.register(collector)

    def text(self) -> bytes:
        """All of it in Prometheus's text format."""
        return generate_latest(self._registry)


class _Requests:
    """The library's own counters have names that end in `_total`; TF Serving's have not."""

    def __init__(self, counts: Counter[tuple[str, str]]) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        metric = Metric(f"{_PREFIX}request_count", "The total number of requests.", "untyped")
        for (model, status), count in [*self._counts.items()]:
            metric.add_sample(metric.name, {"model_name": model, "status": status}, count)
        yield metric

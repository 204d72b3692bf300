"""Timing of the steps."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Measure the seconds of a block under a name."""
    started = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - started

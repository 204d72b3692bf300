"""Timing of the quickstart's steps."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Measure the duration of a block, and store the seconds under a name."""
    started = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - started

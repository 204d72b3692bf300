"""Shared by all benchmarks: options, the JSON line with machine and versions, timing, and synthetic data."""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tfllmrec.data import Dataset, load_dataset
from tfllmrec.evaluation.bootstrap import Interval

RESULTS = Path(__file__).parent / "results"
SYNTHETIC = "synthetic"
_PACKAGES = ("tfllmrec", "tensorflow", "keras", "tensorflow-recommenders", "numpy")
_LOAD_AT_START = os.getloadavg()[0]


class Seconds(NamedTuple):
    """Duration of a task.

    Attributes:
        wall: wall-clock time.
        cpu: CPU time of all threads of the process, which depends little on other work on the machine.
    """

    wall: float
    cpu: float


def benchmark_parser(docstring: str | None) -> argparse.ArgumentParser:
    """Return a parser with the first line of a module's docstring as description, and the option `--record`."""
    parser = argparse.ArgumentParser(description=(docstring or "").split("\n", 1)[0])
    parser.add_argument("--record", action="store_true", help="write the result to benchmarks/results/ as well")
    return parser


def report(result: dict[str, Any], record: str | None = None) -> None:
    """Print a result as one JSON line, with date, machine and versions.

    Args:
        result: the measured values.
        record: name of the file in `results/`, without suffix, that keeps the result; None writes no file.
    """
    line = json.dumps(result | {"date": date.today().isoformat(), "machine": _machine(), "versions": _versions()})
    print(line)
    if record is not None:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{record}.json").write_text(json.dumps(json.loads(line), indent=2) + "\n", encoding="utf-8")


def parse_options(assignments: Sequence[str]) -> dict[str, Any]:
    """Return the options of a family that the command line gives as KEY=VALUE."""
    return dict(assignment.split("=", 1) for assignment in assignments)


def rounded_interval(interval: Interval) -> list[float]:
    """Return mean, lower and upper bound of a difference, rounded for a result."""
    return [round(value, 5) for value in (interval.mean, interval.low, interval.high)]


def rounded(metrics: dict[str, float]) -> dict[str, float]:
    """Return metrics rounded for a result."""
    return {name: round(value, 5) for name, value in metrics.items()}


def progress(text: str) -> None:
    """Print a line on stderr."""
    print(text, file=sys.stderr, flush=True)


def time_all(
    tasks: dict[str, Callable[[], Any]], repeats: int, after: Callable[[str], Any] = lambda name: None
) -> dict[str, Seconds]:
    """Return the median duration of each task.

    The tasks take turns, so that other work on the machine affects all of them. The first turn fills caches and traces
    functions; it does not count.

    Args:
        tasks: functions by name.
        repeats: number of turns that count.
        after: function of a task's name that is called after each of its turns, outside the measurement.
    """
    times: dict[str, list[Seconds]] = {name: [] for name in tasks}
    for turn in range(repeats + 1):
        for name, task in tasks.items():
            wall, cpu = time.perf_counter(), time.process_time()
            task()
            times[name].append(Seconds(time.perf_counter() - wall, time.process_time() - cpu))
            progress(f"{name}, turn {turn}: {times[name][-1].wall:.2f} s")
            after(name)
    return {name: Seconds(*np.median(seconds[1:], axis=0).tolist()) for name, seconds in times.items()}


def load_or_generate(name: str) -> Dataset:
    """Return a data set by name or folder, or generate one of MovieLens-1M's size if the name is "synthetic"."""
    return _synthetic_data() if name == SYNTHETIC else load_dataset(name)


def _synthetic_data(users: int = 6040, items: int = 3416) -> Dataset:
    """Return about as many interactions as MovieLens-1M has, long-tailed in users and items, without repeats."""
    random = np.random.default_rng(0)
    lengths = np.clip(random.lognormal(4.6, 0.95, users), 20, items // 2).astype(int)
    # Gumbel noise on log popularity: the n highest keys are a sample of n without replacement.
    keys = random.gumbel(size=(users, items)) - np.log(np.arange(items) + 20)
    best_first = np.argsort(-keys, axis=1)
    chosen = np.concatenate([row[:length] for row, length in zip(best_first, lengths, strict=True)])
    return Dataset.from_frames(
        pd.DataFrame(
            {
                "user_id": np.repeat([f"u{user}" for user in range(users)], lengths),
                "item_id": np.array([f"i{item}" for item in range(items)])[chosen],
                "timestamp": random.integers(0, 10**9, len(chosen)),
            }
        )
    )


def _machine() -> dict[str, Any]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory),
        "processor": _processor(),
        "load_before": round(_LOAD_AT_START, 1),  # on a busy machine only ratios can be compared
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def _versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES}

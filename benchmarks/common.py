"""What all benchmarks share: one JSON line, where and with what it was measured, and made data of a known size."""

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

from tfllmrec.data import Dataset, load
from tfllmrec.evaluation.bootstrap import Interval

RESULTS = Path(__file__).parent / "results"
_PACKAGES = ("tfllmrec", "tensorflow", "keras", "tensorflow-recommenders", "numpy")
_LOAD_AT_START = os.getloadavg()[0]


class Seconds(NamedTuple):
    """How long something took.

    Attributes:
        wall: by the clock.
        cpu: of all threads of the process together, which other work on the machine hardly changes.
    """

    wall: float
    cpu: float


def report(result: dict[str, Any], record: str | None = None) -> None:
    """Print the result as one JSON line; with `record`, keep it as `results/<record>.json` as well.

    Args:
        result: what was measured.
        record: name of the result file, without ending; None keeps nothing.
    """
    line = json.dumps(result | {"date": date.today().isoformat(), "machine": _machine(), "versions": _versions()})
    print(line)
    if record is not None:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{record}.json").write_text(json.dumps(json.loads(line), indent=2) + "\n", encoding="utf-8")


def options_of(assignments: Sequence[str]) -> dict[str, Any]:
    """Options of a family as the command line has them, KEY=VALUE."""
    return dict(assignment.split("=", 1) for assignment in assignments)


def rounded_interval(interval: Interval) -> list[float]:
    """A mean difference, and its lower and upper bound, as a result has them."""
    return [round(value, 5) for value in (interval.mean, interval.low, interval.high)]


def rounded(metrics: dict[str, float]) -> dict[str, float]:
    """Metrics as a result has them."""
    return {name: round(value, 5) for name, value in metrics.items()}


def progress(text: str) -> None:
    """A line on stderr."""
    print(text, file=sys.stderr, flush=True)


def time_all(
    tasks: dict[str, Callable[[], Any]], repeats: int, after: Callable[[str], Any] = lambda name: None
) -> dict[str, Seconds]:
    """How long tasks take, each once it has run before (traces, caches): medians.

    The tasks take turns, so that other work on the machine meets all of them. `after` is called with a task's name
    after each of its turns, and not timed.
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


def load_or_make(name: str) -> Dataset:
    """A data set by name or folder; "made" is made here."""
    return _made_data() if name == "made" else load(name)


def _made_data(users: int = 6040, items: int = 3416) -> Dataset:
    """Interactions as many as MovieLens-1M's, with long-tailed popularity and activity, and no repeats."""
    random = np.random.default_rng(0)
    lengths = np.clip(random.lognormal(4.6, 0.95, users), 20, items // 2).astype(int)
    # Gumbel noise on log popularity: the highest n are a draw of n without replacement.
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
        "load_before": round(_LOAD_AT_START, 1),  # work of others; timings of a busy machine compare as ratios only
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

"""What all benchmarks share: quiet logs, one JSON line, and where and with what it was measured."""

import json
import os
import platform
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
_PACKAGES = ("tfllmrec", "tensorflow", "keras", "tensorflow-recommenders", "numpy")


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


def _machine() -> dict[str, Any]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"cores": len(os.sched_getaffinity(0)), "memory_gib": round(memory), "processor": platform.machine()}


def _versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES}

"""Runs a command of tfllmrec in a process of its own, with its duration and peak memory."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.common import Seconds

_POLL_SECONDS = 0.05


class Usage(NamedTuple):
    """Result of a command.

    Attributes:
        status: exit status.
        stdout: its output.
        seconds: wall-clock and CPU time.
        peak_gib: peak resident memory.
    """

    status: int
    stdout: str
    seconds: Seconds
    peak_gib: float


def run_command(*arguments: str | Path) -> Usage:
    """Run `tfllmrec` with arguments; its progress goes to stderr of this process.

    The peak is polled from /proc: that of `resource` includes the memory of this process before the command starts.
    """
    started, cpu_before, peak = time.perf_counter(), _cpu_of_children(), 0
    command = [sys.executable, "-m", "tfllmrec", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            peak = max(peak, _peak_kib(process.pid))
            time.sleep(_POLL_SECONDS)
        wall = time.perf_counter() - started
        stdout = process.stdout.read() if process.stdout else ""
    return Usage(process.returncode, stdout, Seconds(wall, _cpu_of_children() - cpu_before), peak / 2**20)


def _cpu_of_children() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _peak_kib(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:  # it has ended
        return 0
    match = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(match[1]) if match else 0

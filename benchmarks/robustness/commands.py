"""Runs a command of tfllmrec in a process of its own, with its duration and peak memory."""

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

_POLL_SECONDS = 0.05


class Usage(NamedTuple):
    """Result of a command.

    Attributes:
        status: exit status.
        stdout: its output.
        seconds: wall-clock time.
        peak_gib: peak resident memory.
    """

    status: int
    stdout: str
    seconds: float
    peak_gib: float


def run_command(*arguments: str | Path) -> Usage:
    """Run `tfllmrec` with arguments; its progress goes to stderr of this process.

    The peak is polled from /proc: that of `resource` includes the memory of this process before the command starts.
    """
    started, peak = time.perf_counter(), 0
    command = [sys.executable, "-m", "tfllmrec", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            peak = max(peak, _peak_kib(process.pid))
            time.sleep(_POLL_SECONDS)
        seconds = time.perf_counter() - started
        stdout = process.stdout.read() if process.stdout else ""
    return Usage(process.returncode, stdout, seconds, peak / 2**20)


def _peak_kib(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:  # it has ended
        return 0
    match = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(match[1]) if match else 0

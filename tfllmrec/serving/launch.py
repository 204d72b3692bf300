"""The model server as a process of its own, started and stopped from Python."""

import re
import subprocess
import sys
import tempfile
import threading
import weakref
from pathlib import Path
from typing import Self

from tfllmrec.errors import InputError

GRPC_LINE, REST_LINE = "gRPC on {}", "REST on {}"
"""What the server prints once it answers; the addresses are read from there."""


class ServerProcess:
    """`tfllmrec serve` on free ports, beside the program that started it.

    A process of its own, so that switching XLA off, as TF Serving has it, leaves this one as it is. It ends with
    the block, or with the program.

    Args:
        arguments: those of `tfllmrec serve`, an export's folder first; ports given there are used.
        timeout: seconds it may take to answer; loading TensorFlow alone takes several.

    Attributes:
        grpc_address: "host:port", for `Client`.
        rest_url: "http://host:port".
        pid: the process's number.

    Raises:
        InputError: it did not start; says why.

    Example:
        >>> with ServerProcess("models/films") as server, Client(server.grpc_address, "films") as client:
        ...     client.recommend(users=["42"])
    """

    def __init__(self, *arguments: str | Path, timeout: float = 120.0) -> None:
        command = [
            sys.executable,
            "-m",
            "tfllmrec",
            "serve",
            "--port",
            "0",
            "--rest_api_port",
            "0",
            *map(str, arguments),
        ]
        self._errors = tempfile.TemporaryFile("a+", encoding="utf-8")  # noqa: SIM115, it lives as long as the process
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self._errors, text=True, encoding="utf-8"
        )
        self.pid = self._process.pid
        self._finalizer = weakref.finalize(self, _end, self._process)
        too_late = threading.Timer(timeout, self._process.kill)
        too_late.start()
        try:
            self.grpc_address, self.rest_url = self._address(GRPC_LINE), self._address(REST_LINE)
        finally:
            too_late.cancel()

    def errors(self) -> list[str]:
        """The lines on its stderr so far."""
        self._errors.seek(0)
        return self._errors.read().strip().splitlines()

    def stop(self) -> int:
        """Let running requests end, then the server; its exit status."""
        self._finalizer()
        self._errors.close()
        return self._process.returncode

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def _address(self, announcement: str) -> str:
        assert self._process.stdout is not None
        pattern = re.compile(announcement.format(r"(\S+)"))
        for line in self._process.stdout:
            if found := pattern.search(line):
                return found[1]
        self._finalizer()
        told = self.errors() or ["it did not answer in time"]
        raise InputError(f"the model server did not start: {told[-1].removeprefix('tfllmrec: ')}")


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    process.wait()
    if process.stdout:
        process.stdout.close()

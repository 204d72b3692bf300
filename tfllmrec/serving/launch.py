"""Model server in a separate process, started and stopped from Python."""

import re
import signal
import subprocess
import sys
import tempfile
import threading
import weakref
from pathlib import Path
from typing import Self

from tfllmrec.errors import InputError

GRPC_LINE, REST_LINE = "gRPC on {}", "REST on {}"
"""Lines with the addresses, which the server prints as soon as it accepts requests."""


class ServerProcess:
    """Run `tfllmrec serve` on free ports in a separate process.

    The server disables XLA, as TF Serving does, for its whole process; the calling process is not affected. The server
    stops at the end of the `with` block or when the calling process exits.

    Args:
        arguments: arguments of `tfllmrec serve`, starting with the folder of an export. They may contain ports.
        timeout: seconds to wait until the server accepts requests. Importing TensorFlow alone takes several.

    Attributes:
        grpc_address: "host:port", for `Client`.
        rest_url: "http://host:port".
        pid: process ID.

    Raises:
        InputError: If the server does not start. The message contains the server's error.

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
        self._errors = tempfile.TemporaryFile("a+", encoding="utf-8")  # noqa: SIM115, open as long as the process runs
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self._errors, text=True, encoding="utf-8"
        )
        self.pid = self._process.pid
        self._finalizer = weakref.finalize(self, _terminate, self._process)
        timer = threading.Timer(timeout, self._process.kill)
        timer.start()
        try:
            self.grpc_address, self.rest_url = self._read_address(GRPC_LINE), self._read_address(REST_LINE)
        finally:
            timer.cancel()

    def errors(self) -> list[str]:
        """Return the lines that the server has written to stderr."""
        self._errors.seek(0)
        return self._errors.read().strip().splitlines()

    def stop(self) -> int:
        """Stop the server after the running requests and return its exit status."""
        self._finalizer()
        self._errors.close()
        return self._process.returncode

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def _read_address(self, announcement: str) -> str:
        assert self._process.stdout is not None
        pattern = re.compile(announcement.format(r"(\S+)"))
        for line in self._process.stdout:
            if match := pattern.search(line):
                return match[1]
        self._finalizer()
        killed, errors = self._process.returncode == -signal.SIGKILL, self.errors()
        reason = errors[-1].removeprefix("tfllmrec: ") if errors and not killed else "it did not respond in time"
        raise InputError(f"the model server did not start: {reason}")


def _terminate(process: subprocess.Popen[str]) -> None:
    process.terminate()
    process.wait()
    if process.stdout:
        process.stdout.close()

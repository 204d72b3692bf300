"""The HTTP server that the REST interface runs in: cheroot with bounds, and with refusals in JSON.

What it adds: a connection that says nothing holds no thread; a request has to be there in time, however its bytes
trickle in; one too many is refused at once; and where a connection ends while its client still sends, what comes is
thrown away for a while, for the system takes an answer back whose request was never read to its end.
"""

import json
import logging
import queue
import socket
import threading
import time
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from cheroot import server, wsgi
from cheroot.errors import MaxSizeExceeded
from cheroot.makefile import StreamReader

from tfllmrec.serving.core import ServerCore
from tfllmrec.serving.limits import Limits
from tfllmrec.serving.rest_api import RestApi
from tfllmrec.serving.status import cannot_listen

_BACKLOG = 1024
"""Connections that may wait to be accepted."""
_IDLE_SECONDS = 60
"""How long a connection may be silent between requests."""
_CLOSING_SECONDS = 2.0
"""How long it is read on once it has ended."""
_LARGEST_HEADERS, _PIECE = 2**16, 2**16
_FULL = "too many requests wait for a thread: try again later"
_log = logging.getLogger(__name__)


class _Socket(socket.socket):
    """A connection on which each request has to come within a time and a number of bytes."""

    def begin(self, seconds: float, most: int) -> None:
        """Expect another request."""
        self._until, self._left = time.monotonic() + seconds, most

    def recv_into(self, *arguments: Any) -> int:
        """Bytes of a request; raises TimeoutError or MaxSizeExceeded."""
        remaining = self._until - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("timed out")
        self.settimeout(remaining)
        count = super().recv_into(*arguments)
        self._left -= count
        if self._left < 0:
            raise MaxSizeExceeded
        return count


class _Reader(StreamReader):
    """Reads in pieces: cheroot makes room for all that is announced, whether it comes or not."""

    def read(self, size: int | None = 0) -> bytes:
        """So many bytes, or fewer where the client ends before; none for a length below 0."""
        pieces, left = [], size or 0
        while left > 0 and (piece := super().read(min(left, _PIECE))):
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)


class _Writer:
    """Writes an answer, which has to be taken within a time."""

    def __init__(self, taker: socket.socket, seconds: float) -> None:
        self._taker, self._seconds, self.bytes_written = taker, seconds, 0

    def write(self, data: bytes) -> None:
        """All of it; raises TimeoutError."""
        self._taker.settimeout(self._seconds)
        self._taker.sendall(data)
        self.bytes_written += len(data)


class _Request(server.HTTPRequest):
    def respond(self) -> None:
        """Answer; a body in chunks shows only while it is read that it is too large."""
        try:
            super().respond()
        except (MaxSizeExceeded, OSError) as error:
            if isinstance(error, TimeoutError) or getattr(error, "errno", None):
                raise
            self.simple_response("413")

    def simple_response(self, status: str, msg: str = "") -> None:
        """Cheroot's own refusals, which end the connection."""
        code = int(str(status)[:3])
        self.close_connection = True
        with suppress(OSError):
            self.conn.wfile.write(_refusal(code, self.server.sentences.get(code, msg)))


class _Connection(server.HTTPConnection):
    RequestHandlerClass = _Request
    spoken = False
    ended = 0.0

    def __init__(self, server: "_Server", accepted: socket.socket, makefile: Any) -> None:
        self._seconds, self._most = server.seconds, server.max_request_body_size + 2 * _LARGEST_HEADERS
        super().__init__(server, _Socket(fileno=accepted.detach()), self._file)

    def _file(self, connection: _Socket, mode: str, size: int) -> _Reader | _Writer:
        return _Reader(connection, mode, size) if "r" in mode else _Writer(connection, self._seconds)

    def communicate(self) -> bool:
        """Answer a request; whether the connection is to be looked at again."""
        self.socket.begin(self._seconds, self._most)
        return super().communicate() or self._end()

    def refuse(self) -> None:
        """Say no without reading what is asked, and without waiting."""
        self.socket.setblocking(False)
        with suppress(OSError):
            self.socket.sendall(_refusal(HTTPStatus.TOO_MANY_REQUESTS, _FULL))
        self._end()

    def drained(self) -> bool:
        """Throw away what has come; whether the client has ended too, or its time is over."""
        while self.rfile.has_data():
            self.rfile.read1()
        self.socket.setblocking(False)
        try:
            return not self.socket.recv(_PIECE) or time.monotonic() > self.ended + _CLOSING_SECONDS
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _end(self) -> bool:
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)
        self.ended = time.monotonic()
        return True


class _Server(wsgi.Server):
    ConnectionClass = _Connection
    max_request_header_size = _LARGEST_HEADERS

    def __init__(self, address: tuple[str, int], threads: int, limits: Limits) -> None:
        self.seconds = limits.rest_api_timeout_in_ms / 1e3
        self.max_request_body_size = limits.rest_api_max_body_bytes
        self.sentences = {
            408: f"the request did not come within {self.seconds:g} s, or the answer was not taken: "
            "--rest_api_timeout_in_ms has more",
            413: f"a body has at most {self.max_request_body_size} bytes (--rest_api_max_body_bytes), and headers "
            f"{_LARGEST_HEADERS}",
            414: f"a path has at most {_LARGEST_HEADERS} bytes",
        }
        super().__init__(
            address,
            None,
            numthreads=threads,
            max=threads,
            request_queue_size=_BACKLOG,
            timeout=_IDLE_SECONDS,
            accepted_queue_size=limits.max_waiting_requests,
            accepted_queue_timeout=0,
        )

    def process_conn(self, conn: _Connection) -> None:
        """Give a connection to a thread, once it has said something; never wait for one."""
        if conn.ended:
            self._read_on(conn)
        elif not conn.spoken:
            conn.spoken = True
            self.put_conn(conn)
        else:
            try:
                self.requests.put(conn)
            except queue.Full:
                conn.refuse()
                self.put_conn(conn)

    def put_conn(self, conn: _Connection) -> None:
        """Look at a connection again when something comes, or when its time is over."""
        super().put_conn(conn)
        if conn.ended:
            conn.last_used += _CLOSING_SECONDS - _IDLE_SECONDS

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
        """Cheroot's messages go to the log, not to stderr."""
        _log.log(level, msg, exc_info=traceback)

    def _read_on(self, conn: _Connection) -> None:
        if conn.drained():
            conn.close()
        else:
            self.put_conn(conn)


class RestServer:
    """An HTTP server that has its port already, and answers after `start`.

    Args:
        host: where to listen.
        port: 0 takes a free one.
        threads: requests at the same time; those that wait for a batch count.
        limits: how many more may wait, how large they are, how slow.

    Attributes:
        port: where it listens.

    Raises:
        InputError: the port is taken, or the host is not this machine.
    """

    def __init__(self, host: str, port: int, threads: int, limits: Limits) -> None:
        self._server = _Server((host, port), threads, limits)
        try:
            self._server.prepare()
        except OSError as error:
            raise cannot_listen(host, port, "--rest_api_port") from error
        self.port = self._server.bind_addr[1]
        self._thread = threading.Thread(target=self._server.serve, daemon=True)

    def start(self, core: ServerCore, metrics_path: str = "") -> None:
        """Answer requests, and Prometheus at a path."""
        self._server.wsgi_app = RestApi(core, metrics_path)
        self._thread.start()

    def stop(self, grace: float) -> None:
        """Take no more requests, and give those that run some seconds."""
        self._server.shutdown_timeout = grace
        self._server.stop()


def _refusal(code: int, sentence: str) -> bytes:
    """A whole answer, after which the connection ends."""
    reason = HTTPStatus(code).phrase
    body = json.dumps({"error": " ".join((sentence or reason).split())}).encode()
    lines = [f"HTTP/1.1 {code} {reason}", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body

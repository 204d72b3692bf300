"""HTTP connection of the REST server: cheroot's connection with limits and JSON errors.

A request must arrive completely within a time limit, and its response must be read within the same limit. After the
end of a connection its input is still read for a while, because the system discards a response if the client has
sent data that was never read.
"""

import json
import socket
import time
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from cheroot import server
from cheroot.errors import MaxSizeExceeded
from cheroot.makefile import StreamReader

MAX_HEADER_BYTES = 2**16
CLOSING_SECONDS = 2.0
"""Time during which the input of an ended connection is still read."""
_CHUNK_BYTES = 2**16
_TOO_MANY_REQUESTS = "too many requests are waiting for a thread: try again later"


class _Socket(socket.socket):
    """Socket on which each request must arrive within a time and a number of bytes."""

    def begin_request(self, seconds: float, max_bytes: int) -> None:
        """Reset the limits for the next request."""
        self._deadline, self._bytes_left = time.monotonic() + seconds, max_bytes

    def recv_into(self, *arguments: Any) -> int:
        """Receive bytes; raise TimeoutError or MaxSizeExceeded beyond the limits."""
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("timed out")
        self.settimeout(remaining)
        count = super().recv_into(*arguments)
        self._bytes_left -= count
        if self._bytes_left < 0:
            raise MaxSizeExceeded
        return count


class _Reader(StreamReader):
    """Reader in chunks. Cheroot's own reader allocates the announced length before the data arrives."""

    def read(self, size: int | None = 0) -> bytes:
        """Read `size` bytes, fewer if the client ends the connection, none if `size` is negative."""
        chunks, left = [], size or 0
        while left > 0 and (chunk := super().read(min(left, _CHUNK_BYTES))):
            chunks.append(chunk)
            left -= len(chunk)
        return b"".join(chunks)


class _Writer:
    """Writer of responses, each of which the client must read within a time."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        self._connection, self._seconds, self.bytes_written = connection, seconds, 0

    def write(self, data: bytes) -> None:
        """Write all data; raise TimeoutError if the client does not read it in time."""
        self._connection.settimeout(self._seconds)
        self._connection.sendall(data)
        self.bytes_written += len(data)


class _Request(server.HTTPRequest):
    def respond(self) -> None:
        """Respond with 413 if a chunked body exceeds the limit, which only shows while it is read."""
        try:
            super().respond()
        except (MaxSizeExceeded, OSError) as error:
            if isinstance(error, TimeoutError) or getattr(error, "errno", None):
                raise
            self.simple_response("413")

    def simple_response(self, status: str, msg: str = "") -> None:
        """Send an error of cheroot as JSON and end the connection."""
        code = int(str(status)[:3])
        self.close_connection = True
        with suppress(OSError):
            self.conn.wfile.write(_error_response(code, self.server.error_sentences.get(code, msg)))


class Connection(server.HTTPConnection):
    """Connection with limits, which the server hands to a thread only after the first byte has arrived.

    Args:
        http_server: server with the attributes `seconds`, `max_request_body_size` and `error_sentences`.
        accepted: accepted socket; its descriptor is taken over.
        makefile: ignored, cheroot's own reader and writer.

    Attributes:
        active: whether the client has sent anything.
        ended: time at which the connection ended; 0 while it is open.
    """

    RequestHandlerClass = _Request
    active = False
    ended = 0.0

    def __init__(self, http_server: Any, accepted: socket.socket, makefile: Any) -> None:
        self._seconds = http_server.seconds
        self._max_bytes = http_server.max_request_body_size + 2 * MAX_HEADER_BYTES
        super().__init__(http_server, _Socket(fileno=accepted.detach()), self._make_file)

    def communicate(self) -> bool:
        """Respond to one request. Return whether the server must keep watching the connection."""
        self.socket.begin_request(self._seconds, self._max_bytes)
        return super().communicate() or self._end()

    def refuse(self) -> None:
        """Respond with 429, without reading the request and without waiting."""
        self.socket.setblocking(False)
        with suppress(OSError):
            self.socket.sendall(_error_response(HTTPStatus.TOO_MANY_REQUESTS, _TOO_MANY_REQUESTS))
        self._end()

    def drain(self) -> bool:
        """Discard the available input. Return whether the client has ended the connection or the time is over."""
        while self.rfile.has_data():
            self.rfile.read1()
        self.socket.setblocking(False)
        try:
            return not self.socket.recv(_CHUNK_BYTES) or time.monotonic() > self.ended + CLOSING_SECONDS
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _make_file(self, connection: _Socket, mode: str, size: int) -> _Reader | _Writer:
        return _Reader(connection, mode, size) if "r" in mode else _Writer(connection, self._seconds)

    def _end(self) -> bool:
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)
        self.ended = time.monotonic()
        return True


def _error_response(code: int, sentence: str) -> bytes:
    """Return a complete response with an error in JSON, which ends the connection."""
    reason = HTTPStatus(code).phrase
    body = json.dumps({"error": " ".join((sentence or reason).split())}).encode()
    lines = [f"HTTP/1.1 {code} {reason}", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body

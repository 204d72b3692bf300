"""HTTP/1.1 protocol of the REST server: uvicorn's, on Node's strict parser, with limits and errors in JSON.

A request must arrive completely within a time and a size, and its response must be read within the same time. After a
refusal the connection is only read until the client closes it, because the system discards a response if the client has
sent data that was never read.
"""

import asyncio
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from tfllmrec.serving.http_messages import HttpError, body_too_large, error_response
from tfllmrec.serving.limits import Limits

MAX_HEADER_BYTES = 2**16
_CLOSING_SECONDS = 2.0
"""Time during which the input of a refused connection is still read."""


class _Parser(httptools.HttpRequestParser):
    """Strict parser that declines upgrades, after which httptools expects no body."""

    def __init__(self, protocol: "HttpProtocol") -> None:
        super().__init__(protocol)
        self._protocol = protocol

    def feed_data(self, data: bytes) -> None:  # type: ignore[override]  # uvicorn has no other kind
        try:
            super().feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._protocol.decline_upgrade(data[upgrade.args[0] :])


class HttpProtocol(HttpToolsProtocol):
    """Protocol of one connection.

    Uvicorn calls `send_400_response` for an invalid request, and also if a callback of the parser raises an exception.
    So the callbacks refuse a request by an `HttpError`.

    Args:
        arguments: uvicorn's arguments.
        limits: maximum body size and time.
        options: uvicorn's options.
    """

    def __init__(self, *arguments: Any, limits: Limits, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.parser = _Parser(self)
        self._max_body_bytes, self._seconds = limits.rest_api_max_body_bytes, limits.rest_api_timeout_in_ms / 1e3
        self._previous: RequestResponseCycle | None = None
        self._error: HttpError | None = None
        self._refused = False
        self._in_headers = self._in_message = False
        self._body_bytes = 0
        self._received_bytes = 0  # of the present request, after the read in which it began
        self._arrival_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # so that `pause_writing` reports every response that is not read
        self._start_arrival()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_arrival()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if not self._arrival_timer:
            self._start_arrival()
        scope = self.scope
        super().data_received(data)
        self._received_bytes = self._received_bytes + len(data) if self.scope is scope else 0
        if not self._refused:
            self._check_received_bytes()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Respond to a complete request although the client sends nothing more."""
        if self._is_responding():
            self.cycle.keep_alive = False
            return True
        if self._in_message and not self._refused:
            self._end(HttpError(HTTPStatus.BAD_REQUEST, "the request is incomplete"))
        return False

    def on_message_begin(self) -> None:
        self._start_arrival()
        self._in_headers = self._in_message = True
        self._body_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_headers = False
        self._check_framing()
        if not self.parser.should_upgrade():
            self._previous = self.cycle
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        self._check_size(self._body_bytes)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():
            self._in_message = False
            self._stop_arrival()
            super().on_message_complete()

    def decline_upgrade(self, rest: bytes) -> None:
        """Parse the request again as one that does not offer an upgrade, such as to h2c by Java's client.

        Args:
            rest: data after the headers.
        """
        headers = [name + b": " + value for name, value in self.headers if name != b"upgrade"]
        line = b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        self.parser = _Parser(self)
        self.parser.feed_data(b"\r\n".join([line, *headers, b"", rest]))

    def pause_writing(self) -> None:
        """Close the connection if the client does not read the response in time."""
        super().pause_writing()
        if not self._write_timer:
            self._write_timer = self.loop.call_later(self._seconds, self.transport.abort)

    def resume_writing(self) -> None:
        if self._write_timer:
            self._write_timer.cancel()
            self._write_timer = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Refuse a request; without an error of our own, the parser has found it invalid."""
        self._end(self._error or HttpError(HTTPStatus.BAD_REQUEST, "the request is not valid HTTP/1.1"))

    def _check_framing(self) -> None:
        """Refuse long headers, and requests that a proxy may end at another byte."""
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > MAX_HEADER_BYTES:
            self._refuse(_headers_too_large())
        version = self.parser.get_http_version()
        codings = [value.lower() for name, value in self.headers if name == b"transfer-encoding"]
        hosts = sum(name == b"host" for name, _ in self.headers)
        if self.parser.get_method() == b"CONNECT":
            self._refuse(HttpError(HTTPStatus.BAD_REQUEST, "CONNECT is not supported"))
        if version not in ("1.0", "1.1"):
            self._refuse(HttpError(HTTPStatus.BAD_REQUEST, f"HTTP/{version} is not supported: use HTTP/1.1"))
        if hosts > 1 or (version == "1.1" and not hosts):
            self._refuse(HttpError(HTTPStatus.BAD_REQUEST, "the request must have one Host header"))
        if codings and (codings != [b"chunked"] or version == "1.0"):
            self._refuse(
                HttpError(HTTPStatus.BAD_REQUEST, "the only supported Transfer-Encoding is chunked, in HTTP/1.1")
            )
        self._check_size(max((int(value) for name, value in self.headers if name == b"content-length"), default=0))

    def _check_size(self, size: int) -> None:
        if size > self._max_body_bytes:
            self._refuse(body_too_large(self._max_body_bytes))

    def _check_received_bytes(self) -> None:
        """Refuse endless headers, and a body in chunks so small that they cost more than their content."""
        if self._in_headers and self._received_bytes > MAX_HEADER_BYTES:
            self._end(_headers_too_large())
        elif self._received_bytes > MAX_HEADER_BYTES + 2 * self._max_body_bytes:
            self._end(body_too_large(self._max_body_bytes))

    def _refuse(self, error: HttpError) -> None:
        """Refuse the request from a callback of the parser, which hides the exception."""
        self._error = error
        raise error

    def _start_arrival(self) -> None:
        self._stop_arrival()
        self._arrival_timer = self.loop.call_later(self._seconds, self._time_out)

    def _stop_arrival(self) -> None:
        if self._arrival_timer:
            self._arrival_timer.cancel()
            self._arrival_timer = None

    def _time_out(self) -> None:
        if not self._in_message:
            self.transport.close()
            return
        sentence = f"the request did not arrive within {self._seconds:g} s (--rest_api_timeout_in_ms)"
        self._end(HttpError(HTTPStatus.REQUEST_TIMEOUT, sentence))

    def _is_responding(self) -> bool:
        """Check whether a complete request waits for its response."""
        return self.cycle is not None and not self.cycle.more_body and not self.cycle.response_complete

    def _end(self, error: HttpError) -> None:
        """Send a refusal and end the connection, after the responses to the requests before it."""
        self._refused = True
        self._stop_arrival()
        if self.pipeline and self._previous and self.cycle.more_body:  # it waits for the responses before its own
            self.pipeline.popleft()
            self.cycle = self._previous
        if self._is_responding():
            self.cycle.keep_alive = False
            return
        if self.cycle and not self.cycle.response_complete:  # its body does not arrive any more
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        response = error_response(error.status, str(error))
        lines = [b"HTTP/1.1 %d %s" % (error.status, error.status.phrase.encode()), b"Connection: close"]
        lines += [name + b": " + value for name, value in response.raw_headers()]
        self.transport.write(b"\r\n".join([*lines, b"", response.body]))
        self.transport.write_eof()
        self.flow.resume_reading()
        self.loop.call_later(_CLOSING_SECONDS, self.transport.close)


def _headers_too_large() -> HttpError:
    sentence = f"the path and the headers may have at most {MAX_HEADER_BYTES} bytes"
    return HttpError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, sentence)

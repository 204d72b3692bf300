"""HTTP server of the REST interface: uvicorn reads requests in one thread, and a bounded pool of threads runs them."""

import asyncio
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import uvicorn

from tfllmrec.serving.core import ServerCore
from tfllmrec.serving.http_messages import Request, Response, error_response
from tfllmrec.serving.http_protocol import HttpProtocol
from tfllmrec.serving.limits import Limits
from tfllmrec.serving.rest_api import RestApi
from tfllmrec.serving.status import cannot_listen

_BACKLOG = 1024
"""Number of connections that may wait to be accepted."""
_IDLE_SECONDS = 60
"""Maximum time between two requests of a connection."""
_SMALL_BYTES = 2**16
"""Bodies up to this size are read at any time. Of larger ones, as many are read at a time as there are threads."""

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class RestServer:
    """HTTP server that binds its port at once and responds after `start`.

    Args:
        host: address to listen on.
        port: port to listen on; 0 for a free one.
        threads: number of requests that run at the same time, including those that wait for a batch.
        limits: number of waiting requests, maximum body size and timeout.

    Attributes:
        port: port of the server.

    Raises:
        InputError: If the port is in use, or the host is not an address of this machine.
    """

    def __init__(self, host: str, port: int, threads: int, limits: Limits) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._socket = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        except OSError as error:
            raise cannot_listen(host, port, "--rest_api_port") from error
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # for connections; asyncio does not
        self.port = self._socket.getsockname()[1]
        self._limits = limits
        self._application = _Application(threads, limits)
        self._server = uvicorn.Server(
            uvicorn.Config(
                self._application,
                http=partial(HttpProtocol, limits=limits),  # type: ignore[arg-type]  # a factory does as well
                ws="none",
                loop="asyncio",
                lifespan="off",
                log_config=None,
                log_level="critical",  # invalid requests of clients are no events of the server
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=_BACKLOG,
                timeout_keep_alive=_IDLE_SECONDS,
            )
        )
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)

    def start(self, core: ServerCore, metrics_path: str = "", *, enable_cors: bool = False) -> None:
        """Start to respond to requests, see `RestApi`."""
        max_bytes = self._limits.rest_api_max_body_bytes
        self._application.api = RestApi(core, metrics_path, max_body_bytes=max_bytes, enable_cors=enable_cors)
        self._thread.start()

    def stop(self, grace: float) -> None:
        """Refuse new requests and wait up to `grace` seconds for running ones."""
        self._server.config.timeout_graceful_shutdown = grace  # type: ignore[assignment]
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join()
        self._socket.close()
        self._application.close()


class _Application:
    """ASGI application that reads a body and runs its request in a thread."""

    api: RestApi

    def __init__(self, threads: int, limits: Limits) -> None:
        self._threads = ThreadPoolExecutor(threads)
        self._max_requests, self._requests = threads + limits.max_waiting_requests, 0
        self._large_bodies = asyncio.Semaphore(threads)
        self._seconds = limits.rest_api_timeout_in_ms / 1e3

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Respond to a request, unless its client has disconnected or `HttpProtocol` has refused it."""
        deadline = time.monotonic() + self._seconds
        body = await self._body(receive)
        if body is not None:
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            path = scope["raw_path"].decode("ascii")
            response = await self._run(Request(scope["method"], path, headers, body, deadline))
            await send({"type": "http.response.start", "status": response.status, "headers": response.raw_headers()})
            await send({"type": "http.response.body", "body": response.body})

    def close(self) -> None:
        """Drop the requests that wait for a thread."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _body(self, receive: Receive) -> bytes | None:
        """Read a body, a large one when it is its turn. Return None if it does not arrive."""
        body = bytearray()
        complete = await _read(receive, body, _SMALL_BYTES)
        if complete is False:
            async with self._large_bodies:
                complete = await _read(receive, body)
        return bytes(body) if complete else None

    async def _run(self, request: Request) -> Response:
        if self._requests >= self._max_requests:
            return error_response(429, "too many requests are waiting for a thread: try again later")
        self._requests += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self.api.respond, request)
        finally:
            self._requests -= 1


async def _read(receive: Receive, body: bytearray, size: float = float("inf")) -> bool | None:
    """Append to a body until it is complete or has `size` bytes. Return whether it is complete; None if it ended."""
    while len(body) < size:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message["body"]
        if not message["more_body"]:
            return True
    return False

"""HTTP server of the REST interface: cheroot with a bounded queue. Idle connections do not occupy threads."""

import logging
import queue
import threading

from cheroot import wsgi

from tfllmrec.serving.core import ServerCore
from tfllmrec.serving.http_connection import CLOSING_SECONDS, MAX_HEADER_BYTES, Connection
from tfllmrec.serving.limits import Limits
from tfllmrec.serving.rest_api import RestApi
from tfllmrec.serving.status import cannot_listen

_BACKLOG = 1024
"""Number of connections that may wait to be accepted."""
_IDLE_SECONDS = 60
"""Maximum time between two requests of a connection."""
_log = logging.getLogger(__name__)


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
        self._server = _Server((host, port), threads, limits)
        try:
            self._server.prepare()
        except OSError as error:
            raise cannot_listen(host, port, "--rest_api_port") from error
        self.port = self._server.bind_addr[1]
        self._thread = threading.Thread(target=self._server.serve, daemon=True)

    def start(self, core: ServerCore, metrics_path: str = "") -> None:
        """Start to respond to requests, and to Prometheus at `metrics_path`."""
        self._server.wsgi_app = RestApi(core, metrics_path)
        self._thread.start()

    def stop(self, grace: float) -> None:
        """Refuse new requests and wait up to `grace` seconds for running ones."""
        self._server.shutdown_timeout = grace
        self._server.stop()


class _Server(wsgi.Server):
    ConnectionClass = Connection
    max_request_header_size = MAX_HEADER_BYTES

    def __init__(self, address: tuple[str, int], threads: int, limits: Limits) -> None:
        self.seconds = limits.rest_api_timeout_in_ms / 1e3
        self.max_request_body_size = limits.rest_api_max_body_bytes
        self.error_sentences = {
            408: f"the request did not arrive, or the response was not read, within {self.seconds:g} s "
            "(--rest_api_timeout_in_ms)",
            413: f"a body may have at most {self.max_request_body_size} bytes (--rest_api_max_body_bytes), and headers "
            f"{MAX_HEADER_BYTES}",
            414: f"a path may have at most {MAX_HEADER_BYTES} bytes",
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

    def process_conn(self, conn: Connection) -> None:
        """Queue a connection for a thread after its first byte has arrived, or refuse it if the queue is full."""
        if conn.ended:
            self._drain(conn)
        elif not conn.active:
            conn.active = True
            self.put_conn(conn)
        else:
            try:
                self.requests.put(conn)
            except queue.Full:
                conn.refuse()
                self.put_conn(conn)

    def put_conn(self, conn: Connection) -> None:
        """Watch a connection until input arrives or its time is over."""
        super().put_conn(conn)
        if conn.ended:
            conn.last_used += CLOSING_SECONDS - _IDLE_SECONDS

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
        """Send cheroot's messages to the logger instead of stderr."""
        _log.log(level, msg, exc_info=traceback)

    def _drain(self, conn: Connection) -> None:
        if conn.drain():
            conn.close()
        else:
            self.put_conn(conn)

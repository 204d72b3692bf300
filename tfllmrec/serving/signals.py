"""Shutdown signals of a server process."""

import signal
import threading
from collections.abc import Callable

_CHECK_SECONDS = 0.5


def wait_for_signal() -> Callable[[], None]:
    """Install handlers for SIGINT and SIGTERM and return a function that waits for one of them.

    The function wakes up twice per second: Python runs signal handlers in the main thread only, and a signal that the
    system delivers to another thread does not wake it.
    """
    received = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: received.set())

    def wait() -> None:
        while not received.wait(_CHECK_SECONDS):
            pass

    return wait

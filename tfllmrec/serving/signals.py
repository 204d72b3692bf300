"""How a program that serves is told to end."""

import signal
import threading
from collections.abc import Callable

_SECONDS = 0.5


def wait_for_signal() -> Callable[[], None]:
    """Listen for Ctrl-C, and for SIGTERM as an orchestrator sends it; what comes back waits until there was one.

    It looks again now and then: a signal that the system gives to another thread does not wake the main one, and only
    that one runs Python's handlers.
    """
    told = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: told.set())

    def wait() -> None:
        while not told.wait(_SECONDS):
            pass

    return wait

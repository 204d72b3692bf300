"""Periodic tasks: polling for new versions and for a new configuration."""

import logging
import threading
from collections.abc import Callable

from tfllmrec.errors import InputError

_log = logging.getLogger(__name__)


class PeriodicTask:
    """Call a function at intervals in a thread until the task is stopped.

    An error is logged, once while its message stays the same, and the function is called again after the next interval.

    Args:
        seconds: interval between the end of one call and the start of the next.
        action: function to call.
    """

    def __init__(self, seconds: float, action: Callable[[], None]) -> None:
        self._seconds, self._action = seconds, action
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._repeat, daemon=True)

    def start(self) -> None:
        """Start the thread. The first call follows after the first interval."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread and wait for a running call."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def _repeat(self) -> None:
        logged_error = ""
        while not self._stopped.wait(self._seconds):
            try:
                self._action()
                logged_error = ""
            except Exception as error:  # the server continues with the present versions
                if str(error) != logged_error:
                    _log.log(logging.WARNING, "%s", error, exc_info=not isinstance(error, InputError))
                logged_error = str(error)

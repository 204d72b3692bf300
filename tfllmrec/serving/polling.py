"""Looking again and again, in a thread: for new versions, for a new configuration."""

import logging
import threading
from collections.abc import Callable

from tfllmrec.errors import InputError

_log = logging.getLogger(__name__)


class Repeating:
    """Does something at intervals, once it is started, until it is stopped.

    What goes wrong is logged, once as long as it is the same, and the next time tries again.

    Args:
        seconds: between the end of one time and the next.
        action: what is done.
    """

    def __init__(self, seconds: float, action: Callable[[], None]) -> None:
        self._seconds, self._action = seconds, action
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._repeat, daemon=True)

    def start(self) -> None:
        """Begin, after the first interval."""
        self._thread.start()

    def stop(self) -> None:
        """Do it no more, and wait for the end of a time that is under way."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def _repeat(self) -> None:
        told = ""
        while not self._stopped.wait(self._seconds):
            try:
                self._action()
                told = ""
            except Exception as error:  # the server lives on with what it has
                if str(error) != told:
                    _log.log(logging.WARNING, "%s", error, exc_info=not isinstance(error, InputError))
                told = str(error)

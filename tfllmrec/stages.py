"""Progress of the stages of a command, on a terminal and in logs."""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

FIRST_SECONDS, NEXT_SECONDS = 2.0, 10.0
"""In a log, a stage prints its first line after this time, and further lines at this interval."""


@contextmanager
def stage(description: str, console: Console) -> Iterator["Stage"]:
    """Show that a stage is running.

    A terminal shows a progress bar with the elapsed time, which disappears when the stage ends. Other outputs, such as
    log files, get plain lines, none for a stage that takes less than two seconds.

    Args:
        description: short text, for example "Training two_tower".
        console: output.

    Example:
        >>> from rich.console import Console
        >>> with stage("Training two_tower", Console(stderr=True)) as running:
        ...     running.update("epoch 1", completed=20, total=100)
    """
    running = _TerminalStage(description, console) if console.is_interactive else _LoggedStage(description, console)
    running.start()
    try:
        yield running
    finally:
        running.stop()


class Stage(ABC):
    """Running stage; see `stage`.

    Attributes:
        description: see `stage`.
        console: see `stage`.
    """

    def __init__(self, description: str, console: Console) -> None:
        self.description = description
        self.console = console

    @abstractmethod
    def update(self, detail: str, completed: int | None = None, total: int | None = None) -> None:
        """Show the progress of the stage.

        Args:
            detail: text after the description.
            completed: number of completed steps.
            total: number of steps; None if unknown.
        """

    @abstractmethod
    def start(self) -> None:
        """Show the stage."""

    @abstractmethod
    def stop(self) -> None:
        """Stop showing the stage."""


class _TerminalStage(Stage):
    def __init__(self, description: str, console: Console) -> None:
        super().__init__(description, console)
        self._progress = Progress(
            TextColumn("  {task.description}", markup=False),
            BarColumn(bar_width=8),
            TextColumn("{task.fields[detail]}", markup=False),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task(description, total=None, detail="")

    def start(self) -> None:
        self._progress.start()

    def stop(self) -> None:
        self._progress.stop()

    def update(self, detail: str, completed: int | None = None, total: int | None = None) -> None:
        self._progress.update(self._task, detail=detail, completed=completed, total=total)


class _LoggedStage(Stage):
    def __init__(self, description: str, console: Console) -> None:
        super().__init__(description, console)
        self._detail = ""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._print_lines, daemon=True)

    def start(self) -> None:
        self._started = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def update(self, detail: str, completed: int | None = None, total: int | None = None) -> None:
        self._detail = f", {detail}" if detail else ""

    def _print_lines(self) -> None:
        pause = FIRST_SECONDS
        while not self._ended.wait(pause):
            seconds = time.monotonic() - self._started
            self.console.print(Text(f"{self.description}{self._detail} ({seconds:.0f} s)"), soft_wrap=True)
            pause = NEXT_SECONDS

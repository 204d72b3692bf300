"""Epochs while a model trains: one line that moves on a terminal, and how long each took."""

import time
from typing import Any

import keras
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


class EpochProgress(keras.callbacks.Callback):
    """A rich progress bar for Keras `fit`, with the loss and the best validation ndcg@10 so far.

    Args:
        console: where to draw; nothing moves where it is no terminal.
        name: what is trained.
    """

    def __init__(self, console: Console, name: str) -> None:
        super().__init__()
        self._name, self._best = name, 0.0
        self._progress = Progress(
            TextColumn("  {task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[told]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Show the bar. A family's parts, fitted one after the other, have a best value each."""
        self._best = 0.0
        self._progress.start()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """A new bar for every epoch."""
        if epoch > 0 and not self._progress.task_ids:
            self._progress.console.print(f"{self._name}: going on after epoch {epoch}", highlight=False)
        for task in self._progress.task_ids:
            self._progress.remove_task(task)
        self._task = self._progress.add_task(
            f"{self._name}, epoch {epoch + 1}", total=self.params["steps"], told=self._told({})
        )

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """One step further."""
        self._progress.update(self._task, completed=batch + 1, told=self._told(logs or {}))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Remember the best validation value."""
        self._best = max(self._best, (logs or {}).get("val_ndcg@10", 0.0))

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Take the bar away."""
        self._progress.stop()

    def _told(self, logs: dict[str, Any]) -> str:
        loss = f"loss {float(logs['loss']):.3f}  " if "loss" in logs else ""
        return loss + (f"best ndcg@10 {self._best:.4f}" if self._best else "")


class EpochSeconds(keras.callbacks.Callback):
    """Adds `seconds` to the logs of every epoch, for callbacks after it and for the history.

    A fit that goes on from a backup has the seconds of all its epochs there, whoever trained them. What earlier
    callbacks did at the epoch's end (validation) is in them.

    Attributes:
        total: of all epochs it was there for, those of a family's parts as well.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start the clock."""
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        """Stop it."""
        logs["seconds"] = time.perf_counter() - self._started
        self.total += logs["seconds"]

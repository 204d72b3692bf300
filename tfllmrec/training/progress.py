"""Keras callbacks that show the progress of a fit and measure its epochs."""

import time
from typing import Any

import keras

from tfllmrec.stages import Stage


class EpochProgress(keras.callbacks.Callback):
    """Callback that shows epoch, step, loss and the best validation ndcg@10 of a fit.

    A family that fits several models in sequence has a best value for each.

    Args:
        stage: running stage that shows the progress.
    """

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._stage, self._best = stage, 0.0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Reset the best value."""
        self._best, self._resumes = 0.0, True

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Show the epoch; print a line if the fit resumes from a backup."""
        if epoch > 0 and self._resumes:
            self._stage.console.print(f"{self._stage.description}: resuming after epoch {epoch}", highlight=False)
        self._resumes, self._epoch = False, epoch + 1
        self._show(0, {})

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Show the step and the loss."""
        self._show(batch + 1, logs or {})

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Remember the best validation value."""
        self._best = max(self._best, (logs or {}).get("val_ndcg@10", 0.0))

    def _show(self, steps: int, logs: dict[str, Any]) -> None:
        parts = [f"epoch {self._epoch}"]
        if "loss" in logs:
            parts.append(f"loss {float(logs['loss']):.3f}")
        if self._best:
            parts.append(f"best ndcg@10 {self._best:.4f}")
        self._stage.update(", ".join(parts), steps, self.params["steps"])


class EpochSeconds(keras.callbacks.Callback):
    """Callback that adds `seconds` to the logs of each epoch, for later callbacks and for the training log.

    The seconds include callbacks before this one in the list, such as validation. A fit that resumes from a backup
    keeps the seconds of its earlier epochs in the training log.

    Attributes:
        total: seconds of all epochs that this callback saw, including those of a family's parts.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start the clock."""
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        """Stop the clock and log the seconds."""
        logs["seconds"] = time.perf_counter() - self._started
        self.total += logs["seconds"]

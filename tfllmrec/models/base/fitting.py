"""How a fit is followed and kept."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras


@dataclass(frozen=True)
class FitContext:
    """What `Recommender.fit` was told beside the data.

    Attributes:
        callbacks: for Keras `fit`.
        verbose: as in Keras `fit`.
        backup: a file for the state after every epoch, or None.
    """

    callbacks: list[keras.callbacks.Callback]
    verbose: int | str
    backup: Path | None

    def of_part(self, name: str) -> dict[str, Any]:
        """The same for a part that is fitted on its own: arguments of its `fit`, with a backup beside this one."""
        backup = self.backup and self.backup.with_name(f"{name}-{self.backup.name}")
        return {"callbacks": self.callbacks, "verbose": self.verbose, "backup": backup}

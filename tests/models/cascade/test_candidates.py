"""Which retrievers find the lists that a cascade's ranker learns from."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np

from tfllmrec.data import Checkerboard, Targets, leave_one_out
from tfllmrec.data.splits import leave_last_out


class Told:
    """A retriever that finds the first item alone, and tells what it was fitted with."""

    fits: ClassVar[list[tuple[str, Any]]] = []

    def __init__(self, config: str) -> None:
        self.config = config

    def refit_config(self) -> str:
        return f"{self.config}, as long as was best"

    def fit(self, known: Any, **_: Any) -> "Told":
        self.fits.append((self.config, known))
        return self

    def rank_targets(self, asked: Targets, count: int) -> Any:
        return SimpleNamespace(top=np.ones((len(asked), count), np.int32))


def test_retrievers_are_fitted_once_more_for_the_lists_as_long_as_was_best(
    configured: Callable[..., Any], board: Checkerboard
) -> None:
    split = leave_one_out(board.data)
    made = configured("cascade")
    made.retrievers = [Told("options")]
    earlier, last = leave_last_out(split.train)
    for validation, config in ((split.validation, "options, as long as was best"), (None, "options")):
        [lists] = made._retrieve(split.train, validation, earlier, [last])
        assert lists.candidates.tolist() == [[1, 0, 0, 0]] * len(last)
        [(told, known)] = Told.fits
        assert (told, known is earlier) == (config, True)
        made._retrieve(split.train, validation, split.train, [last])  # of which they know everything already
        assert len(Told.fits) == 1
        Told.fits.clear()

"""The retrievers of the lists that a cascade's ranker learns from."""

from typing import Any

from tfllmrec.data import Checkerboard, leave_one_out
from tfllmrec.models.cascade.parts import refitted


class Stub:
    """Record the fits of a retriever."""

    def __init__(self, config: str, fits: list[tuple[str, Any]]) -> None:
        self.config, self.fits = config, fits

    def refit_config(self) -> str:
        return f"{self.config} with the best epochs"

    def with_config(self, config: str) -> "Stub":
        return Stub(config, self.fits)

    def fit(self, known: Any, **_: Any) -> "Stub":
        self.fits.append((self.config, known))
        return self


def test_retrievers_are_refitted_with_the_best_epochs(board: Checkerboard) -> None:
    train, fits = leave_one_out(board.data).train, list[tuple[str, Any]]()
    for validated, config in ((True, "options with the best epochs"), (False, "options")):
        retriever: Any = Stub("options", fits)
        [fitted] = refitted([retriever], train, validated=validated)
        assert fitted is not retriever
        assert fits.pop() == (config, train)

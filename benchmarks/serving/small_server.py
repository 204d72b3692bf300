"""Small two-tower, and a server of it in a separate process, for benchmarks in which the model does not matter."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tfllmrec import TwoTower, checkerboard
from tfllmrec.export import export
from tfllmrec.serving import ServerProcess


def small_two_tower() -> TwoTower:
    """Return a two-tower with 16 dimensions, fitted on the checkerboard."""
    return TwoTower(dim=16, hidden_units=16, epochs=1).fit(checkerboard().data, verbose=0)


@contextmanager
def small_server(*arguments: str) -> Iterator[ServerProcess]:
    """Serve the small two-tower as the model `films`.

    Args:
        arguments: further arguments of `tfllmrec serve`.
    """
    with tempfile.TemporaryDirectory() as folder:
        exported = export(small_two_tower(), Path(folder) / "films")
        with ServerProcess(exported.parent, *arguments) as server:
            yield server

"""A data set on disk and a run on it, shared by the tests of the commands."""

import pytest

from tfllmrec.data import checkerboard
from tfllmrec.training.runs import Source, train


@pytest.fixture(scope="session")
def checkerboard_folder(tmp_path_factory):
    """The checkerboard as a folder of tables."""
    path = tmp_path_factory.mktemp("data") / "checkerboard"
    checkerboard().data.to_folder(path)
    return path


@pytest.fixture(scope="session")
def markov_chain_run(checkerboard_folder, tmp_path_factory):
    """The folder of a run of a family in closed form. Tests do not change it."""
    path = tmp_path_factory.mktemp("runs") / "markov_chain"
    train("markov_chain", Source.of(str(checkerboard_folder)), {}).save(path)
    return path

"""One small fitted recommender of each family, exported once, and the C++ runtime to ask the exports."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from cpp_runtime import CppRuntime
from made_data import made_data

from tfllmrec.export import export
from tfllmrec.recommenders.base import Recommender
from tfllmrec.recommenders.ease import Ease
from tfllmrec.recommenders.markov_chain import MarkovChain
from tfllmrec.recommenders.popularity import Popularity
from tfllmrec.recommenders.two_tower import TwoTower

RECOMMENDERS = {
    "popularity": lambda: Popularity(history_length=4),
    "markov_chain": lambda: MarkovChain(history_length=4),
    "ease": lambda: Ease(history_length=4, l2=1.0),
    "two_tower": lambda: TwoTower(history_length=4, dim=8, hidden=8, user_vectors=True, epochs=1),
}


@dataclass
class Exported:
    recommender: Recommender
    path: Path


@pytest.fixture(scope="session")
def runtime():
    with CppRuntime() as running:
        yield running


@pytest.fixture(scope="session")
def data(runtime):  # the runtime starts in the background meanwhile
    return made_data()


@pytest.fixture(scope="session")
def exports(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    fitted = {family: make().fit(data) for family, make in RECOMMENDERS.items()}
    return {family: Exported(one, export(one, folder / family)) for family, one in fitted.items()}


@pytest.fixture(scope="session", params=RECOMMENDERS)
def exported(request, exports):
    return exports[request.param]


@pytest.fixture(scope="session")
def popularity(exports):
    return exports["popularity"]


@pytest.fixture(scope="session")
def two_tower(exports):
    return exports["two_tower"]

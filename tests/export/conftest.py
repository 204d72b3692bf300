"""Exports of the shared recommenders, and the C++ runtime that runs them."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from cpp_runtime import CppRuntime
from shared_fits import once
from small_data import small_data

from tfllmrec import Recommender
from tfllmrec.export import export, precision
from tfllmrec.models.registry import FAMILIES


@dataclass
class Exported:
    """A recommender and the folder of its export."""

    recommender: Recommender
    path: Path


class Exports:
    """Exports by family; each is written by the first process that needs it."""

    def __init__(self, folder, shared_fits):
        self._folder, self._shared_fits = folder, shared_fits

    def __getitem__(self, family):
        recommender = self._shared_fits(family)
        folder = once(self._folder / family, lambda folder: export(recommender, folder, name=family))
        return Exported(recommender, folder / "1")


@pytest.fixture(scope="session")
def runtime():
    with CppRuntime() as running:
        yield running


@pytest.fixture(scope="session")
def data(runtime):  # the runtime starts in the background meanwhile
    return small_data()


@pytest.fixture(scope="session")
def exports(run_folder, shared_fits):
    return Exports(run_folder / "exports", shared_fits)


@pytest.fixture(scope="session", params=FAMILIES)
def exported(request, exports):
    return exports[request.param]


@pytest.fixture(scope="session")
def popularity(exports):
    return exports["popularity"]


@pytest.fixture(scope="session")
def two_tower(exports):
    return exports["two_tower"]


@pytest.fixture(scope="session")
def next_item(exports):
    return exports["next_item"]


@pytest.fixture(scope="session")
def bert_ranker(exports):
    return exports["bert_ranker"]


@pytest.fixture(scope="session")
def cascade(exports):
    return exports["cascade"]


@pytest.fixture(scope="module")
def small_is_large():
    """Treat matrices of 64 elements or more as large ones; return that number."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(precision, "_LARGE", 64)
        yield 64

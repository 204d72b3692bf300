"""One small fitted recommender of each family, exported once, and the C++ runtime to ask the exports."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from cpp_runtime import CppRuntime
from made_data import made_data

from tfllmrec import Recommender
from tfllmrec.export import export, precision
from tfllmrec.models.registry import FAMILIES, model_class

OPTIONS = {
    "ease": {"l2": 1.0},
    "two_tower": {"dim": 8, "hidden_units": 8, "user_vectors": True, "epochs": 1},
    "next_item": {"dim": 8, "units": 6, "pooling_heads": 2, "hidden_units": 4, "epochs": 1},
    "multi_task": {"dim": 8, "units": 6, "pooling_heads": 2, "expert_units": 4, "epochs": 1},
}
"""What a family needs to be fitted in seconds, beside `quick_ranking`; a new family may do without."""


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
def exports(data, quick_ranking, tmp_path_factory):
    folder, quick = tmp_path_factory.mktemp("models"), OPTIONS | quick_ranking
    options = {name: {"history_length": 4} | quick.get(name, {}) for name in FAMILIES}
    fitted = {name: model_class(name)(**options[name]).fit(data, verbose=0) for name in FAMILIES}
    return {name: Exported(one, export(one, folder / name)) for name, one in fitted.items()}


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
    """Matrices of small models are stored as large ones are. Returns how many elements are large."""
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(precision, "_LARGE", 64)
        yield 64

"""One small fitted recommender of each family, exported once, and the C++ runtime to ask the exports."""

import functools
from dataclasses import dataclass
from pathlib import Path

import keras_nlp
import pytest
from cpp_runtime import CppRuntime
from made_data import made_data

from tfllmrec.content.pretrained import Bert, pretrained
from tfllmrec.export import export
from tfllmrec.recommenders import FAMILIES, Recommender

OPTIONS = {
    "ease": {"l2": 1.0},
    "two_tower": {"dim": 8, "hidden": 8, "user_vectors": True, "epochs": 1},
    "next_item": {"dim": 8, "units": 6, "heads": 2, "hidden": 4, "epochs": 1},
    "multi_task": {"dim": 8, "units": 6, "heads": 2, "expert_units": 4, "epochs": 1},
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
    fitted = {name: family(**options[name]).fit(data, verbose=0) for name, family in FAMILIES.items()}
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


@pytest.fixture(scope="session")
def wide(tiny_bert, tmp_path_factory):
    """Options with which every family has large matrices."""
    tokenizer, folder = pretrained(tiny_bert).tokenizer, tmp_path_factory.mktemp("bert") / "wide"
    sizes = {"num_layers": 1, "num_heads": 2, "hidden_dim": 64, "intermediate_dim": 128, "max_sequence_length": 40}
    Bert(keras_nlp.models.BertBackbone(tokenizer.vocabulary_size(), **sizes), tokenizer).save(folder)
    lists = {"backbone": str(folder), "candidates": 10, "epochs": 1}
    towers = {"dim": 384, "hidden": 16, "epochs": 1}
    ranker = {**lists, "hidden": 16, "further": 1, "towers": towers}
    return {
        "two_tower": {**towers, "user_vectors": True},
        "next_item": {"dim": 384, "units": 8, "epochs": 1},
        "bert_ranker": ranker,
        "cross_encoder": {**lists, "list_size": 4, "text_length": 12, "title_length": 6, "history_tokens": 20},
    }


@pytest.fixture(scope="session")
def fitted(data, wide):
    """A family by name, fitted once."""

    @functools.cache
    def fitted(name):
        return FAMILIES[name](history_length=4, **wide.get(name, {})).fit(data, verbose=0)

    return fitted

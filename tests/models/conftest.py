"""Every family fitted once on a small data set that has the usual and the odd."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tfllmrec import Recommender
from tfllmrec.content import bert_loading
from tfllmrec.content.bert import Bert
from tfllmrec.content.bert_loading import pretrained_bert
from tfllmrec.data import Dataset
from tfllmrec.models.registry import FAMILIES, load_model, model_class

QUICK = {
    "two_tower": {"epochs": 2, "dim": 8, "hidden_units": 8, "user_vectors": True},
    "next_item": {"epochs": 2, "dim": 8, "units": 8},
    "multi_task": {"epochs": 2, "dim": 8, "units": 8, "expert_units": 4},
}
"""What a family needs to be fitted in seconds, beside `quick_ranking`; a new family may do without."""

ITEMS = ["花样年华", "🎬", "a b", "x|y", *"0123456789"]
USERS = ["小明", "👩‍🚀", "née", *(f"u{number}" for number in range(9))]


@pytest.fixture(scope="session")
def data() -> Dataset:
    """A training part: 12 users with 3 to 9 of 14 items, popular ones first.

    User "newcomer" and item "cold" are known, and have no interaction in it.
    """
    random = np.random.default_rng(0)
    weights = np.linspace(3, 1, len(ITEMS))
    rows = [("newcomer", "cold", 0)]
    for user in USERS:
        had = random.choice(ITEMS, random.integers(3, 10), replace=False, p=weights / weights.sum())
        rows += [(user, item, time) for time, item in enumerate(had)]
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    items = pd.DataFrame({"item_id": [*ITEMS, "cold"]})
    items["title"] = [f"Title of {item}" for item in items["item_id"]]
    whole = Dataset.from_frames(table, items)
    return whole.keep((whole.interactions["user_id"] != "newcomer").to_numpy())


@pytest.fixture(scope="session")
def make(quick_ranking: dict[str, dict[str, Any]]) -> Callable[..., Recommender]:
    """A family by name, quick to fit; histories are cut to 4 items, fewer than most users have."""
    quick = QUICK | quick_ranking
    return lambda name, **options: model_class(name)(**{"history_length": 4, **quick.get(name, {}), **options})


@pytest.fixture(scope="session")
def configured(make: Callable[..., Recommender]) -> Callable[..., Recommender]:
    """The same, not to be fitted whole: with its configuration, as `fit` has it at the start."""

    def configured(name: str, **options: Any) -> Recommender:
        made = make(name, **options)
        made.config = made.config_class.from_options(made._options)
        return made

    return configured


@pytest.fixture
def asked_of_small_bert(tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What a small BERT is to learn from and how, texts and options; it is `tiny_bert` in any case."""
    told: list[Any] = []

    def small(texts: list[str], **options: Any) -> Bert:
        told.extend((texts, options))
        return pretrained_bert(tiny_bert)

    monkeypatch.setattr(bert_loading, "train_small_bert", small)
    return told


@pytest.fixture(scope="session", params=FAMILIES)
def fitted(request: pytest.FixtureRequest, make: Callable[..., Recommender], data: Dataset) -> Recommender:
    """Every family in turn."""
    return make(request.param).fit(data, verbose=0)


@pytest.fixture(scope="session")
def folder(fitted: Recommender, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `fitted` is saved; copy it before you change it."""
    folder = tmp_path_factory.mktemp(fitted.family) / "a folder" / "模型"
    fitted.save(folder)
    return folder


@pytest.fixture(scope="session")
def loaded(folder: Path) -> Recommender:
    """What comes back."""
    return load_model(folder)

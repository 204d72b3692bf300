"""Every family fitted once on a small data set with common and unusual ids."""

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
from tfllmrec.models.base.trainer import Trainer
from tfllmrec.models.registry import FAMILIES, load_model, model_class

QUICK = {
    "two_tower": {"epochs": 2, "dim": 8, "hidden_units": 8, "user_vectors": True},
    "next_item": {"epochs": 2, "dim": 8, "units": 8},
    "multi_task": {"epochs": 2, "dim": 8, "units": 8, "expert_units": 4},
}
"""Options that fit a family in seconds, beside those of `quick_ranking`; families may have none."""

ITEMS = ["花样年华", "🎬", "a b", "x|y", *"0123456789"]
USERS = ["小明", "👩‍🚀", "née", *(f"u{number}" for number in range(9))]


@pytest.fixture(scope="session")
def data() -> Dataset:
    """A training part: 12 users with 3 to 9 of 14 items, drawn with more weight on the first items.

    User "newcomer" and item "cold" are known and have no interactions in it.
    """
    random = np.random.default_rng(0)
    weights = np.linspace(3, 1, len(ITEMS))
    rows = [("newcomer", "cold", 0)]
    for user in USERS:
        chosen = random.choice(ITEMS, random.integers(3, 10), replace=False, p=weights / weights.sum())
        rows += [(user, item, time) for time, item in enumerate(chosen)]
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    items = pd.DataFrame({"item_id": [*ITEMS, "cold"]})
    items["title"] = [f"Title of {item}" for item in items["item_id"]]
    whole = Dataset.from_frames(table, items)
    return whole.keep((whole.interactions["user_id"] != "newcomer").to_numpy())


@pytest.fixture(scope="session")
def make(quick_ranking: dict[str, dict[str, Any]]) -> Callable[..., Recommender]:
    """Create a recommender that is quick to fit; it reads 4 items of a history, fewer than most users have."""
    quick = QUICK | quick_ranking
    return lambda name, **options: model_class(name)(**{"history_length": 4, **quick.get(name, {}), **options})


@pytest.fixture(scope="session")
def configured(make: Callable[..., Recommender]) -> Callable[..., Recommender]:
    """Create an unfitted recommender with the configuration that `fit` would start with."""

    def configured(name: str, **options: Any) -> Recommender:
        made = make(name, **options)
        made.config = made.config_class.from_options(made._options)
        return made

    return configured


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `fit` build models without training them."""
    monkeypatch.setattr(Trainer, "fit", lambda *_, **__: {})


@pytest.fixture
def small_bert_calls(tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Record the texts and options that a small BERT is trained with; `tiny_bert` is returned instead."""
    calls: list[Any] = []

    def small(texts: list[str], **options: Any) -> Bert:
        calls.extend((texts, options))
        return pretrained_bert(tiny_bert)

    monkeypatch.setattr(bert_loading, "train_small_bert", small)
    return calls


@pytest.fixture(scope="session", params=FAMILIES)
def fitted(request: pytest.FixtureRequest, make: Callable[..., Recommender], data: Dataset) -> Recommender:
    """A fitted recommender of every family."""
    return make(request.param).fit(data, verbose=0)


@pytest.fixture(scope="session")
def folder(fitted: Recommender, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the saved `fitted`; tests that change it copy it first."""
    folder = tmp_path_factory.mktemp(fitted.family) / "a folder" / "模型"
    fitted.save(folder)
    return folder


@pytest.fixture(scope="session")
def loaded(folder: Path) -> Recommender:
    """The recommender loaded from `folder`."""
    return load_model(folder)

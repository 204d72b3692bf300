"""Recommenders of the model tests, fitted and unfitted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shared_fits import SharedFits
from small_data import small_data

from tfllmrec import Recommender
from tfllmrec.content import bert_loading
from tfllmrec.content.bert import Bert
from tfllmrec.content.bert_loading import pretrained_bert
from tfllmrec.data import Checkerboard, Dataset, Split, leave_one_out
from tfllmrec.models.base.trainer import Trainer
from tfllmrec.models.registry import FAMILIES


@pytest.fixture(scope="session")
def data() -> Dataset:
    """The training part that the shared recommenders are fitted on."""
    return small_data()


@pytest.fixture(scope="session")
def split(board: Checkerboard) -> Split:
    """The board, split leave-one-out."""
    return leave_one_out(board.data)


@pytest.fixture(scope="session")
def make(shared_fits: SharedFits) -> Callable[..., Recommender]:
    """Create a recommender that is quick to fit; it reads 4 items of a history, fewer than most users have."""
    return shared_fits.make


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
def family(request: pytest.FixtureRequest) -> str:
    """Every family."""
    return request.param


@pytest.fixture(scope="session")
def folder(family: str, shared_fits: SharedFits) -> Path:
    """The folder of the saved recommender of a family; tests that change it copy it first."""
    return shared_fits.saved(family)


@pytest.fixture(scope="session")
def fitted(family: str, shared_fits: SharedFits) -> Recommender:
    """The shared recommender of a family."""
    return shared_fits(family)

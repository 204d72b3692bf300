"""On a board with one correct item per user, families that read histories find it, and popularity does not."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from quick_learning import QUICK_LEARNING, QUICK_TWO_TOWER

from tfllmrec import Recommender, TwoTower
from tfllmrec.data import Checkerboard, leave_one_out
from tfllmrec.models.registry import model_class

SAMPLED = {"negatives": "sampled", "num_negatives": 20}


def share_of_answers(recommender: Recommender, board: Checkerboard) -> float:
    """Return the share of users that get the missing item of their colour as the first recommendation."""
    table = recommender.recommend(list(board.answers), k=1)
    return float(np.mean(table["item_id"] == table["user_id"].map(board.answers)))


def test_popularity_does_not_find_the_answer(board: Checkerboard) -> None:
    assert share_of_answers(model_class("popularity")().fit(board.data), board) < 0.2


@pytest.mark.parametrize("name", ["markov_chain", "ease"])
def test_baselines_find_the_answer(board: Checkerboard, name: str) -> None:
    assert share_of_answers(model_class(name)().fit(board.data), board) > 0.9


@pytest.mark.parametrize(
    ("loss", "options"),
    [
        ("in_batch", {"user_vectors": True}),
        pytest.param("mixed", {"user_vectors": False, "num_negatives": 20}, marks=pytest.mark.slow),
        pytest.param("sampled", {"content": False, "num_negatives": 20}, marks=pytest.mark.slow),
        ("full", {"content": True, "hard_negatives": 5, "temperature": 0.5}),
    ],
)
def test_two_tower_finds_the_answer_with_every_loss(board: Checkerboard, loss: str, options: dict[str, Any]) -> None:
    recommender = model_class("two_tower")(**QUICK_TWO_TOWER, **options, negatives=loss).fit(board.data, verbose=0)
    losses = recommender.training_log["loss"]
    assert losses[-1] < losses[0]
    assert share_of_answers(recommender, board) > 0.9
    weights = {weight.path.split("/")[-1] for weight in recommender.model.weights}
    assert ("token_vectors" in weights) == options.get("content", True)


@pytest.mark.parametrize(
    "options",
    [
        {"negatives": "full", "cell": "lstm", "content": True},
        {**SAMPLED, "cell": "gru", "content": False, "pooling_heads": 2, "hidden_units": 16},
        pytest.param(
            {**SAMPLED, "cell": "lstm", "content": True, "layers": 2, "normalise": True}, marks=pytest.mark.slow
        ),
    ],
    ids=lambda options: " ".join(map(str, options.values())),
)
def test_next_item_finds_the_answer(board: Checkerboard, options: dict[str, Any]) -> None:
    recommender = model_class("next_item")(**QUICK_LEARNING, **options).fit(board.data, verbose=0)
    losses = recommender.training_log["loss"]
    assert losses[-1] < losses[0]
    assert share_of_answers(recommender, board) > 0.9
    weights = {weight.path.split("/")[-1] for weight in recommender.model.weights}
    assert ("token_vectors" in weights) == options["content"]


def test_a_ranker_finds_the_answer(board: Checkerboard, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The head finds the answer although the vectors alone do not."""
    monkeypatch.setattr(TwoTower, "fit_more", lambda *_, **__: None)  # fine-tuned towers would find it
    quick = {"dim": 8, "hidden_units": 16, "learning_rate": 0.02, "ema": 0.5}
    options = {
        "retriever": "popularity",
        "backbone": str(tiny_bert),
        "candidates": 15,
        "batch_size": 8,
        "learning_rate": 0.02,
        "ema": 0.5,
        "epochs": 8,
        "towers": {**quick, "epochs": 4, "batch_size": 64},
    }
    recommender = model_class("bert_ranker")(history_length=10, **options).fit(board.data, verbose=0)
    losses = recommender.training_log["loss"]
    assert losses[-1] < losses[0]
    assert share_of_answers(recommender, board) > 0.9
    assert share_of_answers(recommender.built.towers, board) < 0.9


def test_a_cascade_finds_the_answer(board: Checkerboard) -> None:
    options = {"retrievers": "popularity,ease", "ranker": "", "candidates": 10, "ranked": 15}
    split = leave_one_out(board.data)
    recommender = model_class("cascade")(**options).fit(split.train, split.validation)
    assert recommender.weights[1] > recommender.weights[0]
    refitted = model_class("cascade").with_config(recommender.refit_config()).fit(board.data)
    assert share_of_answers(refitted, board) > 0.9

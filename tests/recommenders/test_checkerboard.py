"""On the board with one right answer: who learns from histories finds it, and popularity cannot."""

import numpy as np
import pytest

from tfllmrec.data import Checkerboard
from tfllmrec.recommenders import FAMILIES, Recommender

LEARNS_FAST = {
    "epochs": 15,
    "dim": 8,
    "hidden": 16,
    "batch_size": 64,
    "learning_rate": 0.02,
    "ema": 0.5,
    "negatives": 20,
    "history_length": 10,
}


def share_of_answers(recommender: Recommender, board: Checkerboard) -> float:
    """How many users get the item they lack of their own colour as the first."""
    table = recommender.recommend(list(board.answers), k=1)
    return float(np.mean(table["item_id"] == table["user_id"].map(board.answers)))


def test_popularity_cannot_know(board: Checkerboard) -> None:
    assert share_of_answers(FAMILIES["popularity"]().fit(board.data), board) < 0.2


@pytest.mark.parametrize("name", ["markov_chain", "ease"])
def test_baselines_find_the_answer(board: Checkerboard, name: str) -> None:
    assert share_of_answers(FAMILIES[name]().fit(board.data), board) > 0.9


@pytest.mark.parametrize("loss", ["in_batch", "mixed", "sampled", "full"])
def test_two_tower_finds_the_answer_with_every_loss(board: Checkerboard, loss: str) -> None:
    recommender = FAMILIES["two_tower"](**LEARNS_FAST, loss=loss).fit(board.data, verbose=0)
    assert recommender.history["loss"][-1] < recommender.history["loss"][0]
    assert share_of_answers(recommender, board) > 0.9

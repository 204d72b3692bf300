"""A small shop with a book and a film department, where the correct predictions are known."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from quick_learning import QUICK_LEARNING

from tfllmrec import MultiTask
from tfllmrec.data import Dataset


@pytest.fixture(scope="session")
def quick() -> dict[str, Any]:
    """Options of a model that memorises the shop in seconds."""
    return QUICK_LEARNING | {"expert_units": 8, "pair_dropout": 0.0}


@pytest.fixture(scope="session")
def shop() -> Dataset:
    """40 users, and 16 items in each of two scenarios: 8 even ones and 8 odd ones.

    A user has all but one item of one kind, in both scenarios; each of the first 8 users in one scenario only. Films
    are rated 5 and books 2.
    """
    random = np.random.default_rng(0)
    rows = []
    for user in range(40):
        for scenario, rating in (("books", 2.0), ("films", 5.0)):
            if user < 8 and scenario == missing_scenario(user):
                continue
            numbers = random.permutation(np.arange(user % 2, 16, 2))[:-1]
            rows += [
                (f"u{user}", f"{scenario} {number}", time, scenario, rating) for time, number in enumerate(numbers)
            ]
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp", "scenario", "rating"])
    ids = [f"{scenario} {number}" for scenario in ("books", "films") for number in range(16)]
    categories = [("even", "odd")[number % 2] for number in range(16)] * 2
    items = pd.DataFrame({"item_id": ids, "title": ids, "categories": categories})
    return Dataset.from_frames(table, items, positions=True)


def missing_scenario(user: int) -> str:
    """Return the scenario in which one of the first 8 users has no interactions."""
    return ("books", "films")[user // 2 % 2]


@pytest.fixture(scope="session")
def shopper(shop: Dataset, quick: dict[str, Any]) -> MultiTask:
    """A model of all tasks in both scenarios, without content: it learns the kinds from interactions alone."""
    tasks = "next_item,retrieval,rating,like,interests"
    return MultiTask(tasks=tasks, content=False, sharing="ple", **quick).fit(shop, verbose=0)

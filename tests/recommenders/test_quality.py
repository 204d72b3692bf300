"""A floor under the quality on real data: the demo's ratings, leave-one-out, films with five or more."""

import pytest

from tfllmrec.data import Split, leave_one_out, load
from tfllmrec.recommenders import FAMILIES

QUICK_TWO_TOWER = {"epochs": 2, "dim": 32, "hidden": 64, "batch_size": 512, "loss": "in_batch", "ema": 0.9}


@pytest.fixture(scope="module")
def split() -> Split:
    return leave_one_out(load("demo"))


@pytest.mark.parametrize(
    ("name", "options", "low", "high"),
    [
        ("popularity", {}, 0.015, 0.025),
        ("ease", {}, 0.035, 0.05),
        ("markov_chain", {}, 0.055, 0.067),
        ("two_tower", QUICK_TWO_TOWER, 0.03, 0.1),
    ],
)
def test_ndcg(split: Split, name: str, options: dict[str, object], low: float, high: float) -> None:
    recommender = FAMILIES[name](**options).fit(split.train, verbose=0)
    assert low < recommender.evaluate(split.test)["ndcg@10"] < high

"""Lower and upper bounds of quality on real data: the demo data set, split leave-one-out."""

import pytest

from tfllmrec.data import Split, leave_one_out, load_dataset
from tfllmrec.models.registry import model_class

QUICK_TWO_TOWER = {"epochs": 2, "dim": 32, "hidden_units": 64, "batch_size": 512, "negatives": "in_batch", "ema": 0.9}

QUICK_NEXT_ITEM = {
    "history_length": 30,
    "dim": 32,
    "units": 32,
    "input_dropout": 0.2,
    "dropout": 0.2,
    "label_smoothing": 0.0,
    "learning_rate": 0.02,
    "warmup": 0,
    "batch_size": 64,
    "epochs": 2,
    "ema": 0.9,
}


@pytest.fixture(scope="module")
def split() -> Split:
    return leave_one_out(load_dataset("demo"))


@pytest.mark.parametrize(
    ("name", "options", "low", "high"),
    [
        ("popularity", {}, 0.015, 0.025),
        ("ease", {}, 0.035, 0.05),
        ("markov_chain", {}, 0.055, 0.067),
        pytest.param("two_tower", QUICK_TWO_TOWER, 0.03, 0.1, marks=pytest.mark.slow),
        # 0.051 to 0.056, depending on the seed
        pytest.param("next_item", QUICK_NEXT_ITEM, 0.042, 0.1, marks=pytest.mark.slow),
    ],
)
def test_ndcg_is_within_bounds(split: Split, name: str, options: dict[str, object], low: float, high: float) -> None:
    recommender = model_class(name)(**options).fit(split.train, verbose=0)
    assert low < recommender.evaluate(split.test)["ndcg@10"] < high

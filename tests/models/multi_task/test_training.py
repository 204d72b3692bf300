"""Training of the multi-task family: single tasks, missing labels, weights, and new items."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tfllmrec import MultiTask
from tfllmrec.data import Dataset
from tfllmrec.data.scenario_splits import leave_one_out_by_scenario
from tfllmrec.errors import InputError


def test_ratings_alone_are_ordered_and_monitored_by_their_error(shop: Dataset, quick: dict[str, Any]) -> None:
    split = leave_one_out_by_scenario(shop)
    model = MultiTask(tasks="rating", content=False, **quick).fit(split.train, split.validation, verbose=0)
    errors = model.training_log["val_rmse"]
    assert errors[-1] < 1
    assert "val_ndcg@10" not in model.training_log
    assert model.refit_config().epochs == int(np.argmin(errors)) + 1
    assert model.recommend(["u1"], scenarios=["films"], k=3)["score"].between(3.5, 6).all()
    with pytest.raises(InputError, match="this multi_task has the tasks rating; fit it with interests as well"):
        model.interests(["u1"], scenarios=["films"])
    with pytest.raises(InputError, match="this multi_task has the tasks rating; fit it with like as well"):
        model.like_chances(split.test)


def test_missing_ratings_train_the_other_tasks(shop: Dataset, quick: dict[str, Any]) -> None:
    rated = shop.interactions["user_id"] > "u2"
    half = Dataset.from_frames(shop.interactions.assign(rating=shop.interactions["rating"].where(rated)))
    model = MultiTask(tasks="next_item,rating", weighting="uncertainty", sharing="shared_bottom", **quick)
    log = model.fit(half, verbose=0).training_log
    assert np.isfinite(log["loss"]).all()
    assert log["rating_loss"][-1] < log["rating_loss"][0]
    assert log["rating_weight"][-1] > 1 > log["next_item_weight"][-1], "the smaller loss has the larger weight"


@pytest.fixture(scope="module")
def weighted(shop: Dataset, quick: dict[str, Any]) -> MultiTask:
    options = {**quick, "epochs": 4}
    return MultiTask(tasks="next_item,interests", weights='{"interests": 0.25}', **options).fit(shop, verbose=0)


def test_losses_have_the_given_weights(weighted: MultiTask) -> None:
    log = weighted.training_log
    expected = np.add(log["next_item_loss"], 0.25 * np.array(log["interests_loss"]))
    np.testing.assert_allclose(log["loss"], expected, 1e-3)


def test_new_items_are_recommended_in_their_scenario(weighted: MultiTask) -> None:
    new = pd.DataFrame({"item_id": ["new"], "title": ["films 1"], "categories": ["odd"], "scenario": ["films"]})
    grown = weighted.with_items(new)
    odd = [["films 1", "films 3", "films 5"]]
    assert "new" in set(grown.recommend(histories=odd, scenarios=["films"], k=99)["item_id"])
    assert "new" not in set(grown.recommend(histories=odd, scenarios=["books"], k=99)["item_id"])
    users, histories = np.zeros(1, np.int32), np.array([[1, 3] + [0] * 8], np.int32)
    before, after = (model.score(users, histories, np.array([1], np.int32)).numpy() for model in (weighted, grown))
    np.testing.assert_allclose(after[:, : before.shape[1]], before, rtol=1e-5, atol=1e-6)
    with pytest.raises(InputError, match="'new' has no known scenario"):
        weighted.with_items(new.drop(columns="scenario"))

"""Predictions of the multi-task family: recommendations in scenarios, ratings, likes, interests, use of experts."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tfllmrec import Cascade, MultiTask, Popularity
from tfllmrec.data import Dataset, leave_one_out
from tfllmrec.data.scenario_splits import leave_one_out_by_scenario
from tfllmrec.errors import InputError
from tfllmrec.evaluation.ratings import rmse
from tfllmrec.layers.top_items import LOWEST
from tfllmrec.models.registry import load_model

USERS = [f"u{user}" for user in range(40)]


def parities(table: pd.DataFrame) -> list[int]:
    return [int(item.split()[1]) % 2 for item in table["item_id"]]


def test_all_tasks_are_logged(shopper: MultiTask) -> None:
    for task in ("next_item", "retrieval", "rating", "like", "interests"):
        losses = shopper.training_log[f"{task}_loss"]
        assert losses[-1] < losses[0], task
    total = sum(shopper.training_log[f"{task}_loss"][-1] for task in shopper.config.tasks)
    assert shopper.training_log["loss"][-1] == pytest.approx(total, rel=1e-3)


@pytest.mark.parametrize("scenario", ["books", "films"])
def test_recommendations_are_items_of_the_scenario(shopper: MultiTask, shop: Dataset, scenario: str) -> None:
    table = shopper.recommend(USERS, scenarios=[scenario] * 40, k=99)
    assert set(table["item_id"].str.split().str[0]) == {scenario}
    popular = shopper.recommend(histories=[[]], scenarios=[scenario], k=99)
    assert len(popular) == 16
    counts = shop.item_counts[shop.item_vocabulary.lookup(popular["item_id"])]
    assert (np.diff(counts) <= 0).all(), "an empty history gets popular items"


def test_preferences_transfer_to_a_scenario_without_history(shopper: MultiTask) -> None:
    missing = [("books", "films")[user // 2 % 2] for user in range(8)]
    table = shopper.recommend(USERS[:8], scenarios=missing, k=3)
    own = np.repeat([user % 2 for user in range(8)], 3)
    assert np.mean(np.array(parities(table)) == own) > 0.9


def test_without_transfer_other_scenarios_are_ignored(shop: Dataset, quick: dict[str, Any]) -> None:
    model = MultiTask(tasks="next_item", content=False, transfer=False, **{**quick, "epochs": 3}).fit(shop, verbose=0)
    histories = ["films 1", "films 3"], ["films 2", "films 4", "films 6"]
    first, second = (model.recommend(histories=[row], scenarios=["books"], k=5) for row in histories)
    assert first["item_id"].tolist() == second["item_id"].tolist()


def test_recent_events_of_all_scenarios_are_read(shopper: MultiTask) -> None:
    for parity in (0, 1):
        recent = [f"films {number}" for number in range(parity, 8, 2)]
        assert parities(shopper.recommend(histories=[recent], scenarios=["books"], k=3)) == [parity] * 3
    mixed = [["films 1", "books 0", "films 3", "books 2"]]
    assert set(parities(shopper.recommend(histories=mixed, scenarios=["books"], k=3))) == {0}, "its own history wins"


def test_ratings_and_likes(shopper: MultiTask, shop: Dataset) -> None:
    test = leave_one_out_by_scenario(shop).test
    assert np.sqrt(np.mean((shopper.predict_ratings(test) - test.ratings) ** 2)) < 0.5
    likes = shopper.like_chances(test)
    assert likes.dtype == "float32"
    assert ((likes >= 0) & (likes <= 1)).all()
    assert (likes > 0.5).tolist() == (test.ratings > 4).tolist()


def test_rank_returns_the_scores_of_recommendations(shopper: MultiTask) -> None:
    table = shopper.recommend(["u10"], k=4, scenarios=["films"])
    candidates = [*table["item_id"], "books 0", "unknown"]
    scores = shopper.rank([candidates], ["u10"], scenarios=["films"])[0]
    np.testing.assert_allclose(scores[:4], table["score"], rtol=1e-5, atol=1e-6)
    assert (scores[4:] == LOWEST).all()


def test_interests(shopper: MultiTask) -> None:
    table = shopper.interests(["u10", "u11"], scenarios=["films", "books"])
    assert list(table.columns) == ["row", "user_id", "label", "score"]
    best = table.groupby("row").first()
    assert best["label"].tolist() == ["even", "odd"]
    assert best["user_id"].tolist() == ["u10", "u11"]
    assert (best["score"] > 0.9).all()
    assert len(table) == 4
    recent = shopper.interests(histories=[["films 1", "films 3"]], scenarios=["books"])
    assert recent["label"].tolist() == ["odd", "even"]
    assert shopper.labels.tokens[1:].tolist() == ["even", "odd"]


def test_interests_require_categories_that_items_share(shop: Dataset) -> None:
    own = shop.items.assign(categories=[f"own {number}" for number in range(len(shop.items))])
    for items in (own, shop.items.assign(categories=""), shop.items[["item_id", "title"]]):
        data = Dataset.from_frames(shop.interactions, items)
        with pytest.raises(InputError, match=r"^multi_task: interests require categories of at least 5 items"):
            MultiTask(tasks="next_item,interests").fit(data, verbose=0)


def test_other_families_do_not_predict_interests(shop: Dataset) -> None:
    with pytest.raises(InputError, match="interests: this popularity does not predict interests; multi_task does"):
        Popularity().fit(shop).interests(["u1"])


def test_tasks_are_evaluated_with_the_use_of_experts(shopper: MultiTask, shop: Dataset) -> None:
    test = leave_one_out_by_scenario(shop).test
    report = shopper.evaluate_tasks(shop, test)
    assert report["tasks"].keys() <= {"rating", "like", "interests"}
    assert report["tasks"]["rating"] == {"rmse": pytest.approx(rmse(shopper.predict_ratings(test), test.ratings))}
    assert report["experts"] == shopper.expert_use(test).to_dict("records")
    assert Popularity().fit(shop).evaluate_tasks(shop, test) == {}


def test_expert_use(shopper: MultiTask, shop: Dataset) -> None:
    table = shopper.expert_use(leave_one_out_by_scenario(shop).test)
    assert set(table["expert"]) == set(shopper.experts)
    assert shopper.experts[-2:] == ["scenario books", "scenario films"]
    np.testing.assert_allclose(table.groupby(["scenario", "task"])["share"].sum(), 1, rtol=1e-5)
    shares = table.set_index(["scenario", "task", "expert"])["share"]
    assert shares["books", "rating", "scenario films"] == shares["films", "like", "rating"] == 0
    assert shares["books", "rating", "scenario books"] > 0 < shares["films", "like", "like"]


def test_loaded_model_predicts_the_same(shopper: MultiTask, shop: Dataset, tmp_path: Path) -> None:
    shopper.save(tmp_path / "run")
    loaded = load_model(tmp_path / "run")
    assert isinstance(loaded, MultiTask)
    request = {"users": ["u1", "u2"], "scenarios": ["books", "films"]}
    pd.testing.assert_frame_equal(loaded.recommend(**request), shopper.recommend(**request))
    pd.testing.assert_frame_equal(loaded.interests(**request), shopper.interests(**request))
    test = leave_one_out_by_scenario(shop).test
    np.testing.assert_array_equal(loaded.predict_ratings(test), shopper.predict_ratings(test))
    pd.testing.assert_frame_equal(loaded.expert_use(test), shopper.expert_use(test))


def test_targets_are_ranked_in_their_scenario(shopper: MultiTask, shop: Dataset) -> None:
    test = leave_one_out_by_scenario(shop).test
    ranked = shopper.rank_targets(test, k=5)
    top = shopper.fitted_data.items.ids(ranked.top).astype(str)
    names = shop.scenarios.names.ids(test.scenarios)
    assert all({item.split()[0] for item in row} == {name} for row, name in zip(top, names, strict=True))
    assert (ranked.ranks <= 16).all()


def test_targets_without_scenarios_are_refused(shopper: MultiTask, shop: Dataset) -> None:
    targets = leave_one_out(Dataset.from_frames(shop.interactions.drop(columns="scenario"))).test
    for call in (shopper.rank_targets, shopper.predict_ratings, shopper.interest_scores, shopper.expert_use):
        with pytest.raises(InputError, match=r"^targets: scenarios are missing, which "):
            call(targets)


def test_unknown_scenarios_are_refused(shopper: MultiTask, shop: Dataset) -> None:
    with pytest.raises(InputError, match="unknown scenario ''; name one in every row, of books, films"):
        shopper.recommend(["u1"])
    with pytest.raises(InputError, match="recommend: unknown scenario 'music'"):
        shopper.recommend(["u1", "u2"], scenarios=["films", "music"])
    with pytest.raises(InputError, match="interests: unknown scenario 'music'"):
        shopper.interests(["u1"], scenarios=["music"])
    with pytest.raises(InputError, match=r"rows do not match \(2 users, 1 scenarios\)"):
        shopper.interests(["u1", "u2"], scenarios=["films"])
    with pytest.raises(InputError, match="scenarios must be a list with one entry per row, not 'films'"):
        shopper.recommend(["u1"], scenarios="films")
    with pytest.raises(InputError, match="this popularity does not read scenarios"):
        Popularity().fit(shop).recommend(["u1"], scenarios=["films"])


def test_cascade_refuses_a_part_with_scenarios(shopper: MultiTask, shop: Dataset) -> None:
    for part in (shopper, "multi_task"):
        with pytest.raises(InputError, match="multi_task reads scenarios"):
            Cascade(retrievers=[part], ranker="").fit(shop, verbose=0)

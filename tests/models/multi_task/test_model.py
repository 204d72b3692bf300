"""The joint family: several tasks at once, scenarios, interests; on made data whose right answers are known."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from quick_learning import QUICK_LEARNING

from tfllmrec import Cascade, MultiTask, Popularity
from tfllmrec.data import Dataset, leave_one_out
from tfllmrec.data.scenario_splits import leave_one_out_by_scenario
from tfllmrec.errors import InputError
from tfllmrec.models.multi_task.config import MultiTaskConfig
from tfllmrec.models.next_item.config import NextItemConfig
from tfllmrec.models.registry import load_model

QUICK = QUICK_LEARNING | {"expert_units": 8, "pair_dropout": 0.0}
COLOURS = ("even", "odd")
USERS, ITEMS = 40, 8


def name(scenario: str, number: int) -> str:
    return f"{scenario} {number}"


@pytest.fixture(scope="module")
def data() -> Dataset:
    """Everybody has all but one item of one colour, in a film shop and in a book shop; some in one of them only.

    They rate films of theirs 5 and books 2.
    """
    random = np.random.default_rng(0)
    rows = []
    for user in range(USERS):
        for scenario in ("books", "films"):
            if user < 8 and scenario == ("books", "films")[user // 2 % 2]:
                continue
            had = random.permutation(np.arange(user % 2, ITEMS * 2, 2))[:-1]
            rating = {"books": 2.0, "films": 5.0}[scenario]
            rows += [(f"u{user}", name(scenario, item), time, scenario, rating) for time, item in enumerate(had)]
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp", "scenario", "rating"])
    ids = [name(scenario, item) for scenario in ("books", "films") for item in range(ITEMS * 2)]
    categories = [COLOURS[number % 2] for number in range(ITEMS * 2)] * 2
    items = pd.DataFrame({"item_id": ids, "title": ids, "categories": categories})
    return Dataset.from_frames(table, items, positions=True)


@pytest.fixture(scope="module")
def fitted(data: Dataset) -> MultiTask:
    """All tasks, two scenarios; content says nothing, so that colours have to be learnt."""
    tasks = "next_item,retrieval,rating,like,interests"
    return MultiTask(tasks=tasks, content=False, sharing="ple", **QUICK).fit(data, verbose=0)


def colours(table: pd.DataFrame) -> list[int]:
    return [int(item.split()[1]) % 2 for item in table["item_id"]]


def test_every_task_is_in_the_logs(fitted: MultiTask) -> None:
    for task in ("next_item", "retrieval", "rating", "like", "interests"):
        losses = fitted.training_log[f"{task}_loss"]
        assert losses[-1] < losses[0], task
    total = sum(fitted.training_log[f"{task}_loss"][-1] for task in fitted.config.tasks)
    assert fitted.training_log["loss"][-1] == pytest.approx(total, rel=1e-3)


@pytest.mark.parametrize("scenario", ["books", "films"])
def test_a_scenario_recommends_its_own_items(fitted: MultiTask, data: Dataset, scenario: str) -> None:
    users = [f"u{user}" for user in range(USERS)]
    table = fitted.recommend(users, scenarios=[scenario] * USERS, k=99)
    assert set(table["item_id"].str.split().str[0]) == {scenario}
    nobody = fitted.recommend(histories=[[]], scenarios=[scenario], k=99)
    assert len(nobody) == ITEMS * 2
    counts = data.item_counts[data.item_vocabulary.lookup(nobody["item_id"])]
    assert (np.diff(counts) <= 0).all(), "the most popular first where nothing is known"


def test_interests_move_to_a_scenario_with_no_history(fitted: MultiTask) -> None:
    users = [f"u{user}" for user in range(8)]
    missing = [("books", "films")[user // 2 % 2] for user in range(8)]
    table = fitted.recommend(users, scenarios=missing, k=3)
    own = np.repeat([user % 2 for user in range(8)], 3)
    assert np.mean(np.array(colours(table)) == own) > 0.9


def test_without_transfer_they_do_not(data: Dataset) -> None:
    model = MultiTask(tasks="next_item", content=False, transfer=False, **{**QUICK, "epochs": 3}).fit(data, verbose=0)
    films, more = ["films 1", "films 3"], ["films 2", "films 4", "films 6"]
    one, other = (model.recommend(histories=[row], scenarios=["books"], k=5) for row in (films, more))
    assert one["item_id"].tolist() == other["item_id"].tolist()


def test_fresh_events_of_any_scenario_count_at_once(fitted: MultiTask) -> None:
    for parity in (0, 1):
        fresh = [name("films", number) for number in range(parity, 8, 2)]
        table = fitted.recommend(histories=[fresh], scenarios=["books"], k=3)
        assert colours(table) == [parity] * 3
    table = fitted.recommend(histories=[["films 1", "books 0", "films 3", "books 2"]], scenarios=["books"], k=3)
    assert set(colours(table)) == {0}, "its own history comes first"


def test_ratings_and_likes(fitted: MultiTask, data: Dataset) -> None:
    split = leave_one_out_by_scenario(data)
    expected = fitted.predict_ratings(split.test)
    assert np.sqrt(np.mean((expected - split.test.ratings) ** 2)) < 0.5
    asked = {
        "user": split.test.users,
        "history": split.test.histories.most_recent(10),
        "scenario": split.test.scenarios,
    }
    told = fitted.others["candidates"]({**asked, "candidates": split.test.items[:, None]})
    np.testing.assert_allclose(fitted.like_chances(split.test), told["likes"][:, 0], rtol=1e-5, atol=1e-6)
    assert (told["likes"][:, 0].numpy() > 0.5).tolist() == (split.test.ratings > 4).tolist()


def test_interests_by_name(fitted: MultiTask) -> None:
    table = fitted.interests(["u10", "u11"], scenarios=["films", "books"])
    assert list(table.columns) == ["row", "user_id", "label", "score"]
    best = table.groupby("row").first()
    assert best["label"].tolist() == ["even", "odd"]
    assert best["user_id"].tolist() == ["u10", "u11"]
    assert (best["score"] > 0.9).all()
    assert len(table) == 4
    fresh = fitted.interests(histories=[["films 1", "films 3"]], scenarios=["books"])
    assert fresh["label"].tolist() == ["odd", "even"]


def test_who_listens_to_whom(fitted: MultiTask, data: Dataset) -> None:
    table = fitted.expert_use(leave_one_out_by_scenario(data).test)
    assert set(table["expert"]) == set(fitted.experts)
    assert fitted.experts[-2:] == ["scenario books", "scenario films"]
    by_task = table.groupby(["scenario", "task"])["share"]
    np.testing.assert_allclose(by_task.sum(), 1, rtol=1e-5)
    shares = table.set_index(["scenario", "task", "expert"])["share"]
    assert shares["books", "rating", "scenario films"] == shares["films", "like", "rating"] == 0
    assert shares["books", "rating", "scenario books"] > 0 < shares["films", "like", "like"]


def test_saved_and_loaded(fitted: MultiTask, data: Dataset, tmp_path: Any) -> None:
    fitted.save(tmp_path / "run")
    again = load_model(tmp_path / "run")
    assert isinstance(again, MultiTask)
    question = {"users": ["u1", "u2"], "scenarios": ["books", "films"]}
    pd.testing.assert_frame_equal(again.recommend(**question), fitted.recommend(**question))
    pd.testing.assert_frame_equal(again.interests(**question), fitted.interests(**question))
    test = leave_one_out_by_scenario(data).test
    np.testing.assert_array_equal(again.predict_ratings(test), fitted.predict_ratings(test))


def test_targets_are_ranked_in_their_scenario(fitted: MultiTask, data: Dataset) -> None:
    split = leave_one_out_by_scenario(data)
    ranking = fitted.rank_targets(split.test, k=5)
    of_top = fitted.fitted_data.items.ids(ranking.top).astype(str)
    names = data.scenarios.names.ids(split.test.scenarios)
    assert all({item.split()[0] for item in row} == {name} for row, name in zip(of_top, names, strict=True))
    assert (ranking.ranks <= ITEMS * 2).all()
    with pytest.raises(InputError, match="they have no scenarios"):
        fitted.rank_targets(leave_one_out(Dataset.from_frames(data.interactions.drop(columns="scenario"))).test)


def test_scenarios_are_checked(fitted: MultiTask, data: Dataset) -> None:
    with pytest.raises(InputError, match="'' is no scenario of this multi_task; name one in every row of books, films"):
        fitted.recommend(["u1"])
    with pytest.raises(InputError, match="'music' is no scenario"):
        fitted.recommend(["u1", "u2"], scenarios=["films", "music"])
    with pytest.raises(InputError, match=r"rows do not match \(2 users, 1 scenarios\)"):
        fitted.interests(["u1", "u2"], scenarios=["films"])
    with pytest.raises(InputError, match="single string"):
        fitted.recommend(["u1"], scenarios="films")
    with pytest.raises(InputError, match="this popularity reads no scenarios"):
        Popularity().fit(data).recommend(["u1"], scenarios=["films"])


def test_one_task_is_the_same_class(data: Dataset) -> None:
    """A model of ratings alone recommends by them, and stops by their error."""
    split = leave_one_out_by_scenario(data)
    model = MultiTask(tasks="rating", content=False, **QUICK).fit(split.train, split.validation, verbose=0)
    assert set(model.training_log) >= {"loss", "rating_loss", "val_rmse"}
    assert model.training_log["val_rmse"][-1] < 1
    assert "val_ndcg@10" not in model.training_log
    table = model.recommend(["u1"], scenarios=["films"], k=3)
    assert table["score"].between(3.5, 6).all()
    with pytest.raises(InputError, match="learnt rating; interests is none of them"):
        model.interests(["u1"], scenarios=["films"])
    with pytest.raises(InputError, match="learnt rating; like is none of them"):
        model.like_chances(split.test)


def test_missing_ratings_train_the_rest_and_weights_are_learnt(data: Dataset) -> None:
    rated = data.interactions["user_id"] > "u2"
    half = Dataset.from_frames(data.interactions.assign(rating=data.interactions["rating"].where(rated)))
    model = MultiTask(tasks="next_item,rating", weighting="uncertainty", sharing="shared_bottom", **QUICK)
    logs = model.fit(half, verbose=0).history
    assert np.isfinite(logs["loss"]).all()
    assert logs["rating_loss"][-1] < logs["rating_loss"][0]
    assert logs["rating_weight"][-1] > 1 > logs["next_item_weight"][-1], "the smaller loss counts more"


def test_an_interaction_without_a_scenario_among_others(data: Dataset) -> None:
    table = data.interactions.assign(scenario=data.interactions["scenario"].where(data.interactions.index > 1, ""))
    with pytest.raises(InputError, match="2 values of column scenario are empty; name one everywhere"):
        MultiTask(tasks="next_item", **QUICK).fit(Dataset.from_frames(table), verbose=0)


def test_no_part_of_a_cascade_asks_for_a_scenario(fitted: MultiTask, data: Dataset) -> None:
    for make in (
        lambda: Cascade.of([fitted]),
        lambda: Cascade(retrievers="multi_task", ranker="").fit(data, verbose=0),
    ):
        with pytest.raises(InputError, match="its multi_task asks for a scenario"):
            make()


@pytest.mark.parametrize(("scenarios", "times"), [([""], 1), (["a"], 1), (["a", "b"], 2), ([*"abcdef"], 4)])
def test_a_scenario_has_the_rows_of_a_step_that_it_would_have_alone(
    data: Dataset, scenarios: list[str], times: int
) -> None:
    made = Dataset.from_frames(data.interactions.assign(scenario=np.resize(scenarios, len(data.interactions))))
    assert MultiTaskConfig.for_data(made, {}).batch_size == times * NextItemConfig.for_data(made, {}).batch_size
    assert MultiTaskConfig.for_data(made, {"batch_size": 24}).batch_size == 24


@pytest.mark.parametrize("tasks", ["", "clicks", "rating,rating"])
def test_tasks_that_cannot_be(tasks: str) -> None:
    with pytest.raises(InputError, match="give some of next_item, retrieval, like, rating, interests, each once"):
        MultiTask(tasks=tasks)


def test_interests_alone_recommend_nothing() -> None:
    with pytest.raises(InputError, match="interests order no items"):
        MultiTask(tasks="interests")


def test_given_weights_and_new_items_in_their_scenarios(data: Dataset) -> None:
    model = MultiTask(tasks="next_item,interests", weights='{"interests": 0.25}', **{**QUICK, "epochs": 4})
    logs = model.fit(data, verbose=0).history
    np.testing.assert_allclose(
        logs["loss"], np.add(logs["next_item_loss"], 0.25 * np.array(logs["interests_loss"])), 1e-3
    )
    new = pd.DataFrame({"item_id": ["new"], "title": ["films 1"], "categories": ["odd"], "scenario": ["films"]})
    grown = model.with_items(new)
    odd = [["films 1", "films 3", "films 5"]]
    assert "new" in set(grown.recommend(histories=odd, scenarios=["films"], k=99)["item_id"])
    assert "new" not in set(grown.recommend(histories=odd, scenarios=["books"], k=99)["item_id"])
    users, histories = np.zeros(1, np.int32), np.array([[1, 3] + [0] * 8], np.int32)
    before, after = (one.score(users, histories, np.array([1], np.int32)).numpy() for one in (model, grown))
    np.testing.assert_allclose(after[:, : before.shape[1]], before, rtol=1e-5, atol=1e-6)
    with pytest.raises(InputError, match="'new' is in no known scenario"):
        model.with_items(new.drop(columns="scenario"))

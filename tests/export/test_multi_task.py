"""Exports of multi-task models in the C++ runtime: scenarios, candidates, interests."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from assertions import LOWEST, assert_matches_table, padded
from small_data import ITEMS

from tfllmrec.data import Histories
from tfllmrec.export import export, refresh

USERS = ["用户3", "unknown", "", "用户5", "用户3"]
HISTORIES = [[], ["item1", "电影一"], [*ITEMS[:7]], ["item1"], []]
USER_SCENARIOS = ["书", "films", "films", "书", "films"]


@pytest.fixture(scope="module")
def multi_task(shared_fits, tmp_path_factory):
    """A model with all tasks and its export; two scenarios share an item, and a third of the interactions has texts."""
    recommender = shared_fits.scenarios()
    return recommender, export(recommender, tmp_path_factory.mktemp("multi_task") / "two_scenarios")


def test_every_signature_runs(runtime, multi_task):
    statuses = runtime.check(multi_task[1])
    assert set(statuses.values()) == {"ok"}, statuses
    expected = {"serving_default", "recommend", "recommend_ids", "rank", "rank_ids", "interests"}
    expected |= {"interests_with_options", "interests_with_texts"}
    expected |= {"embed_items", "similar_items"}
    assert set(statuses) == expected, "`retrieve` has no scenario input and must not be exported"


def test_recommendations_match_python(runtime, multi_task):
    recommender, path = multi_task
    exclude = [[], ["item2"], [], ITEMS, ["", "unheard of"]]
    inputs = {"user_id": USERS, "history": padded(HISTORIES), "exclude_item_ids": padded(exclude)}
    inputs["scenario"] = USER_SCENARIOS
    outputs = runtime.run(path, "recommend", **inputs)
    table = recommender.recommend(USERS, HISTORIES, k=100, exclude=exclude, scenarios=USER_SCENARIOS)
    assert_matches_table(outputs, table, USERS, len(recommender.fitted_data.items))
    assert outputs["scenario_known"].all()
    for name, value in runtime.run(path, "serving_default", **inputs).items():
        np.testing.assert_array_equal(value, outputs[name])


def test_unknown_scenario_does_not_affect_other_rows(runtime, multi_task):
    inputs = {"user_id": USERS[:3], "history": padded(HISTORIES[:3]), "exclude_item_ids": [[""]] * 3}
    known = runtime.run(multi_task[1], "recommend", **inputs, scenario=["书", "films", "films"])
    mixed = runtime.run(multi_task[1], "recommend", **inputs, scenario=["书", "music", "films"])
    assert mixed["scenario_known"].tolist() == [True, False, True]
    assert not any(mixed["item_ids"][1])
    assert (mixed["scores"][1] == LOWEST).all()
    for row in (0, 2):
        assert mixed["item_ids"][row].tolist() == known["item_ids"][row].tolist()


def test_candidate_outputs_match_python(runtime, multi_task):
    recommender, path = multi_task
    candidates = [["item1", "item2", "", "unheard of"], [*ITEMS[:4]], [*ITEMS[4:8]], [""] * 4, [*ITEMS[2:6]]]
    inputs = {"user_id": USERS, "history": padded(HISTORIES), "candidate_item_ids": padded(candidates)}
    outputs = runtime.run(path, "rank", **inputs, scenario=USER_SCENARIOS)
    fitted_data, members = recommender.fitted_data, recommender.built.members
    users = fitted_data.users.lookup(USERS)
    stored = fitted_data.histories.take(users).most_recent(4)
    requested = Histories.from_rows([fitted_data.items.lookup(row) for row in HISTORIES])
    history = np.where(requested.lengths[:, None] > 0, requested.most_recent(4), stored)
    scenario = fitted_data.scenarios.lookup(USER_SCENARIOS)
    items = np.stack([fitted_data.items.lookup(row) for row in candidates])
    expected = recommender.built.candidate_scorer(
        {"user": users, "history": history, "candidates": items, "scenario": scenario}
    )
    assert set(outputs) == {"scores", "ratings", "likes", "scenario_known"}
    for name, values in expected.items():
        np.testing.assert_allclose(outputs[name], values, rtol=1e-5, atol=1e-6)
    outside = ~members[scenario[:, None], items]
    assert outside.any()
    assert not outside.all()
    for name in expected:
        np.testing.assert_array_equal(outputs[name] == LOWEST, outside)
    assert (outputs["likes"][~outside] > 0).all()
    assert (outputs["likes"][~outside] < 1).all()
    by_index = runtime.run(path, "rank_ids", user=users, history=history, candidates=items, scenario=scenario)
    np.testing.assert_allclose(by_index["ratings"], outputs["ratings"], rtol=1e-6)


def test_rank_scores_equal_recommend_scores(runtime, multi_task):
    recommender, path = multi_task
    table = recommender.recommend(["用户5"], [["item1"]], k=5, scenarios=["films"])
    inputs = {"user_id": ["用户5"], "history": [["item1"]], "scenario": ["films"]}
    scores = runtime.run(path, "rank", **inputs, candidate_item_ids=[table["item_id"].tolist()])["scores"]
    np.testing.assert_allclose(scores[0], table["score"], rtol=1e-5, atol=1e-6)


def test_interests_match_python(runtime, multi_task):
    recommender, path = multi_task
    outputs = runtime.run(path, "interests", user_id=USERS, history=padded(HISTORIES), scenario=USER_SCENARIOS)
    table = recommender.interests(USERS, HISTORIES, scenarios=USER_SCENARIOS)
    assert outputs["labels"].ravel().tolist() == table["label"].tolist()
    np.testing.assert_allclose(outputs["scores"].ravel(), table["score"], rtol=1e-5)
    assert set(outputs["labels"][0]) == {"odd", "even", "偶"}


@pytest.mark.parametrize("texts", [[[]] * 5, [["film"], [], [" ", "花样 年华"], ["\x00[SEP]", ""], ["电影"]]])
def test_interests_from_texts_match_python(runtime, multi_task, texts):
    recommender, path = multi_task
    inputs = {"user_id": USERS, "history": padded(HISTORIES), "scenario": USER_SCENARIOS}
    outputs = runtime.run(path, "interests_with_texts", **inputs, texts=[["", *row] for row in padded(texts)])
    table = recommender.interests(USERS, HISTORIES, scenarios=USER_SCENARIOS, texts=texts)
    assert outputs["labels"].ravel().tolist() == table["label"].tolist()
    np.testing.assert_allclose(outputs["scores"].ravel(), table["score"], rtol=1e-5)
    stored = runtime.run(path, "interests", **inputs)["scores"]
    assert (outputs["scores"][1:2] == stored[1:2]).all()
    assert (outputs["scores"][2] != stored[2]).any() == bool(texts[2])


@pytest.mark.slow
def test_interests_from_texts_in_bfloat16_are_close_to_float32(runtime, multi_task, tmp_path):
    recommender, path = multi_task
    rounded = export(recommender, tmp_path / "bfloat16", precision="bfloat16")
    texts = [["花样 年华"]] * 5
    inputs = {"user_id": USERS, "history": padded(HISTORIES), "scenario": USER_SCENARIOS, "texts": texts}
    outputs = [runtime.run(version, "interests_with_texts", **inputs) for version in (rounded, path)]
    for actual, expected in zip(*map(_scores_by_label, outputs), strict=True):
        assert actual == pytest.approx(expected, abs=0.02)


def test_refresh_adds_items_to_their_scenario_and_keeps_known_scores(runtime, multi_task, tmp_path):
    recommender, path = multi_task
    shutil.copytree(path, tmp_path / "shop" / "1")
    new = {
        "item_id": ["新", "new"],
        "title": ["Title of item1", "b"],
        "categories": ["odd", ""],
        "scenario": ["films"] * 2,
    }
    version = refresh(recommender, tmp_path / "shop", pd.DataFrame(new))
    assert set(runtime.check(version).values()) == {"ok"}
    inputs = {"user_id": USERS, "history": padded(HISTORIES), "scenario": USER_SCENARIOS}
    before, after = (
        runtime.run(folder, "recommend", **inputs, exclude_item_ids=[[""]] * 5) for folder in (path, version)
    )
    for row, scenario in enumerate(USER_SCENARIOS):
        old_scores = dict(zip(before["item_ids"][row].tolist(), before["scores"][row].tolist(), strict=True))
        scores = dict(zip(after["item_ids"][row].tolist(), after["scores"][row].tolist(), strict=True))
        assert ("新" in scores) == (scenario == "films")
        known = {item: score for item, score in scores.items() if item not in {"新", "new"}}
        assert known.items() <= old_scores.items()
    candidates = [["新", "item1", "item2"]] * 5
    before, after = (runtime.run(folder, "rank", **inputs, candidate_item_ids=candidates) for folder in (path, version))
    for name in ("scores", "ratings", "likes"):
        np.testing.assert_array_equal(before[name][:, 1:], after[name][:, 1:])
        assert (before[name][:, 0] == LOWEST).all()
        assert ((after[name][:, 0] > LOWEST) == (np.array(USER_SCENARIOS) == "films")).all()
    with_texts = {**inputs, "texts": [["", "花样 年华"]] * 5}
    for signature, request in (("interests", inputs), ("interests_with_texts", with_texts)):
        before, after = (runtime.run(folder, signature, **request) for folder in (path, version))
        np.testing.assert_array_equal(before["labels"], after["labels"])
        np.testing.assert_array_equal(before["scores"], after["scores"])


def _scores_by_label(outputs):
    rows = zip(outputs["labels"].tolist(), outputs["scores"].tolist(), strict=True)
    return [dict(zip(labels, scores, strict=True)) for labels, scores in rows]


@pytest.mark.parametrize("index", [-1, 3, 2**31 - 1])
def test_unknown_indices_are_ignored(runtime, multi_task, index):
    inputs = {"user": [1], "history": [[1, 2, 0, 0]], "exclude": [[0]]}
    outputs = runtime.run(multi_task[1], "recommend_ids", **inputs, scenario=[index])
    assert not outputs["items"].any()
    inputs = {"user": [index], "history": [[index] * 4], "candidates": [[1]]}
    outputs = runtime.run(multi_task[1], "rank_ids", **inputs, scenario=[1])
    assert np.isfinite(outputs["scores"]).all()


def test_card_lists_the_scenarios(multi_task):
    card = (multi_task[1] / "assets.extra" / "model_card.md").read_text(encoding="utf-8")
    assert "| scenarios | films, 书 |" in card
    request = json.loads(re.search(r"```json\n(.*?)```", card, re.S)[1])
    assert request["signature_name"] == "recommend"
    assert request["inputs"]["scenario"] == ["films", "films"]


def test_scenario_items_are_stored_once(multi_task):
    recommender, path = multi_task
    table = list(recommender.built.members.shape)
    written = tf.train.list_variables(str(path / "variables" / "variables"))
    assert [shape for _, shape in written].count(table) == 1


def test_model_without_scenarios_has_no_scenario_input(runtime, exports):
    exported = exports["multi_task"]
    inputs = {"user_id": ["用户3"], "history": [["item1"]]}
    assert set(runtime.run(exported.path, "rank", **inputs, candidate_item_ids=[["item2"]])) == {"scores"}
    card = (exported.path / "assets.extra" / "model_card.md").read_text(encoding="utf-8")
    assert "scenarios" not in card.split("## ")[0]
    assert exported.recommender.fitted_data.scenarios is None

"""What an export of a joint model answers in the C++ runtime: scenarios, candidates, interests."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from answers import LOWEST, assert_are_of, padded
from small_data import ITEMS

from tfllmrec import MultiTask
from tfllmrec.data import Dataset, Histories
from tfllmrec.export import export, refresh

SCENARIOS = ["书", "films"]
USERS = ["用户3", "nobody", "", "用户5", "用户3"]
HISTORIES = [[], ["item1", "电影一"], [*ITEMS[:7]], ["item1"], []]
WHERE = ["书", "films", "films", "书", "films"]


@pytest.fixture(scope="module")
def joint(data, tmp_path_factory, tiny_bert):
    """All tasks, two scenarios that share an item; some users wrote something."""
    shared, table = "item1", data.interactions.copy()
    table["scenario"] = [SCENARIOS[number % 2] for number in data.item_indices]
    other = dict(zip(SCENARIOS, SCENARIOS[::-1], strict=True))
    again = table[table["item_id"] == shared]
    table = pd.concat([table, again.assign(scenario=again["scenario"].map(other))])
    table["rating"] = 1.0 + np.arange(len(table)) % 5
    table["text"] = ["film 电影" if number % 3 == 0 else "" for number in range(len(table))]
    items = data.items.assign(categories=[("odd", "even|偶")[number % 2] for number in range(len(data.items))])
    options = {"dim": 8, "units": 6, "expert_units": 4, "epochs": 1, "history_length": 4, "sharing": "ple"}
    tasks = "next_item,retrieval,like,rating,interests"
    options |= {"backbone": str(tiny_bert), "text_length": 8}
    fitted = MultiTask(tasks=tasks, **options).fit(Dataset.from_frames(table, items), verbose=0)
    return fitted, export(fitted, tmp_path_factory.mktemp("joint") / "both")


def test_every_signature_runs(runtime, joint):
    found = runtime.check(joint[1])
    assert set(found.values()) == {"ok"}, found
    more = {"recommend", "recommend_ids", "rank", "rank_ids", "interests"}
    more |= {"interests_with_options", "interests_with_texts"}
    more |= {"embed_items", "similar_items"}
    assert set(found) == {"serving_default", *more}, "and no `retrieve`, which could not name a scenario"


def test_recommendations_are_those_of_python(runtime, joint):
    recommender, path = joint
    exclude = [[], ["item2"], [], ITEMS, ["", "unheard of"]]
    asked = {"user_id": USERS, "history": padded(HISTORIES), "exclude_item_ids": padded(exclude), "scenario": WHERE}
    answers = runtime.run(path, "recommend", **asked)
    table = recommender.recommend(USERS, HISTORIES, k=100, exclude=exclude, scenarios=WHERE)
    assert_are_of(table, answers, USERS, len(ITEMS))
    assert answers["scenario_known"].all()
    for name, value in runtime.run(path, "serving_default", **asked).items():
        np.testing.assert_array_equal(value, answers[name])


def test_an_unknown_scenario_fails_nobody(runtime, joint):
    asked = {"user_id": USERS[:3], "history": padded(HISTORIES[:3]), "exclude_item_ids": [[""]] * 3}
    known = runtime.run(joint[1], "recommend", **asked, scenario=["书", "films", "films"])
    mixed = runtime.run(joint[1], "recommend", **asked, scenario=["书", "music", "films"])
    assert mixed["scenario_known"].tolist() == [True, False, True]
    assert not any(mixed["item_ids"][1])
    assert (mixed["scores"][1] == LOWEST).all()
    for row in (0, 2):
        assert mixed["item_ids"][row].tolist() == known["item_ids"][row].tolist()


def test_what_is_said_of_candidates(runtime, joint):
    recommender, path = joint
    candidates = [["item1", "item2", "", "unheard of"], [*ITEMS[:4]], [*ITEMS[4:8]], [""] * 4, [*ITEMS[2:6]]]
    asked = {"user_id": USERS, "history": padded(HISTORIES), "candidate_item_ids": padded(candidates)}
    answers = runtime.run(path, "rank", **asked, scenario=WHERE)
    fitted_data, members = recommender.fitted_data, recommender.built.members
    users = fitted_data.users.lookup(USERS)
    stored = fitted_data.histories.take(users).most_recent(4)
    given = Histories.from_rows([fitted_data.items.lookup(row) for row in HISTORIES])
    read = np.where(given.lengths[:, None] > 0, given.most_recent(4), stored)
    where = fitted_data.scenarios.lookup(WHERE)
    items = np.stack([fitted_data.items.lookup(row) for row in candidates])
    told = recommender.built.candidate_scorer({"user": users, "history": read, "candidates": items, "scenario": where})
    assert set(answers) == {"scores", "ratings", "likes", "scenario_known"}
    for name, expected in told.items():
        np.testing.assert_allclose(answers[name], expected, rtol=1e-5, atol=1e-6)
    outside = ~members[where[:, None], items]
    assert outside.any()
    assert not outside.all()
    for name in told:
        np.testing.assert_array_equal(answers[name] == LOWEST, outside)
    assert (answers["likes"][~outside] > 0).all()
    assert (answers["likes"][~outside] < 1).all()
    ids = runtime.run(path, "rank_ids", user=users, history=read, candidates=items, scenario=where)
    np.testing.assert_allclose(ids["ratings"], answers["ratings"], rtol=1e-6)


def test_ranked_candidates_have_the_scores_of_recommendations(runtime, joint):
    recommender, path = joint
    table = recommender.recommend(["用户5"], [["item1"]], k=5, scenarios=["films"])
    asked = {"user_id": ["用户5"], "history": [["item1"]], "scenario": ["films"]}
    scores = runtime.run(path, "rank", **asked, candidate_item_ids=[table["item_id"].tolist()])["scores"]
    np.testing.assert_allclose(scores[0], table["score"], rtol=1e-5, atol=1e-6)


def test_interests_by_name(runtime, joint):
    recommender, path = joint
    answers = runtime.run(path, "interests", user_id=USERS, history=padded(HISTORIES), scenario=WHERE)
    table = recommender.interests(USERS, HISTORIES, scenarios=WHERE)
    assert answers["labels"].ravel().tolist() == table["label"].tolist()
    np.testing.assert_allclose(answers["scores"].ravel(), table["score"], rtol=1e-5)
    assert set(answers["labels"][0]) == {"odd", "even", "偶"}


@pytest.mark.parametrize("texts", [[[]] * 5, [["film"], [], [" ", "花样 年华"], ["\x00[SEP]", ""], ["电影"]]])
def test_interests_by_what_is_written(runtime, joint, texts):
    recommender, path = joint
    asked = {"user_id": USERS, "history": padded(HISTORIES), "scenario": WHERE}
    answers = runtime.run(path, "interests_with_texts", **asked, texts=[["", *row] for row in padded(texts)])
    table = recommender.interests(USERS, HISTORIES, scenarios=WHERE, texts=texts)
    assert answers["labels"].ravel().tolist() == table["label"].tolist()
    np.testing.assert_allclose(answers["scores"].ravel(), table["score"], rtol=1e-5)
    stored = runtime.run(path, "interests", **asked)["scores"]
    assert (answers["scores"][1:2] == stored[1:2]).all()
    assert (answers["scores"][2] != stored[2]).any() == bool(texts[2])


def test_texts_are_read_in_bfloat16_as_well(runtime, joint, tmp_path):
    recommender, path = joint
    small = export(recommender, tmp_path / "small", precision="bfloat16")
    texts = [["花样 年华"]] * 5
    asked = {"user_id": USERS, "history": padded(HISTORIES), "scenario": WHERE, "texts": texts}
    found, exact = (runtime.run(one, "interests_with_texts", **asked) for one in (small, path))
    for of_small, of_exact in zip(*(_by_label(answers) for answers in (found, exact)), strict=True):
        assert of_small == pytest.approx(of_exact, abs=0.02)


def test_new_items_in_their_scenario_and_old_answers_bit_by_bit(runtime, joint, tmp_path):
    recommender, path = joint
    export(recommender, tmp_path / "shop", top_k=9)
    new = {
        "item_id": ["新", "new"],
        "title": ["Title of item1", "b"],
        "categories": ["odd", ""],
        "scenario": ["films"] * 2,
    }
    version = refresh(recommender, tmp_path / "shop", pd.DataFrame(new))
    assert set(runtime.check(version).values()) == {"ok"}
    asked = {"user_id": USERS, "history": padded(HISTORIES), "scenario": WHERE}
    before, after = (runtime.run(one, "recommend", **asked, exclude_item_ids=[[""]] * 5) for one in (path, version))
    for row, where in enumerate(WHERE):
        old = dict(zip(before["item_ids"][row].tolist(), before["scores"][row].tolist(), strict=True))
        found = dict(zip(after["item_ids"][row].tolist(), after["scores"][row].tolist(), strict=True))
        assert ("新" in found) == (where == "films")
        assert {item: score for item, score in found.items() if item not in {"新", "new"}}.items() <= old.items()
    candidates = [["新", "item1", "item2"]] * 5
    one, other = (runtime.run(it, "rank", **asked, candidate_item_ids=candidates) for it in (path, version))
    for name in ("scores", "ratings", "likes"):
        np.testing.assert_array_equal(one[name][:, 1:], other[name][:, 1:])
        assert (one[name][:, 0] == LOWEST).all()
        assert ((other[name][:, 0] > LOWEST) == (np.array(WHERE) == "films")).all()
    texts = {**asked, "texts": [["", "花样 年华"]] * 5}
    for signature, inputs in (("interests", asked), ("interests_with_texts", texts)):
        answers = [runtime.run(one, signature, **inputs) for one in (path, version)]
        np.testing.assert_array_equal(answers[0]["labels"], answers[1]["labels"])
        np.testing.assert_array_equal(answers[0]["scores"], answers[1]["scores"])


def _by_label(answers):
    rows = zip(answers["labels"].tolist(), answers["scores"].tolist(), strict=True)
    return [dict(zip(labels, scores, strict=True)) for labels, scores in rows]


@pytest.mark.parametrize("index", [-1, 3, 2**31 - 1])
def test_indices_that_nobody_has(runtime, joint, index):
    asked = {"user": [1], "history": [[1, 2, 0, 0]], "exclude": [[0]]}
    answers = runtime.run(joint[1], "recommend_ids", **asked, scenario=[index])
    assert not answers["items"].any()
    strange = runtime.run(joint[1], "rank_ids", user=[index], history=[[index] * 4], candidates=[[1]], scenario=[1])
    assert np.isfinite(strange["scores"]).all()


def test_the_card_names_the_scenarios(joint):
    card = (joint[1] / "assets.extra" / "model_card.md").read_text(encoding="utf-8")
    assert "| scenarios | films, 书 |" in card
    request = json.loads(re.search(r"```json\n(.*?)```", card, re.S)[1])
    assert request["signature_name"] == "recommend"
    assert request["inputs"]["scenario"] == ["films", "films"]


def test_what_scenarios_have_is_stored_once(joint):
    recommender, path = joint
    table = list(recommender.built.members.shape)
    written = tf.train.list_variables(str(path / "variables" / "variables"))
    assert [shape for _, shape in written].count(table) == 1


def test_a_model_without_scenarios_asks_for_none(runtime, exports):
    one = exports["multi_task"]
    asked = {"user_id": ["用户3"], "history": [["item1"]]}
    assert set(runtime.run(one.path, "rank", **asked, candidate_item_ids=[["item2"]])) == {"scores"}
    assert "scenarios" not in (one.path / "assets.extra" / "model_card.md").read_text(encoding="utf-8").split("## ")[0]
    assert one.recommender.fitted_data.scenarios is None

"""New items in an export: served by the C++ runtime, old scores bit by bit, and what is refused."""

import shutil

import numpy as np
import pandas as pd
import pytest
from small_data import GREEDY, ITEMS

from tfllmrec.errors import InputError
from tfllmrec.export import export, refresh

NEW = pd.DataFrame({"item_id": ["新电影", "item0", "new"], "title": ["Title of item9", "Title of item0", None]})
"""The second is known already; the third has its id for a title."""
QUESTION = {"user_id": [GREEDY, "nobody", "用户3"], "history": [[""], ["item1"], [""]], "exclude_item_ids": [[""]] * 3}


@pytest.fixture(params=["word2vec", "two_tower", "next_item", "bert_ranker"])
def served(request, exports, tmp_path):
    """A family that knows items by their content, and a copy of its export."""
    shutil.copytree(exports[request.param].path, tmp_path / "models" / "1")
    return exports[request.param].recommender, tmp_path / "models"


def scores_by_item(runtime, path, row):
    answer = runtime.run(path, "retrieve", **QUESTION)
    return {item: score for item, score in zip(answer["item_ids"][row], answer["scores"][row], strict=True) if item}


def test_old_scores_stay_bit_by_bit_and_new_items_are_served(runtime, served):
    recommender, folder = served
    version = refresh(recommender, folder, NEW)
    assert version == folder / "2"
    assert set(runtime.check(version).values()) == {"ok"}
    for row, user in enumerate(QUESTION["user_id"]):
        before, after = (scores_by_item(runtime, path, row) for path in (folder / "1", version))
        everything = recommender.with_items(NEW).recommend([user], QUESTION["history"][row : row + 1], k=99)
        expected = everything.set_index("item_id")["score"]
        assert {"新电影", "new"} & set(expected.index)
        for item, score in after.items():
            assert score == pytest.approx(expected[item], rel=1e-5, abs=1e-6)
            if item in before:
                assert np.float32(score) == np.float32(before[item])
    similar = runtime.run(version, "similar_items", item_id=["新电影"], exclude_item_ids=[[""]])
    assert "新电影" not in similar["item_ids"]
    titles = dict(zip(similar["item_ids"][0], similar["titles"][0], strict=True))
    assert titles.get("new", "new") == "new"


def test_a_new_item_is_understood_in_a_history(runtime, served):
    recommender, folder = served
    version = refresh(recommender, folder, NEW)
    asked = {"user_id": ["nobody"], "exclude_item_ids": [[""]]}
    known, unknown = (
        runtime.run(path, "retrieve", history=[["新电影", "item2"]], **asked) for path in (version, folder / "1")
    )
    assert "新电影" not in known["item_ids"]
    assert list(known["scores"][0][:3]) != list(unknown["scores"][0][:3])


def test_a_ranker_ranks_new_items_by_their_texts_and_the_others_as_before(runtime, exports, tmp_path):
    ranker = exports["bert_ranker"].recommender
    export(ranker, tmp_path)
    version = refresh(ranker, tmp_path, NEW)
    candidates = [["新电影", "item2", "new", "电影一"]] * 3
    asked = {"user_id": QUESTION["user_id"], "history": QUESTION["history"], "candidate_item_ids": candidates}
    before, after = (runtime.run(path, "rank", **asked)["scores"] for path in (tmp_path / "1", version))
    np.testing.assert_array_equal(after[:, [1, 3]], before[:, [1, 3]])
    assert (before[:, [0, 2]] == np.finfo(np.float32).min).all()
    grown, users = ranker.with_items(NEW), ranker.fitted_data.users.lookup(QUESTION["user_id"])
    histories = ranker.fitted_data.histories.take(users).most_recent(4)
    histories[1, 0] = ranker.fitted_data.items.lookup(["item1"])[0]
    expected = grown.predictor.score_candidates(
        users, histories, grown.fitted_data.items.lookup(candidates[0])[None].repeat(3, 0)
    )["scores"]
    np.testing.assert_allclose(after, expected, rtol=1e-5, atol=1e-6)
    assert len(np.unique(after[0])) == 4
    texts = {"history_texts": [["a film"]], "candidate_texts": [["Title of item9"]]}
    one, other = (runtime.run(path, "rank_texts", **texts)["scores"] for path in (tmp_path / "1", version))
    np.testing.assert_array_equal(one, other)


def test_answers_have_as_many_places_as_before(exports, tmp_path):
    recommender = exports["word2vec"].recommender
    export(recommender, tmp_path, top_k=5)
    version = refresh(recommender, tmp_path, NEW, name="films")
    card = (version / "assets.extra" / "model_card.md").read_text(encoding="utf-8")
    assert "| `item_ids` | string | [B, 5] |" in card
    assert card.startswith("# films, version 2")
    assert f"| items | {len(ITEMS) + 2} |" in card


def test_items_of_the_last_refresh_must_come_again(exports, tmp_path):
    recommender = exports["word2vec"].recommender
    export(recommender, tmp_path)
    refresh(recommender, tmp_path, NEW)
    other = pd.DataFrame({"item_id": ["other", "new"], "title": ["a", "b"]})
    with pytest.raises(InputError, match=r"^refresh: 1 items that .*2 serves are neither .* in the table \('新电影'\)"):
        refresh(recommender, tmp_path, other)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2"]
    assert refresh(recommender, tmp_path, pd.concat([NEW, other[:1]])).name == "3"


def test_what_cannot_be_refreshed(exports, tmp_path):
    recommender = exports["word2vec"].recommender
    with pytest.raises(InputError, match=r"^refresh: .* has no version yet; export the recommender there first$"):
        refresh(recommender, tmp_path / "nowhere", NEW)
    assert not (tmp_path / "nowhere").exists()
    export(recommender, tmp_path / "models")
    with pytest.raises(InputError, match=r"^items: all 1 are known to this word2vec already$"):
        refresh(recommender, tmp_path / "models", NEW[1:2])
    (tmp_path / "other" / "1").mkdir(parents=True)
    with pytest.raises(InputError, match=r"^refresh: .*1 is damaged or not an export of a recommender$"):
        refresh(recommender, tmp_path / "other", NEW)
    popular = exports["popularity"].recommender
    with pytest.raises(InputError, match=r"^a popularity scores items by their interactions alone; fit it"):
        refresh(popular, tmp_path / "models", NEW)

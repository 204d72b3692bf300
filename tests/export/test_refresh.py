"""Tests of `refresh`: new items in the C++ runtime, identical scores of known items, and errors."""

import shutil

import numpy as np
import pandas as pd
import pytest
from small_data import GREEDY, ITEMS

from tfllmrec.errors import InputError
from tfllmrec.export import export, refresh

NEW = pd.DataFrame({"item_id": ["新电影", "item0", "new"], "title": ["Title of item9", "Title of item0", None]})
"""The second item is known. The third has no title, so its id serves as title."""
REQUEST = {"user_id": [GREEDY, "unknown", "用户3"], "history": [[""], ["item1"], [""]], "exclude_item_ids": [[""]] * 3}


@pytest.fixture(params=["word2vec", "two_tower", "next_item", pytest.param("bert_ranker", marks=pytest.mark.slow)])
def served(request, exports, tmp_path):
    """A recommender that scores items by their content, and the folder of a copy of its export."""
    shutil.copytree(exports[request.param].path, tmp_path / "models" / "1")
    return exports[request.param].recommender, tmp_path / "models"


def scores_by_item(runtime, path, row):
    outputs = runtime.run(path, "retrieve", **REQUEST)
    return {item: score for item, score in zip(outputs["item_ids"][row], outputs["scores"][row], strict=True) if item}


def test_refresh_adds_new_items_and_keeps_known_scores(runtime, served):
    recommender, folder = served
    version = refresh(recommender, folder, NEW)
    assert version == folder / "2"
    assert set(runtime.check(version).values()) == {"ok"}
    for row, user in enumerate(REQUEST["user_id"]):
        before, after = (scores_by_item(runtime, path, row) for path in (folder / "1", version))
        table = recommender.with_items(NEW).recommend([user], REQUEST["history"][row : row + 1], k=99)
        expected = table.set_index("item_id")["score"]
        assert {"新电影", "new"} & set(expected.index)
        for item, score in after.items():
            assert score == pytest.approx(expected[item], rel=1e-5, abs=1e-6)
            if item in before:
                assert np.float32(score) == np.float32(before[item])
    similar = runtime.run(version, "similar_items", item_id=["新电影"], exclude_item_ids=[[""]])
    assert "新电影" not in similar["item_ids"]
    titles = dict(zip(similar["item_ids"][0], similar["titles"][0], strict=True))
    assert titles.get("new", "new") == "new"


def test_new_items_in_a_history_change_scores(runtime, served):
    recommender, folder = served
    version = refresh(recommender, folder, NEW)
    inputs = {"user_id": ["unknown"], "exclude_item_ids": [[""]]}
    known, unknown = (
        runtime.run(path, "retrieve", history=[["新电影", "item2"]], **inputs) for path in (version, folder / "1")
    )
    assert "新电影" not in known["item_ids"]
    assert list(known["scores"][0][:3]) != list(unknown["scores"][0][:3])


def test_refreshed_ranker_scores_new_candidates_and_keeps_known_scores(runtime, exports, tmp_path):
    ranker = exports["bert_ranker"].recommender
    shutil.copytree(exports["bert_ranker"].path, tmp_path / "1")
    version = refresh(ranker, tmp_path, NEW)
    candidates = [["新电影", "item2", "new", "电影一"]] * 3
    inputs = {"user_id": REQUEST["user_id"], "history": REQUEST["history"], "candidate_item_ids": candidates}
    before, after = (runtime.run(path, "rank", **inputs)["scores"] for path in (tmp_path / "1", version))
    np.testing.assert_array_equal(after[:, [1, 3]], before[:, [1, 3]])
    assert (before[:, [0, 2]] == np.finfo(np.float32).min).all()
    grown, users = ranker.with_items(NEW), ranker.fitted_data.users.lookup(REQUEST["user_id"])
    histories = ranker.fitted_data.histories.take(users).most_recent(4)
    histories[1, 0] = ranker.fitted_data.items.lookup(["item1"])[0]
    expected = grown.predictor.score_candidates(
        users, histories, grown.fitted_data.items.lookup(candidates[0])[None].repeat(3, 0)
    )["scores"]
    np.testing.assert_allclose(after, expected, rtol=1e-5, atol=1e-6)
    assert len(np.unique(after[0])) == 4
    texts = {"history_texts": [["a film"]], "candidate_texts": [["Title of item9"]]}
    before, after = (runtime.run(path, "rank_texts", **texts)["scores"] for path in (tmp_path / "1", version))
    np.testing.assert_array_equal(before, after)


def test_refresh_keeps_top_k(exports, tmp_path):
    recommender = exports["word2vec"].recommender
    export(recommender, tmp_path, top_k=5)
    version = refresh(recommender, tmp_path, NEW, name="films")
    card = (version / "assets.extra" / "model_card.md").read_text(encoding="utf-8")
    assert "| `item_ids` | string | [B, 5] |" in card
    assert card.startswith("# films, version 2")
    assert f"| items | {len(ITEMS) + 2} |" in card


def test_refresh_without_served_items_is_refused(exports, tmp_path):
    recommender = exports["word2vec"].recommender
    export(recommender, tmp_path)
    refresh(recommender, tmp_path, NEW)
    other = pd.DataFrame({"item_id": ["other", "new"], "title": ["a", "b"]})
    with pytest.raises(InputError, match=r"^refresh: 1 items that .*2 serves are neither .* in the table \('新电影'\)"):
        refresh(recommender, tmp_path, other)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2"]
    assert refresh(recommender, tmp_path, pd.concat([NEW, other[:1]])).name == "3"


def test_invalid_refreshes_are_refused(exports, tmp_path):
    recommender = exports["word2vec"].recommender
    with pytest.raises(InputError, match=r"^refresh: .* has no version yet; export the recommender there first$"):
        refresh(recommender, tmp_path / "missing", NEW)
    assert not (tmp_path / "missing").exists()
    export(recommender, tmp_path / "models")
    with pytest.raises(InputError, match=r"^items: all 1 are known to this word2vec already$"):
        refresh(recommender, tmp_path / "models", NEW[1:2])
    (tmp_path / "other" / "1").mkdir(parents=True)
    with pytest.raises(InputError, match=r"^refresh: .*1 is damaged or not an export of a recommender$"):
        refresh(recommender, tmp_path / "other", NEW)
    popularity = exports["popularity"].recommender
    with pytest.raises(InputError, match=r"^a popularity scores items by their interactions alone; fit it"):
        refresh(popularity, tmp_path / "models", NEW)

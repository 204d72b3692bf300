"""The contract of all families, as tests of the fixtures `fitted`, `folder` and `data`."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small_data import COLD, NEWCOMER

from tfllmrec import Recommender
from tfllmrec.data import Dataset, Histories, Targets
from tfllmrec.errors import InputError
from tfllmrec.evaluation import blocks
from tfllmrec.models.base import predictor
from tfllmrec.models.base.predictor import Predictor
from tfllmrec.models.registry import load_model, model_class

ALL_ITEMS = 99
USERS = ["用户3", "👨‍🍳", "用户5", NEWCOMER, "unknown"]
FILES = {"recommender.json", "items.parquet", "users.parquet", "model.keras"}
BERT = {"config.json", "metadata.json", "model.weights.h5", "tokenizer.json", "vocabulary.txt"}
MORE_FILES = {
    "two_tower": {"tokens.json"},
    "next_item": {"tokens.json"},
    "multi_task": {"tokens.json", "labels.json"},
    "bert_ranker": {"tokens.json"} | BERT,
    "cascade": {"tokens.json"} | BERT,
    "cross_encoder": {"tokenizer.json"},
    "word2vec": {"word2vec.npz", "word2vec.json"},
}


def rows(table: pd.DataFrame, count: int) -> list[list[str]]:
    """Return the items of every row, best first."""
    return [table.loc[table["row"] == row, "item_id"].tolist() for row in range(count)]


def one_row(
    recommender: Recommender, user: str | None, history: Sequence[str] | None = None, **options: Any
) -> list[str]:
    users, histories = None if user is None else [user], None if history is None else [history]
    return rows(recommender.recommend(users, histories, **{"k": ALL_ITEMS, **options}), 1)[0]


def history_of(data: Dataset, user: str) -> list[str]:
    table = data.interactions
    return table.loc[table["user_id"] == user, "item_id"].tolist()


@pytest.fixture(scope="module")
def all_items(data: Dataset) -> set[str]:
    return set(data.item_vocabulary.tokens[1:])


@pytest.fixture(scope="module")
def by_popularity(data: Dataset) -> list[str]:
    """All items by popularity; equally popular ones in the order of the vocabulary."""
    return data.item_vocabulary.ids(1 + np.argsort(-data.item_counts[1:], kind="stable")).tolist()


@pytest.fixture(scope="module")
def queries(data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Every user index, 0 for unknown users included, with a stored, a full and an empty history."""
    users = np.arange(len(data.user_vocabulary) + 1, dtype=np.int32)
    histories = [data.histories.most_recent(4), np.tile([3, 1, 2, 5], (len(users), 1)), np.zeros((len(users), 4))]
    return np.tile(users, 3), np.concatenate(histories).astype(np.int32)


def test_recommendations_are_a_table(fitted: Recommender) -> None:
    table = fitted.recommend(USERS, k=3)
    assert list(table.columns) == ["row", "user_id", "rank", "item_id", "title", "score"]
    assert table["row"].tolist() == [row for row in range(5) for _ in range(3)]
    assert table["user_id"].tolist() == [user for user in USERS for _ in range(3)]
    assert table["rank"].tolist() == [1, 2, 3] * 5
    assert (table["title"] == "Title of " + table["item_id"]).all()
    assert table.groupby("row")["score"].agg(lambda scores: scores.is_monotonic_decreasing).all()
    assert table.groupby("row")["item_id"].nunique().eq(3).all()


def test_seen_items_are_excluded(fitted: Recommender, data: Dataset, all_items: set[str]) -> None:
    """The whole history is excluded, including items older than those that the model reads."""
    for user, results in zip(USERS, rows(fitted.recommend(USERS, k=ALL_ITEMS), 5), strict=True):
        assert set(results) == all_items - set(history_of(data, user))
        assert len(results) == len(set(results))
    assert max(len(history_of(data, user)) for user in USERS) > fitted.history_length


def test_seen_items_are_included_on_request(fitted: Recommender, all_items: set[str]) -> None:
    for histories in (None, [["🎬🍿", "item0"]] * 5):
        for results in rows(fitted.recommend(USERS, histories, k=ALL_ITEMS, exclude_seen=False), 5):
            assert set(results) == all_items


def test_excluded_items_are_not_returned(fitted: Recommender, data: Dataset, all_items: set[str]) -> None:
    users, exclude = ["用户3", "unknown"], [["🎬🍿", "unheard of", ""], ["电影一", COLD]]
    results = rows(fitted.recommend(users, k=ALL_ITEMS, exclude=exclude), 2)
    assert set(results[0]) == all_items - set(history_of(data, "用户3")) - {"🎬🍿"}
    assert set(results[1]) == all_items - {"电影一", COLD}
    seen_too = rows(fitted.recommend(users, k=ALL_ITEMS, exclude=exclude, exclude_seen=False), 2)
    assert set(seen_too[0]) == all_items - {"🎬🍿"}


def test_fewer_items_than_k_may_be_left(fitted: Recommender, data: Dataset, all_items: set[str]) -> None:
    left = all_items - set(history_of(data, "用户3"))
    assert len(one_row(fitted, "用户3", k=len(left) + 1)) == len(left)
    table = fitted.recommend(["用户3", "u3"], exclude=[list(all_items), []], k=2)
    assert table["row"].tolist() == [1, 1]


def test_items_of_request_and_stored_histories_are_excluded(
    fitted: Recommender, data: Dataset, all_items: set[str]
) -> None:
    history = sorted(all_items - set(history_of(data, "用户3")))[:2]
    assert set(one_row(fitted, "用户3", history)) == all_items - set(history_of(data, "用户3")) - set(history)


def test_a_request_history_replaces_the_stored_one(fitted: Recommender, data: Dataset) -> None:
    history = ["🎬🍿", "item0", "a b|c", "item6", "item1"]
    recent = data.item_vocabulary.lookup(history[1:])[None]
    for user in ("用户3", "unknown"):
        table = fitted.recommend([user], [history], k=5)
        # A cascade does not retrieve excluded items.
        excluded = data.item_vocabulary.lookup(history + history_of(data, user))[None]
        scores = fitted.score(data.user_vocabulary.lookup([user]), recent, exclude=excluded).numpy()[0]
        np.testing.assert_allclose(table["score"], scores[data.item_vocabulary.lookup(table["item_id"])], rtol=1e-5)


def test_histories_change_the_scores(fitted: Recommender) -> None:
    first, second = (fitted.score([0], [history]).numpy() for history in ([1, 2, 3, 0], [4, 5, 6, 7]))
    assert np.allclose(first, second) == (fitted.family in ("popularity", "toy"))


def test_an_empty_history_reads_the_stored_one(fitted: Recommender) -> None:
    expected = fitted.recommend(USERS, k=ALL_ITEMS)
    for histories in ([[]] * 5, [[""], ["unheard of"], ["", ""], [], [""]]):
        pd.testing.assert_frame_equal(fitted.recommend(USERS, histories, k=ALL_ITEMS), expected)


def test_popularity_is_the_fallback(fitted: Recommender, by_popularity: list[str]) -> None:
    assert one_row(fitted, "unknown") == by_popularity
    assert one_row(fitted, NEWCOMER) == by_popularity
    assert one_row(fitted, "") == by_popularity
    assert one_row(fitted, None, []) == by_popularity
    assert one_row(fitted, None, ["unheard of"]) == by_popularity


def test_unknown_users_are_served_from_their_history(fitted: Recommender) -> None:
    histories = [["电影一", "🎬🍿", "item3"], ["item0"]]
    named = fitted.recommend(["unknown", "unknown too"], histories)
    anonymous = fitted.recommend(histories=histories)
    pd.testing.assert_frame_equal(named.drop(columns="user_id"), anonymous.drop(columns="user_id"))
    assert set(anonymous["user_id"]) == {""}


def test_unknown_items_are_ignored(fitted: Recommender) -> None:
    known = fitted.recommend(histories=[["电影一", "item3"]])
    padded = fitted.recommend(histories=[["", "电影一", "unheard of", "item3", ""]])
    pd.testing.assert_frame_equal(padded, known)


def test_scores_are_finite(fitted: Recommender, queries: tuple[np.ndarray, np.ndarray], all_items: set[str]) -> None:
    scores = fitted.score(*queries)
    assert scores.shape == (len(queries[0]), len(all_items) + 1)
    assert scores.dtype == "float32"
    assert np.isfinite(scores).all()


def test_rows_are_independent(fitted: Recommender) -> None:
    together = rows(fitted.recommend(USERS, k=4), 5)
    assert together == [one_row(fitted, user, k=4) for user in USERS]
    assert rows(fitted.recommend(USERS[::-1], k=4), 5) == together[::-1]


def test_rows_are_scored_in_blocks(fitted: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    histories = [["item0", "🎬🍿"], [], ["item3"], [], []]

    def calls() -> list[Any]:
        results = [fitted.recommend(USERS, histories, k=3, exclude=histories[::-1])]
        results += [pd.DataFrame(fitted.rank([["item0", "电影一"]] * 5, USERS, histories))]
        if fitted.index is not None:
            results += [fitted.similar_items(["item0", "unheard of", "item1"], k=2)]
        if fitted.query_model is not None:
            results += [pd.DataFrame(fitted.embed_queries(USERS, histories).embeddings)]
        return results

    expected, sizes, score = calls(), [], Predictor.score
    monkeypatch.setattr(blocks, "MOST_CELLS", 26)  # two rows of 12 items and the padding
    monkeypatch.setattr(predictor, "_PAIRS", 4)
    monkeypatch.setattr(predictor, "_QUERIES", 2)
    monkeypatch.setattr(
        Predictor, "score", lambda self, users, *args, **kw: sizes.append(len(users)) or score(self, users, *args, **kw)
    )
    for result, whole in zip(calls(), expected, strict=True):
        pd.testing.assert_frame_equal(result, whole, rtol=1e-4, atol=1e-5)
    assert sizes == [2, 2, 1]


def test_evaluation_and_recommendations_agree(fitted: Recommender, data: Dataset) -> None:
    """The rank of a target is its position among all unseen items, the last one of equal scores."""
    table = fitted.recommend(["用户3"], k=ALL_ITEMS)
    items = data.item_vocabulary.lookup(table["item_id"])
    users = np.repeat(data.user_vocabulary.lookup(["用户3"]), len(items))
    targets = Targets(users, data.histories.take(users), items)
    ranks = [(table["score"] >= score).sum() for score in table["score"]]
    np.testing.assert_array_equal(fitted.rank_targets(targets).ranks, ranks)
    hits = np.mean([rank <= 3 for rank in ranks])
    assert fitted.evaluate(targets, k=3)["recall@3"] == pytest.approx(hits)


def test_an_empty_request_returns_an_empty_table(fitted: Recommender) -> None:
    table = fitted.recommend([])
    assert len(table) == 0
    assert "item_id" in table


@pytest.fixture(scope="module")
def refitted(fitted: Recommender, data: Dataset) -> Recommender:
    """Another fit with the configuration of `fitted`, which was loaded from a folder."""
    recommender = model_class(fitted.family).with_config(fitted.config)
    assert recommender.fit(data, verbose=0) is recommender
    return recommender


def test_a_fit_is_determined_by_its_seed(
    fitted: Recommender, refitted: Recommender, queries: tuple[np.ndarray, np.ndarray]
) -> None:
    np.testing.assert_allclose(refitted.score(*queries), fitted.score(*queries), rtol=1e-4, atol=1e-5)


def test_a_loaded_recommender_predicts_the_same(
    refitted: Recommender, queries: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    for _ in range(2):  # saving again overwrites
        refitted.save(tmp_path / "a folder")
    loaded = load_model(tmp_path / "a folder")
    assert type(loaded) is type(refitted)
    assert loaded.config == refitted.config
    np.testing.assert_array_equal(loaded.score(*queries), refitted.score(*queries))
    request = {"users": USERS, "histories": [["🎬🍿"], [], [], [], []], "exclude": [[], ["item0"], [], [], []]}
    pd.testing.assert_frame_equal(loaded.recommend(**request), refitted.recommend(**request))
    pd.testing.assert_frame_equal(loaded.explain_config(), refitted.explain_config())


def test_a_saved_folder_is_plain_files(folder: Path, fitted: Recommender) -> None:
    assert {path.name for path in folder.rglob("*") if path.is_file()} == FILES | MORE_FILES.get(fitted.family, set())


def test_configurations_survive_json(fitted: Recommender) -> None:
    options = json.loads(json.dumps(fitted.config.to_dict()))
    assert fitted.config_class.from_options(options) == fitted.config


def test_histories_of_the_training_part_are_stored(fitted: Recommender, data: Dataset) -> None:
    stored: Histories = fitted.fitted_data.histories
    np.testing.assert_array_equal(stored.values, data.histories.values)
    np.testing.assert_array_equal(stored.offsets, data.histories.offsets)
    np.testing.assert_array_equal(fitted.fitted_data.counts, data.item_counts)
    assert fitted.fitted_data.items == data.item_vocabulary
    assert fitted.fitted_data.users == data.user_vocabulary


def test_candidates_are_ranked_by_ids(fitted: Recommender) -> None:
    candidates = ["item0", "unheard of", "🎬🍿", "item3"]
    first, second = fitted.rank([candidates, candidates[::-1]], histories=[["电影一"], ["电影一"]])
    np.testing.assert_allclose(first, second[::-1], rtol=1e-4, atol=1e-5)
    assert first.dtype == np.float32
    assert first[1] == np.finfo(np.float32).min
    assert np.isfinite(first).all()
    known = fitted.rank([["item0", "🎬🍿"]], users=["用户3"])[0]
    np.testing.assert_allclose(known, fitted.rank([["item0", "🎬🍿"]], ["用户3"], [[]])[0], rtol=1e-5)


def test_vectors_have_ids(fitted: Recommender, data: Dataset) -> None:
    if fitted.index is None:
        for call in (fitted.embed_items, lambda: fitted.similar_items(["item0"])):
            with pytest.raises(InputError, match=f"a {fitted.family} has no item vectors"):
                call()
        return
    items = fitted.embed_items()
    assert items.item_ids == data.item_vocabulary.tokens[1:].tolist()
    assert items.embeddings.shape == (len(items.item_ids), fitted.index.dim)
    np.testing.assert_array_equal(fitted.embed_items(["unheard of", "item0"]).embeddings[0], 0)
    similar = fitted.similar_items(["item0", "unheard of"], k=3)
    assert similar["query_item_id"].tolist() == ["item0"] * 3
    vectors = items.embeddings / np.linalg.norm(items.embeddings, axis=1, keepdims=True).clip(1e-9)
    query = items.item_ids.index("item0")
    cosines = vectors @ vectors[query]
    cosines[query] = -2
    np.testing.assert_allclose(similar["score"], np.sort(cosines)[::-1][:3], rtol=1e-4, atol=1e-5)


def test_scores_are_products_of_vectors(fitted: Recommender) -> None:
    if not fitted.built.scores_are_products:
        return
    queries, items = fitted.embed_queries(["用户3"], [["item0", "item3"]]), fitted.embed_items()
    scores = queries.embeddings @ items.embeddings.T + (0 if items.biases is None else items.biases)
    table = fitted.recommend(["用户3"], [["item0", "item3"]], k=3)
    expected = [scores[0, items.item_ids.index(item)] for item in table["item_id"]]
    np.testing.assert_allclose(table["score"], expected, rtol=1e-4, atol=1e-5)


def test_options_have_a_source(fitted: Recommender) -> None:
    table = fitted.explain_config()
    assert dict(zip(table["option"], table["value"], strict=True)) == fitted.config.to_dict()
    assert (table["source"] == "default").any() or (table["source"] == "caller").any()


def test_repr_names_the_options_and_the_data(fitted: Recommender, refitted: Recommender) -> None:
    for recommender in (fitted, refitted):
        assert re.fullmatch(r"<\w+\(.*\) fitted on 22 users and 12 items>", repr(recommender), re.DOTALL)
    assert repr(type(fitted)()) == f"{type(fitted).__name__}()"

"""Signatures of every family in the C++ runtime return the recommender's results in Python."""

from dataclasses import dataclass

import numpy as np
import pytest
from assertions import LOWEST, assert_matches_scores, assert_matches_table, assert_same_items, padded
from small_data import COLD, EVERYTHING, GREEDY, ITEMS

from tfllmrec.export.card import signatures_of
from tfllmrec.models.registry import FAMILIES

REQUESTS = {
    "known user": ("用户3", [], []),
    "known user, stored history exceeds history_length": ("用户5", [], []),
    "known user, history": ("用户3", ["item1", "电影一"], []),
    "unknown user, history": ("unknown", ["item1", "电影一"], []),
    "history": ("", ["🎬🍿", "a b|c", 'say "hi"'], []),
    "history exceeds history_length": ("", [*ITEMS[:7]], []),
    "known user, history exceeds history_length": ("用户2", [*ITEMS[3:10]], ["item7"]),
    "empty": ("", [], []),
    "unknown user": ("unknown", [], ["item2"]),
    "padding at the start": ("", ["", "", "item1", "item2"], []),
    "padding in the middle": ("", ["item1", "", "item2", "", "电影一"], []),
    "padding at the end": ("", ["item1", "item2", "", ""], []),
    "known user, only padding": ("用户4", ["", "", ""], ["", ""]),
    "some unknown items": ("", ["unheard of", "item1", "未知", "item2"], ["never", "item5"]),
    "known user, unknown item": ("用户4", ["unheard of"], []),
    "unknown user, unknown item": ("unknown", ["unheard of"], []),
    "repeated items": ("", ["item1", "item2", "item1"], ["item3", "item3"]),
    "exclusions": ("用户3", ["item1"], ["电影一", "🎬🍿", "", "item7"]),
    "all items excluded": ("用户3", [], ITEMS),
    "two items remain": (GREEDY, [], []),
    "one item remains": (GREEDY, [], ["item7"]),
    "no items remain": (EVERYTHING, [], [COLD]),
    "history, one item remains": ("", ITEMS[:-2], ["item7"]),
    "history, no items remain": ("", ITEMS[::-1], []),
}
"""User, history and exclusions by case."""
VECTORS = {"embed_query", "embed_items", "similar_items"}
RANKING = {"rank_texts"}
MORE_SIGNATURES = {
    "word2vec": VECTORS,
    "two_tower": VECTORS,
    "next_item": VECTORS | {"next_items", "next_items_ids"},
    "multi_task": {"embed_items", "similar_items", "recommend", "recommend_ids"},
    "bert_ranker": VECTORS | RANKING,
    "cross_encoder": RANKING,
    "cascade": RANKING | {"recommend", "recommend_ids"},
}
MAIN = {
    "next_item": "next_items",
    "multi_task": "recommend",
    "bert_ranker": "rank",
    "cross_encoder": "rank",
    "cascade": "recommend",
}
ITEM_SIGNATURES = [
    *((family, "retrieve") for family in FAMILIES),
    ("next_item", "next_items"),
    ("cascade", "recommend"),
    ("multi_task", "recommend"),
]
INPUTS = {
    "user_id": ["用户3"],
    "history": [["item1"]],
    "exclude_item_ids": [["item2"]],
    "candidate_item_ids": [["item3", "item4", "unheard of"]],
}


@dataclass
class ItemSignature:
    """A signature of an export that returns items for a history, with or without a user."""

    runtime: object
    exported: object
    name: str

    @property
    def has_user(self):
        return self.name != "next_items"

    def run(self, requests, **widths):
        """Run the signature on requests, padded to at least the given widths."""
        users, histories, exclusions = zip(*requests, strict=True)
        with_user = {"user_id": users} if self.has_user else {}
        history, exclude = padded(histories, widths.get("history", 0)), padded(exclusions, widths.get("exclude", 0))
        return self.runtime.run(self.exported.path, self.name, **with_user, history=history, exclude_item_ids=exclude)

    def recommend(self, requests):
        """Return the table of `recommend` for the same requests."""
        users, histories, exclusions = zip(*requests, strict=True)
        users = users if self.has_user else None
        return self.exported.recommender.recommend(users, histories, k=100, exclude=exclusions)


@pytest.fixture(params=ITEM_SIGNATURES, ids=" ".join)
def signature(request, runtime, exports):
    family, name = request.param
    return ItemSignature(runtime, exports[family], name)


@pytest.fixture(params=[family for family, more in MORE_SIGNATURES.items() if more >= VECTORS])
def with_vectors(request, exports):
    return exports[request.param]


def test_every_signature_runs(runtime, exported):
    statuses = runtime.check(exported.path)
    assert set(statuses.values()) == {"ok"}, statuses
    more = MORE_SIGNATURES.get(exported.recommender.family, set())
    assert set(statuses) == {"serving_default", "retrieve", "retrieve_ids", "rank", "rank_ids"} | more


def test_results_match_recommend(signature):
    outputs = signature.run(REQUESTS.values())
    table = signature.recommend(REQUESTS.values())
    assert_matches_table(outputs, table, REQUESTS, len(ITEMS))
    assert np.isfinite(outputs["scores"]).all()


def test_retrieve_follows_the_rules(runtime, popularity, two_tower, next_item):
    """Check the rules of the model card on their own, without the recommender's results."""
    for exported in (popularity, two_tower, next_item):
        retrieve = ItemSignature(runtime, exported, "retrieve")
        results = dict(zip(REQUESTS, retrieve.run(REQUESTS.values())["item_ids"].tolist(), strict=True))
        assert sorted(results["two items remain"])[-2:] == ["item6", "item7"]
        assert [item for item in results["one item remains"] if item] == ["item6"]
        assert not any(results["no items remain"])
        assert not any(results["all items excluded"])
        assert not {"item1", "电影一"} & set(results["known user, history"])
        assert not set(ITEMS[:7]) & set(results["history exceeds history_length"])
        assert results["empty"] == results["unknown user, unknown item"]
        assert results["known user, only padding"] == results["known user, unknown item"]
        by_popularity = popularity.recommender.recommend([""], k=100)["item_id"]
        assert results["empty"] == by_popularity.tolist()


def test_next_items_follows_the_rules(runtime, popularity, next_item):
    """Check the rules of the model card for a signature without users."""
    items = ItemSignature(runtime, next_item, "next_items").run(REQUESTS.values())["item_ids"].tolist()
    results = dict(zip(REQUESTS, items, strict=True))
    by_popularity = popularity.recommender.recommend([""], k=100)["item_id"].tolist()
    for case in ("known user", "two items remain", "empty", "known user, only padding", "known user, unknown item"):
        assert results[case] == by_popularity
    assert results["known user, history"] == results["unknown user, history"]
    assert {"item1", "电影一"}.isdisjoint(results["unknown user, history"])
    assert [item for item in results["history, one item remains"] if item] == ["item6"]
    assert not any(results["history, no items remain"])
    assert not any(results["all items excluded"])


def test_rows_of_a_batch_are_independent(signature):
    batch = signature.run(REQUESTS.values())
    for row, request in enumerate(REQUESTS.values()):
        assert_same_items(signature.run([request]), {name: values[row : row + 1] for name, values in batch.items()})


@pytest.mark.parametrize("width", [20, 33])
def test_padding_does_not_change_results(signature, width):
    expected = signature.run(REQUESTS.values())
    assert_same_items(signature.run(REQUESTS.values(), history=width, exclude=width), expected)
    leading = [(user, ["", *history], ["", *exclude]) for user, history, exclude in REQUESTS.values()]
    assert_same_items(signature.run(leading), expected)


def test_serving_default_is_the_main_signature(runtime, exported):
    main = exported.recommender.main_signature
    assert main == MAIN.get(exported.recommender.family, "retrieve")
    inputs = {name: INPUTS[name] for name in signatures_of(exported.path)[main].inputs}
    default, named = (runtime.run(exported.path, name, **inputs) for name in ("serving_default", main))
    assert default.keys() == named.keys()
    for name, values in named.items():
        np.testing.assert_array_equal(default[name], values)


def test_empty_batch_returns_no_rows(signature):
    empty = np.empty((0, 0), object)
    inputs = {"history": empty, "exclude_item_ids": empty}
    if signature.has_user:
        inputs["user_id"] = []
    outputs = signature.runtime.run(signature.exported.path, signature.name, **inputs)
    assert outputs["item_ids"].shape == outputs["scores"].shape == (0, len(ITEMS))


def test_index_signature_ignores_stored_histories_and_unknown_indices(signature):
    path, recommender = signature.exported.path, signature.exported.recommender
    users, histories = [1, -7, 10**6], [[0, 0, 0, 0], [3, 0, 10**6, 5], [-1, 3, 5, 0]]
    with_user = {"user": users} if signature.has_user else {}
    exclude = [[0, 0, 0], [1, -1, 10**6], [1, 0, 0]]
    outputs = signature.runtime.run(path, f"{signature.name}_ids", **with_user, history=histories, exclude=exclude)
    by_popularity = np.argsort(-recommender.fitted_data.counts[1:], kind="stable") + 1
    assert outputs["items"][0].tolist() == by_popularity.tolist()

    known_histories = np.array([[0, 0, 0, 0], [3, 5, 0, 0], [3, 5, 0, 0]], np.int32)
    known_users = np.array([int("user" in with_user), 0, 0], np.int32)
    known_exclude = np.array([[0], [1], [1]], np.int32)
    scores = recommender.score(known_users, known_histories, exclude=known_exclude).numpy()
    scores[:, 0] = scores[1:, 1] = LOWEST
    assert_matches_scores(outputs, scores, len(ITEMS))
    assert (outputs["items"] == 0).sum(axis=1).tolist() == [0, 1, 1]


def test_embeddings_match_python(runtime, with_vectors):
    recommender = with_vectors.recommender
    users, items = recommender.fitted_data.users, recommender.fitted_data.items
    user_ids = ["用户3", "用户5", "unknown"]
    histories = [["", "item1", "unheard of", "电影一"], ["", "", "", ""], ["", "", "", ""]]
    outputs = runtime.run(with_vectors.path, "embed_query", user_id=user_ids, history=histories)
    stored = recommender.fitted_data.histories.most_recent(4)[users.lookup(["用户5"])[0]]
    history = np.array([[*items.lookup(["item1", "电影一"]), 0, 0], stored, [0, 0, 0, 0]], np.int32)
    expected = recommender.query_model({"user": users.lookup(user_ids), "history": history})
    np.testing.assert_allclose(outputs["embedding"], expected, rtol=1e-5, atol=1e-6)

    outputs = runtime.run(with_vectors.path, "embed_items", item_ids=["电影一", "unheard of", "item6", ""])
    indices, unknown_rows = items.lookup(["电影一", "", "item6", ""]), [1, 3]
    expected = {"embeddings": recommender.index.vectors.numpy()[indices]}
    if recommender.family == "next_item":
        expected["biases"] = recommender.index.biases.numpy()[indices]
    assert outputs.keys() == expected.keys()
    for name, values in expected.items():
        assert values[[0, 2]].any(axis=-1).all()
        values[unknown_rows] = 0
        np.testing.assert_array_equal(outputs[name], values)


@pytest.mark.parametrize("family", ["word2vec", "two_tower", "next_item"])
def test_scores_are_products_of_embeddings(runtime, exports, family):
    inputs, path = {"user_id": ["用户3"], "history": [["item1"]]}, exports[family].path
    results = runtime.run(path, "retrieve", **inputs, exclude_item_ids=[[""]])
    query = runtime.run(path, "embed_query", **inputs)["embedding"][0]
    items = runtime.run(path, "embed_items", item_ids=results["item_ids"][0])
    scores = items["embeddings"] @ query + items.get("biases", 0)
    present = results["item_ids"][0] != ""
    np.testing.assert_allclose(scores[present], results["scores"][0][present], rtol=1e-4, atol=1e-5)


def test_similar_items_are_sorted_by_cosine_similarity(runtime, with_vectors):
    item_ids = [*ITEMS, "unheard of", ""]
    exclude = [[COLD, ""]] * len(item_ids)
    outputs = runtime.run(with_vectors.path, "similar_items", item_id=item_ids, exclude_item_ids=exclude)
    vectors = runtime.run(with_vectors.path, "embed_items", item_ids=ITEMS)["embeddings"]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-9)
    for row, item in enumerate(ITEMS[:-1]):  # word2vec has no vector of the last one, which has no interactions
        cosines = dict(zip(ITEMS, vectors @ vectors[row], strict=True))
        expected = sorted(set(ITEMS) - {item, COLD}, key=cosines.get, reverse=True)
        count = len(expected)
        assert outputs["item_ids"][row].tolist() == [*expected, *[""] * (len(ITEMS) - count)]
        scores = [cosines[other] for other in expected]
        np.testing.assert_allclose(outputs["scores"][row, :count], scores, rtol=1e-4, atol=1e-5)
    assert not outputs["item_ids"][len(ITEMS) :].any()
    assert (outputs["scores"][len(ITEMS) :] == LOWEST).all()

"""What an export answers in the C++ runtime is what the recommender answers in Python."""

from dataclasses import dataclass

import numpy as np
import pytest
from answers import LOWEST, assert_are_of, assert_same, padded
from small_data import GREEDY, ITEMS

from tfllmrec.export.card import signatures_of
from tfllmrec.models.registry import FAMILIES

QUESTIONS = {
    "known user": ("用户3", [], []),
    "known user whose history is longer than the model reads": ("用户5", [], []),
    "known user with a given history": ("用户3", ["item1", "电影一"], []),
    "new user with a history": ("nobody", ["item1", "电影一"], []),
    "history alone": ("", ["🎬🍿", "a b|c", 'say "hi"'], []),
    "history longer than the model reads": ("", [*ITEMS[:7]], []),
    "given history longer than the model reads, of a known user": ("用户2", [*ITEMS[3:10]], ["item7"]),
    "neither": ("", [], []),
    "new user and nothing else": ("nobody", [], ["item2"]),
    "nothing at the start": ("", ["", "", "item1", "item2"], []),
    "nothing in the middle": ("", ["item1", "", "item2", "", "电影一"], []),
    "nothing at the end": ("", ["item1", "item2", "", ""], []),
    "nothing but nothing": ("用户4", ["", "", ""], ["", ""]),
    "unknown items": ("", ["unheard of", "item1", "未知", "item2"], ["never", "item5"]),
    "nothing but unknown items": ("用户4", ["unheard of"], []),
    "nothing but unknown items of a new user": ("nobody", ["unheard of"], []),
    "an item twice": ("", ["item1", "item2", "item1"], ["item3", "item3"]),
    "exclusions": ("用户3", ["item1"], ["电影一", "🎬🍿", "", "item7"]),
    "all excluded": ("用户3", [], ITEMS),
    "two left": (GREEDY, [], []),
    "one left": (GREEDY, [], ["item7"]),
    "none left": ("everything", [], []),
    "one left after a history": ("", ITEMS[:-2], ["item7"]),
    "none left after a history": ("", ITEMS[::-1], []),
}
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
WAYS = [
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
class Way:
    """A signature of an export to ask, with a user or without one."""

    runtime: object
    exported: object
    signature: str

    @property
    def asks_for_user(self):
        return self.signature != "next_items"

    def ask(self, questions, **widths):
        users, histories, exclusions = zip(*questions, strict=True)
        with_user = {"user_id": users} if self.asks_for_user else {}
        history, exclude = padded(histories, widths.get("history", 0)), padded(exclusions, widths.get("exclude", 0))
        return self.runtime.run(
            self.exported.path, self.signature, **with_user, history=history, exclude_item_ids=exclude
        )

    def recommended(self, questions):
        users, histories, exclusions = zip(*questions, strict=True)
        known = users if self.asks_for_user else None
        return self.exported.recommender.recommend(known, histories, k=100, exclude=exclusions)


@pytest.fixture(params=WAYS, ids=" ".join)
def way(request, runtime, exports):
    family, signature = request.param
    return Way(runtime, exports[family], signature)


@pytest.fixture(params=[family for family, more in MORE_SIGNATURES.items() if more >= VECTORS])
def with_vectors(request, exports):
    return exports[request.param]


def test_every_signature_runs(runtime, exported):
    found = runtime.check(exported.path)
    assert set(found.values()) == {"ok"}, found
    more = MORE_SIGNATURES.get(exported.recommender.family, set())
    assert set(found) == {"serving_default", "retrieve", "retrieve_ids", "rank", "rank_ids"} | more


def test_answers_are_the_recommenders(way):
    answers = way.ask(QUESTIONS.values())
    table = way.recommended(QUESTIONS.values())
    assert_are_of(table, answers, QUESTIONS, len(ITEMS))
    assert np.isfinite(answers["scores"]).all()


def test_the_rules_hold_by_themselves(runtime, popularity, two_tower, next_item):
    """Not only as the recommender has them."""
    for exported in (popularity, two_tower, next_item):
        way = Way(runtime, exported, "retrieve")
        answers = dict(zip(QUESTIONS, way.ask(QUESTIONS.values())["item_ids"].tolist(), strict=True))
        assert sorted(answers["two left"])[-2:] == ["item6", "item7"]
        assert [item for item in answers["one left"] if item] == ["item6"]
        assert not any(answers["none left"])
        assert not any(answers["all excluded"])
        assert not {"item1", "电影一"} & set(answers["known user with a given history"])
        assert not set(ITEMS[:7]) & set(answers["history longer than the model reads"])
        assert answers["neither"] == answers["nothing but unknown items of a new user"]
        assert answers["nothing but nothing"] == answers["nothing but unknown items"]
        by_popularity = popularity.recommender.recommend([""], k=100)["item_id"]
        assert answers["neither"] == by_popularity.tolist()


def test_what_follows_a_history_has_no_user(runtime, popularity, next_item):
    """The rules of `next_items` by themselves."""
    found = Way(runtime, next_item, "next_items").ask(QUESTIONS.values())["item_ids"].tolist()
    answers = dict(zip(QUESTIONS, found, strict=True))
    by_popularity = popularity.recommender.recommend([""], k=100)["item_id"].tolist()
    for question in ("known user", "two left", "neither", "nothing but nothing", "nothing but unknown items"):
        assert answers[question] == by_popularity
    assert answers["known user with a given history"] == answers["new user with a history"]
    assert {"item1", "电影一"}.isdisjoint(answers["new user with a history"])
    assert [item for item in answers["one left after a history"] if item] == ["item6"]
    assert not any(answers["none left after a history"])
    assert not any(answers["all excluded"])


def test_a_row_answers_alone_as_in_a_batch(way):
    together = way.ask(QUESTIONS.values())
    for row, question in enumerate(QUESTIONS.values()):
        assert_same(way.ask([question]), {name: values[row : row + 1] for name, values in together.items()})


@pytest.mark.parametrize("width", [20, 33])
def test_padding_changes_nothing(way, width):
    narrow = way.ask(QUESTIONS.values())
    assert_same(way.ask(QUESTIONS.values(), history=width, exclude=width), narrow)
    leading = [(user, ["", *history], ["", *exclude]) for user, history, exclude in QUESTIONS.values()]
    assert_same(way.ask(leading), narrow)


def test_the_default_is_the_main_signature(runtime, exported):
    main = exported.recommender.main_signature
    assert main == MAIN.get(exported.recommender.family, "retrieve")
    inputs = {name: INPUTS[name] for name in signatures_of(exported.path)[main].inputs}
    default, named = (runtime.run(exported.path, name, **inputs) for name in ("serving_default", main))
    assert default.keys() == named.keys()
    for name, values in named.items():
        np.testing.assert_array_equal(default[name], values)


def test_an_empty_batch(way):
    empty = np.empty((0, 0), object)
    inputs = {"history": empty, "exclude_item_ids": empty}
    if way.asks_for_user:
        inputs["user_id"] = []
    answer = way.runtime.run(way.exported.path, way.signature, **inputs)
    assert answer["item_ids"].shape == answer["scores"].shape == (0, len(ITEMS))


def test_the_core_alone(way):
    """It reads nothing stored, and indices that do not exist are nothing."""
    users, histories = [1, -7, 10**6], [[0, 0, 0, 0], [3, 0, 10**6, 5], [-1, 3, 5, 0]]
    with_user = {"user": users} if way.asks_for_user else {}
    exclude = [[0, 0, 0], [1, -1, 10**6], [1, 0, 0]]
    answer = way.runtime.run(way.exported.path, f"{way.signature}_ids", **with_user, history=histories, exclude=exclude)
    popular = np.argsort(-way.exported.recommender.fitted_data.counts[1:], kind="stable") + 1
    assert answer["items"][0].tolist() == popular.tolist()

    read = np.array([[0, 0, 0, 0], [3, 5, 0, 0], [3, 5, 0, 0]], np.int32)
    known = np.array([int("user" in with_user), 0, 0], np.int32)
    hidden = np.array([[0], [1], [1]], np.int32)
    expected = way.exported.recommender.score(known, read, exclude=hidden).numpy()
    expected[:, 0] = expected[1:, 1] = LOWEST
    order = np.argsort(-expected, axis=1, kind="stable")[:, : len(ITEMS)]
    left = np.take_along_axis(expected, order, axis=1)
    assert answer["items"].tolist() == np.where(left == LOWEST, 0, order).tolist()
    np.testing.assert_allclose(answer["scores"], left, rtol=1e-5, atol=1e-6)
    assert (answer["items"] == 0).sum(axis=1).tolist() == [0, 1, 1]


def test_embeddings(runtime, with_vectors):
    recommender = with_vectors.recommender
    users, items = recommender.fitted_data.users, recommender.fitted_data.items
    given = [["", "item1", "unheard of", "电影一"], ["", "", "", ""], ["", "", "", ""]]
    asked = ["用户3", "用户5", "nobody"]
    answer = runtime.run(with_vectors.path, "embed_query", user_id=asked, history=given)
    stored = recommender.fitted_data.histories.most_recent(4)[users.lookup(["用户5"])[0]]
    history = np.array([[*items.lookup(["item1", "电影一"]), 0, 0], stored, [0, 0, 0, 0]], np.int32)
    expected = recommender.query_model({"user": users.lookup(asked), "history": history})
    np.testing.assert_allclose(answer["embedding"], expected, rtol=1e-5, atol=1e-6)

    answer = runtime.run(with_vectors.path, "embed_items", item_ids=["电影一", "unheard of", "item7", ""])
    places, unknown = items.lookup(["电影一", "", "item7", ""]), [1, 3]
    expected = {"embeddings": recommender.index.vectors.numpy()[places]}
    if recommender.family == "next_item":
        expected["biases"] = recommender.index.biases.numpy()[places]
    assert answer.keys() == expected.keys()
    for name, values in expected.items():
        assert values[[0, 2]].any(axis=-1).all()
        values[unknown] = 0
        np.testing.assert_array_equal(answer[name], values)


@pytest.mark.parametrize("family", ["word2vec", "two_tower", "next_item"])
def test_a_query_times_the_items_is_the_score(runtime, exports, family):
    inputs, path = {"user_id": ["用户3"], "history": [["item1"]]}, exports[family].path
    best = runtime.run(path, "retrieve", **inputs, exclude_item_ids=[[""]])
    query = runtime.run(path, "embed_query", **inputs)["embedding"][0]
    items = runtime.run(path, "embed_items", item_ids=best["item_ids"][0])
    scores = items["embeddings"] @ query + items.get("biases", 0)
    left = best["item_ids"][0] != ""
    np.testing.assert_allclose(scores[left], best["scores"][0][left], rtol=1e-4, atol=1e-5)


def test_similar_items(runtime, with_vectors):
    asked = [*ITEMS, "unheard of", ""]
    exclude = [["item7", ""]] * len(asked)
    answer = runtime.run(with_vectors.path, "similar_items", item_id=asked, exclude_item_ids=exclude)
    vectors = runtime.run(with_vectors.path, "embed_items", item_ids=ITEMS)["embeddings"]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for row, item in enumerate(ITEMS):
        cosines = dict(zip(ITEMS, vectors @ vectors[row], strict=True))
        left = sorted(set(ITEMS) - {item, "item7"}, key=cosines.get, reverse=True)
        found = answer["item_ids"][row].tolist()
        assert found == [*left, *[""] * (len(ITEMS) - len(left))]
        np.testing.assert_allclose(answer["scores"][row, : len(left)], [cosines[i] for i in left], rtol=1e-4, atol=1e-5)
    assert not answer["item_ids"][len(ITEMS) :].any()
    assert (answer["scores"][len(ITEMS) :] == LOWEST).all()

"""What an export answers in the C++ runtime is what the recommender answers in Python."""

import numpy as np
import pytest
from made_data import GREEDY, ITEMS

LOWEST = np.finfo(np.float32).min
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
}


def padded(rows, width=None):
    width = max(map(len, rows), default=0) if width is None else width
    return [[*row, *[""] * (width - len(row))] for row in rows]


def ask(runtime, exported, questions, **widths):
    users, histories, exclusions = zip(*questions, strict=True)
    return runtime.run(
        exported.path,
        "retrieve",
        user_id=users,
        history=padded(histories, widths.get("history")),
        exclude_item_ids=padded(exclusions, widths.get("exclude")),
    )


def assert_same(one, other):
    assert one["item_ids"].tolist() == other["item_ids"].tolist()
    np.testing.assert_allclose(one["scores"], other["scores"], rtol=1e-5, atol=1e-6)


def test_every_signature_runs(runtime, exported):
    found = runtime.check(exported.path)
    assert set(found.values()) == {"ok"}, found
    expected = {"serving_default", "retrieve", "retrieve_ids"}
    if exported.recommender.family == "two_tower":
        expected |= {"embed_query", "embed_items", "similar_items"}
    assert set(found) == expected


def test_answers_are_the_recommenders(runtime, exported):
    answers = ask(runtime, exported, QUESTIONS.values())
    users, histories, exclusions = zip(*QUESTIONS.values(), strict=True)
    table = exported.recommender.recommend(users, histories, k=100, exclude=exclusions)
    for row, question in enumerate(QUESTIONS):
        expected = table[table["row"] == row]
        count = len(expected)
        assert answers["item_ids"][row].tolist() == [*expected["item_id"], *[""] * (len(ITEMS) - count)], question
        assert answers["titles"][row].tolist() == [*expected["title"], *[""] * (len(ITEMS) - count)], question
        np.testing.assert_allclose(answers["scores"][row, :count], expected["score"], 1e-5, 1e-6, err_msg=question)
        assert (answers["scores"][row, count:] == LOWEST).all(), question
    assert np.isfinite(answers["scores"]).all()


def test_the_rules_hold_by_themselves(runtime, popularity, two_tower):
    """Not only as the recommender has them."""
    for exported in (popularity, two_tower):
        answers = dict(zip(QUESTIONS, ask(runtime, exported, QUESTIONS.values())["item_ids"].tolist(), strict=True))
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


def test_a_row_answers_alone_as_in_a_batch(runtime, exported):
    together = ask(runtime, exported, QUESTIONS.values())
    for row, question in enumerate(QUESTIONS.values()):
        alone = ask(runtime, exported, [question])
        assert_same(alone, {name: values[row : row + 1] for name, values in together.items()})


@pytest.mark.parametrize("width", [20, 33])
def test_padding_changes_nothing(runtime, exported, width):
    narrow = ask(runtime, exported, QUESTIONS.values())
    wide = ask(runtime, exported, QUESTIONS.values(), history=width, exclude=width)
    assert_same(wide, narrow)
    leading = [(user, ["", *history], ["", *exclude]) for user, history, exclude in QUESTIONS.values()]
    assert_same(ask(runtime, exported, leading), narrow)


def test_the_default_is_retrieve(runtime, exported):
    inputs = {"user_id": ["用户3"], "history": [["item1"]], "exclude_item_ids": [[]]}
    default = runtime.run(exported.path, "serving_default", **inputs)
    assert_same(default, runtime.run(exported.path, "retrieve", **inputs))


def test_an_empty_batch(runtime, exported):
    empty = np.empty((0, 0), object)
    answer = runtime.run(exported.path, "retrieve", user_id=[], history=empty, exclude_item_ids=empty)
    assert answer["item_ids"].shape == answer["scores"].shape == (0, len(ITEMS))


def test_the_core_alone(runtime, exported):
    """`retrieve_ids` reads nothing stored, and indices that do not exist are nothing."""
    answer = runtime.run(
        exported.path,
        "retrieve_ids",
        user=[1, -7, 10**6],
        history=[[0, 0, 0, 0], [3, 0, 10**6, 5], [3, 5, 0, 0]],
        exclude=[[0, 0, 0], [1, -1, 10**6], [1, 0, 0]],
    )
    popular = np.argsort(-exported.recommender.catalogue.counts[1:], kind="stable") + 1
    assert answer["items"][0].tolist() == popular.tolist()
    assert answer["items"][1].tolist() == answer["items"][2].tolist()
    assert 1 not in answer["items"][1]
    assert (answer["items"][1] == 0).sum() == 1
    assert np.isfinite(answer["scores"]).all()


def test_embeddings(runtime, two_tower):
    recommender = two_tower.recommender
    users, items = recommender.catalogue.users, recommender.catalogue.items
    given = [["", "item1", "unheard of", "电影一"], ["", "", "", ""], ["", "", "", ""]]
    asked = ["用户3", "用户5", "nobody"]
    answer = runtime.run(two_tower.path, "embed_query", user_id=asked, history=given)
    stored = recommender.catalogue.histories.newest(4)[users.lookup(["用户5"])[0]]
    history = np.array([[*items.lookup(["item1", "电影一"]), 0, 0], stored, [0, 0, 0, 0]], np.int32)
    expected = recommender.query_model({"user": users.lookup(asked), "history": history})
    np.testing.assert_allclose(answer["embedding"], expected, rtol=1e-5, atol=1e-6)

    answer = runtime.run(two_tower.path, "embed_items", item_ids=["电影一", "unheard of", "item7", ""])
    expected = recommender.index.vectors.numpy()[items.lookup(["电影一", "", "item7", ""])]
    expected[[1, 3]] = 0
    np.testing.assert_array_equal(answer["embeddings"], expected)


def test_a_query_times_the_items_is_the_score(runtime, two_tower):
    inputs = {"user_id": ["用户3"], "history": [["item1"]]}
    best = runtime.run(two_tower.path, "retrieve", **inputs, exclude_item_ids=[[""]])
    query = runtime.run(two_tower.path, "embed_query", **inputs)["embedding"][0]
    items = runtime.run(two_tower.path, "embed_items", item_ids=best["item_ids"][0])["embeddings"]
    left = best["item_ids"][0] != ""
    np.testing.assert_allclose((items @ query)[left], best["scores"][0][left], rtol=1e-4, atol=1e-5)


def test_similar_items(runtime, two_tower):
    asked = [*ITEMS, "unheard of", ""]
    exclude = [["item7", ""]] * len(asked)
    answer = runtime.run(two_tower.path, "similar_items", item_id=asked, exclude_item_ids=exclude)
    vectors = runtime.run(two_tower.path, "embed_items", item_ids=ITEMS)["embeddings"]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for row, item in enumerate(ITEMS):
        cosines = dict(zip(ITEMS, vectors @ vectors[row], strict=True))
        left = sorted(set(ITEMS) - {item, "item7"}, key=cosines.get, reverse=True)
        found = answer["item_ids"][row].tolist()
        assert found == [*left, *[""] * (len(ITEMS) - len(left))]
        np.testing.assert_allclose(answer["scores"][row, : len(left)], [cosines[i] for i in left], rtol=1e-4, atol=1e-5)
    assert not answer["item_ids"][len(ITEMS) :].any()
    assert (answer["scores"][len(ITEMS) :] == LOWEST).all()

"""What the clients answer, against a server in a process of its own."""

import grpc
import numpy as np
import pytest
from clients import assert_same_items
from made_data import GREEDY, ITEMS

from tfllmrec_client import InputError, RequestError

QUESTIONS = {
    "known user": ("用户3", [], []),
    "known user with a history": ("用户3", ["item1", "电影一"], []),
    "known user with a long history": ("用户5", [], []),
    "new user with a history": ("nobody", ["item1", "电影一"], []),
    "history alone": ("", ["🎬🍿", "a b|c", 'say "hi"'], []),
    "history longer than the model reads": ("", ITEMS[:7], []),
    "neither": ("", [], []),
    "new user": ("nobody", [], ["item2"]),
    "nothing at the start": ("", ["", "item1", "item2"], []),
    "nothing in the middle": ("", ["item1", "", "item2"], ["", "item5"]),
    "unknown items": ("", ["unheard of", "item1", "未知"], ["never", "item5"]),
    "exclusions": ("用户3", ["item1"], ["电影一", "🎬🍿", "item7"]),
    "exclusions of a known user": ("用户2", [], ["item1", "item4"]),
    "two left": (GREEDY, [], []),
    "one left": (GREEDY, [], ["item7"]),
    "none left": ("everything", [], []),
    "all excluded": ("用户3", [], ITEMS),
}
STRANGE = ["用户3 ", "用户3\0", "\0", "a\0b", "👩‍🚀", "\u202e", "\n", "é", "x" * 100_000]


@pytest.fixture
def client(connect):
    return connect()


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_answers_are_the_recommenders(client, models, question):
    asked, exclude = [[one] for one in question[:2]], [question[2]]
    assert_same_items(client.recommend(*asked, exclude=exclude), models.recommended(*asked, exclude=exclude))


def test_rows_of_all_lengths_answer_together_as_alone(client, models):
    users, histories, exclude = map(list, zip(*QUESTIONS.values(), strict=True))
    together = client.recommend(users, histories, exclude=exclude)
    alone = [client.recommend([user], [history], exclude=[hidden])[0] for user, history, hidden in QUESTIONS.values()]
    assert_same_items(together, alone)
    assert_same_items(together, models.recommended(users, histories, exclude=exclude))


def test_what_is_not_given(client, models):
    users = ["用户3", "nobody", GREEDY]
    histories = [["item1"], [], ["item2", "item3"]]
    assert_same_items(client.recommend(users), models.recommended(users))
    assert_same_items(client.recommend(users=users, exclude=histories), models.recommended(users, exclude=histories))
    assert_same_items(client.recommend(histories=histories), models.recommended(histories=histories))
    pairs = np.array([["item1", "item2"], ["电影一", ""]], object)
    assert_same_items(client.recommend(histories=pairs), models.recommended(histories=pairs))


@pytest.mark.parametrize("strange", STRANGE)
def test_strange_ids_are_unknown_ids(client, models, strange):
    assert_same_items(client.recommend([strange]), models.recommended([""]))
    assert_same_items(client.recommend(histories=[["item1", strange]]), models.recommended(histories=[["item1"]]))
    assert_same_items(client.recommend([""], exclude=[[strange]]), models.recommended([""]))


@pytest.mark.parametrize("item", ["item1\0", "电影一\0\0"])
def test_a_nul_at_the_end_makes_another_id(client, models, item):
    assert_same_items(client.recommend([""], exclude=[[item]]), models.recommended([""]))
    assert client.similar_items([item]) == [[]]


@pytest.mark.parametrize("arguments", [(["\ud800"],), (None, [["item1", "\ud800"]]), (["\udcff"], None)])
def test_half_a_character_can_be_mended(client, arguments):
    with pytest.raises(InputError):
        client.recommend(*arguments)


@pytest.mark.parametrize("k", [1, 3, 10])
@pytest.mark.parametrize("user", ["用户3", "nobody", GREEDY, "everything"])
def test_k_places_or_what_is_left(client, models, user, k):
    found = client.recommend([user], k=k)
    assert_same_items(found, models.recommended([user], k=k))
    left = {GREEDY: 2, "everything": 0}.get(user, 12)
    assert len(found[0]) == min(k, left - (2 + 3 if user == "用户3" else 0))


def test_no_rows_are_no_answers(client):
    assert client.recommend([]) == []
    assert client.recommend(histories=[]) == []
    assert client.recommend([], [], exclude=[]) == []
    assert client.similar_items([]) == []


@pytest.mark.parametrize("version", [1, 2])
def test_similar_items_are_those_of_the_model(connect, models, version):
    exclude = [["item7", *ITEMS[: row // 2]] for row in range(len(ITEMS))]
    found = connect(version=version).similar_items(ITEMS, exclude=exclude)
    width = max(map(len, exclude))
    padded = np.array([[*row, *[""] * (width - len(row))] for row in exclude])
    inputs = {"item_id": np.array(ITEMS), "exclude_item_ids": padded}
    encoded = {name: np.vectorize(str.encode, otypes=[object])(values) for name, values in inputs.items()}
    expected = models.in_process["films", version].run("similar_items", encoded)
    for row, places in enumerate(found):
        wanted = [item.decode() for item in expected["item_ids"][row] if item]
        assert wanted
        assert not {ITEMS[row], *exclude[row]} & set(wanted)
        assert_same_items(
            [places],
            [[(item, f"Title of {item}", score) for item, score in zip(wanted, expected["scores"][row], strict=False)]],
        )


def test_similar_items_of_what_is_unknown(client):
    known, unknown, nothing = client.similar_items(["item1", "unheard of", ""], k=3)
    assert (len(known), unknown, nothing) == (3, [], [])
    assert [place.score for place in known] == sorted((place.score for place in known), reverse=True)


def test_predict_gives_any_signature(client, models):
    recommender = models.recommenders["films", 2]
    found = client.predict("embed_items", {"item_ids": ["电影一", "unheard of"]})["embeddings"]
    (place,) = recommender.fitted_data.items.lookup(["电影一"])
    np.testing.assert_allclose(found, [recommender.index.vectors.numpy()[place], np.zeros(8)], rtol=1e-5, atol=1e-6)

    indices = {"user": [1], "history": [[3, 5, 0, 0]], "exclude": [[2]]}
    expected = models.in_process["films", 2].run(
        "retrieve_ids", {name: np.array(values, np.int32) for name, values in indices.items()}
    )
    found = client.predict("retrieve_ids", indices)
    assert found.keys() == expected.keys()
    assert found["items"].dtype == np.int32
    assert found["items"].tolist() == expected["items"].tolist()
    np.testing.assert_allclose(found["scores"], expected["scores"], rtol=1e-5, atol=1e-6)

    texts = client.predict("retrieve", {"user_id": ["用户3"], "history": [["item1"]], "exclude_item_ids": [[b"item2"]]})
    wanted = models.recommended(["用户3"], [["item1"]], exclude=[["item2"]])[0]
    assert [title for title in texts["titles"][0] if title] == [title for _, title, _ in wanted]


def test_the_status(connect):
    assert connect().status() == {1: "AVAILABLE", 2: "AVAILABLE"}
    assert connect(version=1).status() == {1: "AVAILABLE"}
    assert connect(label="canary").status() == {2: "AVAILABLE"}
    assert connect("broken").status() == {1: "END"}


@pytest.mark.parametrize(
    ("options", "version"), [({}, 2), ({"version": 1}, 1), ({"version": 2}, 2), ({"label": "stable"}, 1)]
)
def test_versions_and_labels(connect, models, options, version):
    users = ["用户3", "nobody"]
    expected = models.recommended(users, [["item1"], ["item2"]], version=version)
    assert_same_items(connect(**options).recommend(users, [["item1"], ["item2"]]), expected)


def test_another_model(connect, models):
    popular = connect("popular")
    assert_same_items(popular.recommend(["用户3"]), models.recommended(["用户3"], model="popular", version=1))
    with pytest.raises(RequestError, match="similar_items") as refusal:
        popular.similar_items(["item1"])
    assert refusal.value.code is grpc.StatusCode.FAILED_PRECONDITION

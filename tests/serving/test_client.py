"""The client, against a server in a process of its own."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
from made_data import GREEDY, ITEMS

from tfllmrec.errors import InputError
from tfllmrec.serving import Client, RecommendedItem, RequestError

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


@pytest.fixture(scope="module")
def client(server):
    with Client(server.process.grpc_address, "films", timeout=60) as asked:
        yield asked


def assert_places(found, expected):
    """Rows of places, the scores as near as float32 sums are."""
    assert len(found) == len(expected)
    for places, wanted in zip(found, expected, strict=True):
        assert all(isinstance(place, RecommendedItem) for place in places)
        assert [place[:2] for place in places] == [place[:2] for place in wanted]
        np.testing.assert_allclose([place[2] for place in places], [place[2] for place in wanted], 1e-4, 1e-5)


# ---- answers


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_answers_are_the_recommenders(client, models, question):
    asked, exclude = [[one] for one in question[:2]], [question[2]]
    assert_places(client.recommend(*asked, exclude=exclude), models.recommended(*asked, exclude=exclude))


def test_rows_of_all_lengths_answer_together_as_alone(client, models):
    users, histories, exclude = map(list, zip(*QUESTIONS.values(), strict=True))
    together = client.recommend(users, histories, exclude=exclude)
    alone = [client.recommend([user], [history], exclude=[hidden])[0] for user, history, hidden in QUESTIONS.values()]
    assert_places(together, alone)
    assert_places(together, models.recommended(users, histories, exclude=exclude))


def test_what_is_not_given(client, models):
    users = ["用户3", "nobody", GREEDY]
    histories = [["item1"], [], ["item2", "item3"]]
    assert_places(client.recommend(users), models.recommended(users))
    assert_places(client.recommend(users=users, exclude=histories), models.recommended(users, exclude=histories))
    assert_places(client.recommend(histories=histories), models.recommended(histories=histories))
    pairs = np.array([["item1", "item2"], ["电影一", ""]], object)
    assert_places(client.recommend(histories=pairs), models.recommended(histories=pairs))


@pytest.mark.parametrize("strange", STRANGE)
def test_strange_ids_are_unknown_ids(client, models, strange):
    assert_places(client.recommend([strange]), models.recommended([""]))
    assert_places(client.recommend(histories=[["item1", strange]]), models.recommended(histories=[["item1"]]))
    assert_places(client.recommend([""], exclude=[[strange]]), models.recommended([""]))


@pytest.mark.parametrize("item", ["item1\0", "电影一\0\0"])
def test_a_nul_at_the_end_makes_another_id(client, models, item):
    assert_places(client.recommend([""], exclude=[[item]]), models.recommended([""]))
    assert client.similar_items([item]) == [[]]


@pytest.mark.parametrize("arguments", [(["\ud800"],), (None, [["item1", "\ud800"]]), (["\udcff"], None)])
def test_half_a_character_can_be_mended(client, arguments):
    with pytest.raises(InputError):
        client.recommend(*arguments)


@pytest.mark.parametrize("k", [1, 3, 10])
@pytest.mark.parametrize("user", ["用户3", "nobody", GREEDY, "everything"])
def test_k_places_or_what_is_left(client, models, user, k):
    found = client.recommend([user], k=k)
    assert_places(found, models.recommended([user], k=k))
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
        assert_places(
            [places],
            [[(item, f"Title of {item}", score) for item, score in zip(wanted, expected["scores"][row], strict=False)]],
        )


def test_similar_items_of_what_is_unknown(client):
    known, unknown, nothing = client.similar_items(["item1", "unheard of", ""], k=3)
    assert (len(known), unknown, nothing) == (3, [], [])
    assert [place.score for place in known] == sorted((place.score for place in known), reverse=True)


def test_predict_gives_any_signature(client, models):
    recommender = models.recommenders["films", 2]
    found = client.predict("embed_items", item_ids=["电影一", "unheard of"])["embeddings"]
    (place,) = recommender.catalogue.items.lookup(["电影一"])
    np.testing.assert_allclose(found, [recommender.index.vectors.numpy()[place], np.zeros(8)], rtol=1e-5, atol=1e-6)

    indices = {"user": [1], "history": [[3, 5, 0, 0]], "exclude": [[2]]}
    expected = models.in_process["films", 2].run(
        "retrieve_ids", {name: np.array(values, np.int32) for name, values in indices.items()}
    )
    found = client.predict("retrieve_ids", **indices)
    assert found.keys() == expected.keys()
    assert found["items"].dtype == np.int32
    assert found["items"].tolist() == expected["items"].tolist()
    np.testing.assert_allclose(found["scores"], expected["scores"], rtol=1e-5, atol=1e-6)

    texts = client.predict("retrieve", user_id=["用户3"], history=[["item1"]], exclude_item_ids=[[b"item2"]])
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
    assert_places(connect(**options).recommend(users, [["item1"], ["item2"]]), expected)


def test_another_model(connect, models):
    popular = connect("popular")
    assert_places(popular.recommend(["用户3"]), models.recommended(["用户3"], model="popular", version=1))
    with pytest.raises(RequestError, match="similar_items") as refusal:
        popular.similar_items(["item1"])
    assert refusal.value.code is grpc.StatusCode.FAILED_PRECONDITION


def test_threads_share_a_client(client, models):
    questions = list(QUESTIONS.values()) * 8
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda one: client.recommend([one[0]], [one[1]], exclude=[one[2]])[0], questions))
    users, histories, exclude = map(list, zip(*questions, strict=True))
    assert_places(found, models.recommended(users, histories, exclude=exclude))


# ---- what is refused


def test_k_beyond_the_export_says_both_numbers(client):
    for ask in (lambda: client.recommend(["用户3"], k=11), lambda: client.similar_items(["item1"], k=11)):
        with pytest.raises(RequestError, match=r"\b11\b.*\b10\b") as refusal:
            ask()
        assert refusal.value.code is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("k", [0, -1])
def test_k_below_one(client, k):
    for ask in (lambda: client.recommend(["用户3"], k=k), lambda: client.similar_items(["item1"], k=k)):
        with pytest.raises(InputError, match=f"k is {k}"):
            ask()


@pytest.mark.parametrize(
    "arguments",
    [
        {"users": "用户3"},
        {"histories": "item1"},
        {"histories": ["item1"]},
        {"users": ["用户3"], "exclude": ["item1"]},
        {"users": ["用户3"], "exclude": "item1"},
        {"users": ["用户3"], "histories": [["item1"], ["item2"]]},
        {"users": ["用户3", "用户4"], "exclude": [["item1"]]},
        {},
        {"exclude": [["item1"]]},
    ],
)
def test_questions_that_are_none(client, models, refused_alike, arguments):
    refused_alike(client.recommend, models.recommenders["films", 2].recommend, arguments)


@pytest.mark.parametrize("arguments", [("item1",), (["item1"],), (["item1", "item2"],)])
def test_similar_items_that_are_no_question(client, arguments):
    with pytest.raises(InputError):
        client.similar_items(*arguments, exclude="item2")
    with pytest.raises(InputError):
        client.similar_items(*arguments, exclude=[["item2"]] * 3)


@pytest.mark.parametrize(
    ("options", "code", "word"),
    [
        ({"model": "filmz"}, grpc.StatusCode.NOT_FOUND, "filmz"),
        ({"version": 7}, grpc.StatusCode.NOT_FOUND, "7"),
        ({"label": "beta"}, grpc.StatusCode.INVALID_ARGUMENT, "beta"),
        ({"model": ""}, grpc.StatusCode.INVALID_ARGUMENT, "model"),
    ],
)
def test_models_that_are_not_there(connect, options, code, word):
    asked = connect(**options)
    for ask in (lambda: asked.recommend([""]), asked.status, lambda: asked.predict("embed_items", item_ids=["a"])):
        with pytest.raises(RequestError, match=word) as refusal:
            ask()
        assert refusal.value.code is code
        assert len(str(refusal.value).splitlines()) == 1


@pytest.mark.parametrize(
    "inputs",
    [
        {"item_ids": [["a"], ["b", "c"]]},
        {"item_ids": [1]},
        {"item_ids": [1.5]},
        {"item_ids": np.array([1j])},
        {"items": ["a"]},
        {},
    ],
)
def test_inputs_that_do_not_fit(client, inputs):
    with pytest.raises(InputError) as refusal:
        client.predict("embed_items", **inputs)
    assert len(str(refusal.value).splitlines()) == 1


def test_a_version_or_a_label_not_both(server):
    with pytest.raises(InputError, match="not both"):
        Client(server.process.grpc_address, "films", version=1, label="stable")


@pytest.mark.parametrize("ask", ["recommend", "similar_items"])
def test_an_answer_that_takes_too_long(connect, ask):
    many = ["item1"] * 20_000  # gRPC rounds such a time-out up, and one row might arrive in time
    for client, options in ((connect(timeout=1e-6), {}), (connect(), {"timeout": 1e-6})):
        with pytest.raises(RequestError, match="1e-06 s") as refusal:
            getattr(client, ask)(many, **options)
        assert refusal.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert client.server in str(refusal.value)
        assert len(getattr(client, ask)(many, timeout=60)) == len(many)


def test_a_server_that_says_nothing():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with Client(address, "films", timeout=0.2) as client, pytest.raises(RequestError, match=address) as refusal:
            client.recommend(["item1"])
    assert refusal.value.code is grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.fixture
def nobody():
    """The address of a port that somebody holds and nobody serves."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"


def test_no_server(nobody):
    with Client(nobody, "films", timeout=60) as client:
        for ask in (lambda: client.recommend([""]), client.status):
            with pytest.raises(RequestError, match=nobody) as refusal:
                ask()
            assert refusal.value.code is grpc.StatusCode.UNAVAILABLE
            assert len(str(refusal.value).splitlines()) == 1


def test_the_port_of_rest(server):
    address = server.url.removeprefix("http://")
    with Client(address, "films", timeout=60) as client, pytest.raises(RequestError, match=address) as refusal:
        client.recommend([""])
    assert refusal.value.code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNIMPLEMENTED)
    assert "port" in str(refusal.value)
    assert len(str(refusal.value).splitlines()) == 1


# ---- the command


def test_recommend_asks_a_server(run, server, models):
    asked = ["recommend", "--server", server.process.grpc_address, "--model", "films", "--user", "用户3"]
    status, printed, told = run(*asked, "--history", "item1,电影一", "--exclude", "item2,item3", "-k", 4, "--json")
    assert (status, told) == (0, "")
    rows = json.loads(printed)
    assert [list(row) for row in rows] == [["rank", "item_id", "title", "score"]] * 4
    assert [row["rank"] for row in rows] == [1, 2, 3, 4]
    expected = models.recommended(["用户3"], [["item1", "电影一"]], exclude=[["item2", "item3"]], k=4)
    assert_places([[RecommendedItem(row["item_id"], row["title"], row["score"]) for row in rows]], expected)

    status, printed, _ = run(*asked, "-k", 2)
    first = models.recommended(["用户3"], k=2)[0]
    assert status == 0
    assert [title in printed for _, title, _ in first] == [True, True]


@pytest.mark.parametrize(
    ("server_is", "arguments", "sentence"),
    [
        ("there", ["--model", "filmz", "--user", "a"], "filmz"),
        ("there", ["--model", "films", "--user", "a", "-k", "11"], "k is 11"),
        ("there", ["--model", "films", "--user", "a", "-k", "0"], "k is 0"),
        ("there", ["--model", "films"], "--user, --history, or both"),
        ("there", ["--user", "a"], "--model NAME"),
        ("elsewhere", ["--model", "films", "--user", "a"], "127.0.0.1:"),
    ],
)
def test_what_a_server_refuses_is_one_sentence(run, server, nobody, server_is, arguments, sentence):
    address = server.process.grpc_address if server_is == "there" else nobody
    status, printed, told = run("recommend", "--server", address, *arguments)
    assert (status, printed) == (2, "")
    assert sentence in told
    assert told.count("\n") == 1

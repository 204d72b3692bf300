"""Results of both clients, from a server in another process."""

import grpc
import numpy as np
import pytest
from clients import assert_same_items
from small_data import COLD, EVERYTHING, GREEDY, ITEMS

from tfllmrec_client import InputError, RequestError

REQUESTS = {
    "known user": ("用户3", [], []),
    "known user with a history": ("用户3", ["item1", "电影一"], []),
    "known user with a long history": ("用户5", [], []),
    "new user with a history": ("unknown", ["item1", "电影一"], []),
    "history alone": ("", ["🎬🍿", "a b|c", 'say "hi"'], []),
    "history longer than the model reads": ("", ITEMS[:7], []),
    "neither user nor history": ("", [], []),
    "new user": ("unknown", [], ["item2"]),
    "empty id first": ("", ["", "item1", "item2"], []),
    "empty id between others": ("", ["item1", "", "item2"], ["", "item5"]),
    "unknown items": ("", ["unheard of", "item1", "未知"], ["never", "item5"]),
    "exclusions": ("用户3", ["item1"], ["电影一", "🎬🍿", "item7"]),
    "exclusions of a known user": ("用户2", [], ["item1", "item4"]),
    "two items left": (GREEDY, [], []),
    "one item left": (GREEDY, [], ["item7"]),
    "no item left": (EVERYTHING, [], [COLD]),
    "all items excluded": ("用户3", [], ITEMS),
}
UNUSUAL = ["用户3 ", "用户3\0", "\0", "a\0b", "👩‍🚀", "\u202e", "\n", "é", "x" * 100_000]


@pytest.fixture
def client(connect):
    return connect()


@pytest.mark.parametrize("request_row", REQUESTS.values(), ids=REQUESTS)
def test_results_equal_the_recommenders(client, models, request_row):
    arguments, exclude = [[part] for part in request_row[:2]], [request_row[2]]
    assert_same_items(client.recommend(*arguments, exclude=exclude), models.recommended(*arguments, exclude=exclude))


def test_rows_of_different_lengths_have_the_results_of_single_rows(client, models):
    users, histories, exclude = map(list, zip(*REQUESTS.values(), strict=True))
    results = client.recommend(users, histories, exclude=exclude)
    single = [
        client.recommend([user], [history], exclude=[excluded])[0] for user, history, excluded in REQUESTS.values()
    ]
    assert_same_items(results, single)
    assert_same_items(results, models.recommended(users, histories, exclude=exclude))


def test_arguments_can_be_omitted(client, models):
    users = ["用户3", "unknown", GREEDY]
    histories = [["item1"], [], ["item2", "item3"]]
    assert_same_items(client.recommend(users), models.recommended(users))
    assert_same_items(client.recommend(users=users, exclude=histories), models.recommended(users, exclude=histories))
    assert_same_items(client.recommend(histories=histories), models.recommended(histories=histories))
    pairs = np.array([["item1", "item2"], ["电影一", ""]], object)
    assert_same_items(client.recommend(histories=pairs), models.recommended(histories=pairs))


def test_one_pass_iterables_have_the_results_of_lists(client):
    def once(values):
        return (value if isinstance(value, str) else once(value) for value in values)

    users, rows = ["用户3", "unknown"], [["item1", "item2"], ["电影一"]]
    assert client.recommend(once(users), once(rows), exclude=once(rows)) == client.recommend(users, rows, exclude=rows)
    assert client.similar_items(once(users), exclude=once(rows)) == client.similar_items(users, exclude=rows)
    assert client.rank(once(rows), once(users), once(rows)).columns() == client.rank(rows, users, rows).columns()
    assert client.embed_items(once(rows[0])).item_ids == rows[0]
    assert client.embed_queries(once(users), map(iter, rows)).user_ids == users
    outputs = (client.predict("embed_items", {"item_ids": ids}) for ids in (once(rows[0]), rows[0]))
    np.testing.assert_array_equal(*(output["embeddings"] for output in outputs))


@pytest.mark.parametrize("unusual", UNUSUAL)
def test_unusual_ids_are_unknown(client, models, unusual):
    assert_same_items(client.recommend([unusual]), models.recommended([""]))
    assert_same_items(client.recommend(histories=[["item1", unusual]]), models.recommended(histories=[["item1"]]))
    assert_same_items(client.recommend([""], exclude=[[unusual]]), models.recommended([""]))


@pytest.mark.parametrize("item", ["item1\0", "电影一\0\0"])
def test_a_trailing_nul_is_part_of_an_id(client, models, item):
    assert_same_items(client.recommend([""], exclude=[[item]]), models.recommended([""]))
    assert client.similar_items([item]) == [[]]


@pytest.mark.parametrize("arguments", [(["\ud800"],), (None, [["item1", "\ud800"]]), (["\udcff"], None)])
def test_a_lone_surrogate_is_refused(client, arguments):
    with pytest.raises(InputError, match="is not valid Unicode"):
        client.recommend(*arguments)


@pytest.mark.parametrize("k", [1, 3, 10])
@pytest.mark.parametrize("user", ["用户3", "unknown", GREEDY, EVERYTHING])
def test_a_row_has_k_items_or_those_that_are_left(client, models, user, k):
    results = client.recommend([user], k=k)
    assert_same_items(results, models.recommended([user], k=k))
    left = {GREEDY: 2, EVERYTHING: 1}.get(user, 12)
    assert len(results[0]) == min(k, left - (2 + 3 if user == "用户3" else 0))


def test_no_rows_have_no_results(client):
    assert client.recommend([]) == []
    assert client.recommend(histories=[]) == []
    assert client.recommend([], [], exclude=[]) == []
    assert client.similar_items([]) == []


@pytest.mark.parametrize("version", [1, 2])
def test_similar_items_equal_those_in_process(connect, models, version):
    exclude = [["item7", *ITEMS[: row // 2]] for row in range(len(ITEMS))]
    results = connect(version=version).similar_items(ITEMS, exclude=exclude)
    width = max(map(len, exclude))
    padded = np.array([[*row, *[""] * (width - len(row))] for row in exclude])
    inputs = {"item_id": np.array(ITEMS), "exclude_item_ids": padded}
    encoded = {name: np.vectorize(str.encode, otypes=[object])(values) for name, values in inputs.items()}
    outputs = models.in_process["films", version].run("similar_items", encoded)
    for row, items in enumerate(results):
        ids = [item.decode() for item in outputs["item_ids"][row] if item]
        assert ids
        assert not {ITEMS[row], *exclude[row]} & set(ids)
        scores = outputs["scores"][row][: len(ids)]
        expected = [(item, f"Title of {item}", score) for item, score in zip(ids, scores, strict=True)]
        assert_same_items([items], [expected])


def test_an_unknown_item_has_no_similar_items(client):
    known, unknown, empty = client.similar_items(["item1", "unheard of", ""], k=3)
    assert (len(known), unknown, empty) == (3, [], [])
    assert [item.score for item in known] == sorted((item.score for item in known), reverse=True)


def test_status_has_the_state_of_every_version(connect):
    assert connect().status() == {1: "AVAILABLE", 2: "AVAILABLE"}
    assert connect(version=1).status() == {1: "AVAILABLE"}
    assert connect(label="canary").status() == {2: "AVAILABLE"}
    assert connect("broken").status() == {1: "END"}


@pytest.mark.parametrize(
    ("options", "version"), [({}, 2), ({"version": 1}, 1), ({"version": 2}, 2), ({"label": "stable"}, 1)]
)
def test_a_version_or_a_label_selects_the_model(connect, models, options, version):
    users = ["用户3", "unknown"]
    expected = models.recommended(users, [["item1"], ["item2"]], version=version)
    assert_same_items(connect(**options).recommend(users, [["item1"], ["item2"]]), expected)


def test_a_model_without_vectors_has_no_similar_items(connect, models):
    popular = connect("popular")
    assert_same_items(popular.recommend(["用户3"]), models.recommended(["用户3"], model="popular", version=1))
    with pytest.raises(RequestError, match="similar_items") as error:
        popular.similar_items(["item1"])
    assert error.value.code is grpc.StatusCode.FAILED_PRECONDITION

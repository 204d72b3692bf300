"""`next_items` of both clients and over REST: the items that follow a history, without a user."""

import grpc
import numpy as np
import pytest
from clients import assert_same_items
from small_data import ITEMS

from tfllmrec_client import InputError, RequestError, ScoredItem

REQUESTS = {
    "a history": (["🎬🍿", "a b|c", 'say "hi"'], []),
    "the history reversed": (['say "hi"', "a b|c", "🎬🍿"], []),
    "history longer than the model reads": (ITEMS[:7], []),
    "empty history": ([], []),
    "empty ids": (["", ""], [""]),
    "unknown items": (["unheard of"], ["item2"]),
    "unknown among known items": (["", "item1", "未知", "item2", ""], ["never", "item5", ""]),
    "exclusions": (["item1"], ["电影一", "🎬🍿", "item7"]),
    "two items left": (ITEMS[:-2], []),
    "one item left": (ITEMS[:-2], ["item7"]),
    "no item left": (ITEMS, []),
    "all items excluded": (["item1"], ITEMS),
}
HISTORIES, EXCLUDE = map(list, zip(*REQUESTS.values(), strict=True))


@pytest.fixture
def client(connect):
    return connect("next")


@pytest.fixture(scope="module")
def recommended(models):
    """Return a function that returns the items of the recommender: (histories, exclude=..., k=...)."""
    return lambda *arguments, **options: models.recommended(None, *arguments, model="next", version=1, **options)


def test_results_equal_the_recommenders(client, recommended):
    rows = client.next_items(HISTORIES, exclude=EXCLUDE)
    assert_same_items(rows, recommended(HISTORIES, exclude=EXCLUDE))
    single = [client.next_items([history], exclude=[excluded])[0] for history, excluded in REQUESTS.values()]
    assert_same_items(rows, single)
    by_popularity = client.recommend([""])[0]
    results = dict(zip(REQUESTS, rows, strict=True))
    assert results["empty history"] == results["empty ids"] == by_popularity
    assert results["no item left"] == results["all items excluded"] == []
    assert [item.item_id for item in results["one item left"]] == ["item6"]
    assert results["a history"] != results["the history reversed"]


def test_exclusions_can_be_omitted(client, recommended):
    histories = [["item1", "item2"], ["电影一"]]
    assert_same_items(client.next_items(histories), recommended(histories))
    assert_same_items(client.next_items(histories=np.array(histories[:1], object)), recommended(histories[:1]))
    assert client.next_items([]) == []


@pytest.mark.parametrize("k", [1, 3, 10])
def test_a_row_has_k_items_or_those_that_are_left(client, recommended, k):
    histories = [["item1"], ITEMS[:-2]]
    results = client.next_items(histories, k)
    assert list(map(len, results)) == [k, min(k, 2)]
    assert_same_items(results, recommended(histories, k=k))


def test_the_model_also_recommends_to_users(client, models):
    users = ["用户3", "unknown"]
    expected = models.recommended(users, [[], ["item1"]], model="next", version=1)
    assert_same_items(client.recommend(users, [[], ["item1"]]), expected)


@pytest.mark.parametrize("signature", [{}, {"signature_name": "next_items"}, {"signature_name": "serving_default"}])
def test_it_is_the_default_signature_over_rest(server, recommended, signature):
    row = {"history": ["item1", "电影一"], "exclude_item_ids": ["item2"]}
    status, response = server.http("/v1/models/next:predict", {**signature, "instances": [row]})
    assert status == 200
    (prediction,) = response["predictions"]
    expected = recommended([["item1", "电影一"]], exclude=[["item2"]])
    items = zip(prediction["item_ids"], prediction["titles"], prediction["scores"], strict=True)
    assert_same_items([[ScoredItem(*item) for item in items if item[0]]], expected)


@pytest.mark.parametrize("k", [0, -1])
def test_k_below_one_is_refused(client, k):
    with pytest.raises(InputError, match=f"next_items: k is {k}, and must be at least 1"):
        client.next_items([["item1"]], k)


def test_k_beyond_the_export_is_refused_with_both_numbers(client):
    with pytest.raises(RequestError, match=r"next_items: k is 11\b.*\btop_k=10;") as error:
        client.next_items([["item1"]], k=11)
    assert error.value.code is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    "arguments",
    [
        {"histories": "item1"},
        {"histories": ["item1"]},
        {"histories": [["item1"]], "exclude": ["item1"]},
        {"histories": [["item1"]], "exclude": "item1"},
        {"histories": [["item1"]], "exclude": [["item1"], []]},
        {"histories": [[1]]},
    ],
)
def test_invalid_arguments_have_the_error_of_the_recommender(client, models, arguments):
    with pytest.raises(InputError) as error:
        client.next_items(**arguments)
    with pytest.raises(InputError) as expected:
        models.recommenders["next", 1].recommend(**arguments)
    assert str(error.value) == str(expected.value).replace("recommend:", "next_items:")


@pytest.mark.parametrize("model", ["films", "popular"])
def test_a_model_without_the_signature_refuses(connect, model):
    with pytest.raises(RequestError, match="next_items") as error:
        connect(model).next_items([["item1"]])
    assert error.value.code is grpc.StatusCode.FAILED_PRECONDITION
    assert len(str(error.value).splitlines()) == 1


def test_a_request_that_exceeds_the_timeout_fails(client):
    many = [["item1"]] * 20_000
    with pytest.raises(RequestError, match="1e-06 s") as error:
        client.next_items(many, timeout=1e-6)
    assert error.value.code is grpc.StatusCode.DEADLINE_EXCEEDED

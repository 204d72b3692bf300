"""`Client.next_items` and the same over REST: what follows a history, without its user."""

import grpc
import numpy as np
import pytest
from clients import assert_same_items
from made_data import ITEMS

from tfllmrec_client import InputError, RequestError, ScoredItem

QUESTIONS = {
    "a history": (["🎬🍿", "a b|c", 'say "hi"'], []),
    "the other way round": (['say "hi"', "a b|c", "🎬🍿"], []),
    "longer than the model reads": (ITEMS[:7], []),
    "nothing": ([], []),
    "nothing but nothing": (["", ""], [""]),
    "nothing but unknown items": (["unheard of"], ["item2"]),
    "unknown items among others": (["", "item1", "未知", "item2", ""], ["never", "item5", ""]),
    "exclusions": (["item1"], ["电影一", "🎬🍿", "item7"]),
    "two left": (ITEMS[:-2], []),
    "one left": (ITEMS[:-2], ["item7"]),
    "none left": (ITEMS, []),
    "all excluded": (["item1"], ITEMS),
}
HISTORIES, EXCLUDE = map(list, zip(*QUESTIONS.values(), strict=True))


@pytest.fixture
def client(connect):
    return connect("next")


@pytest.fixture(scope="module")
def recommended(models):
    """What the recommender says: (histories, exclude=..., k=...)."""
    return lambda *asked, **options: models.recommended(None, *asked, model="next", version=1, **options)


def test_answers_are_the_recommenders(client, recommended):
    together = client.next_items(HISTORIES, exclude=EXCLUDE)
    assert_same_items(together, recommended(HISTORIES, exclude=EXCLUDE))
    alone = [client.next_items([history], exclude=[hidden])[0] for history, hidden in QUESTIONS.values()]
    assert_same_items(together, alone)
    by_popularity = client.recommend([""])[0]
    answers = dict(zip(QUESTIONS, together, strict=True))
    assert answers["nothing"] == answers["nothing but nothing"] == by_popularity
    assert answers["none left"] == answers["all excluded"] == []
    assert [place.item_id for place in answers["one left"]] == ["item6"]
    assert answers["a history"] != answers["the other way round"]


def test_what_is_not_given(client, recommended):
    histories = [["item1", "item2"], ["电影一"]]
    assert_same_items(client.next_items(histories), recommended(histories))
    assert_same_items(client.next_items(histories=np.array(histories[:1], object)), recommended(histories[:1]))
    assert client.next_items([]) == []


@pytest.mark.parametrize("k", [1, 3, 10])
def test_k_places_or_what_is_left(client, recommended, k):
    histories = [["item1"], ITEMS[:-2]]
    found = client.next_items(histories, k)
    assert list(map(len, found)) == [k, min(k, 2)]
    assert_same_items(found, recommended(histories, k=k))


def test_the_model_recommends_to_users_as_well(client, models):
    users = ["用户3", "nobody"]
    expected = models.recommended(users, [[], ["item1"]], model="next", version=1)
    assert_same_items(client.recommend(users, [[], ["item1"]]), expected)


@pytest.mark.parametrize("signature", [{}, {"signature_name": "next_items"}, {"signature_name": "serving_default"}])
def test_over_rest_it_is_the_default(server, recommended, signature):
    row = {"history": ["item1", "电影一"], "exclude_item_ids": ["item2"]}
    status, answer = server.http("/v1/models/next:predict", {**signature, "instances": [row]})
    assert status == 200
    (found,) = answer["predictions"]
    expected = recommended([["item1", "电影一"]], exclude=[["item2"]])
    places = zip(found["item_ids"], found["titles"], found["scores"], strict=True)
    assert_same_items([[ScoredItem(*place) for place in places if place[0]]], expected)


# ---- what is refused


@pytest.mark.parametrize("k", [0, -1])
def test_k_below_one(client, k):
    with pytest.raises(InputError, match=f"next_items: k is {k}, and must be at least 1"):
        client.next_items([["item1"]], k)


def test_k_beyond_the_export_says_both_numbers(client):
    with pytest.raises(RequestError, match=r"next_items: k is 11\b.*\btop_k=10;") as refusal:
        client.next_items([["item1"]], k=11)
    assert refusal.value.code is grpc.StatusCode.INVALID_ARGUMENT


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
def test_questions_that_are_none(client, models, arguments):
    with pytest.raises(InputError) as refusal:
        client.next_items(**arguments)
    with pytest.raises(InputError) as expected:
        models.recommenders["next", 1].recommend(**arguments)
    assert str(refusal.value) == str(expected.value).replace("recommend:", "next_items:")


@pytest.mark.parametrize("model", ["films", "popular"])
def test_a_model_that_knows_no_next_items(connect, model):
    with pytest.raises(RequestError, match="next_items") as refusal:
        connect(model).next_items([["item1"]])
    assert refusal.value.code is grpc.StatusCode.FAILED_PRECONDITION
    assert len(str(refusal.value).splitlines()) == 1


def test_an_answer_that_takes_too_long(client):
    many = [["item1"]] * 20_000
    with pytest.raises(RequestError, match="1e-06 s") as refusal:
        client.next_items(many, timeout=1e-6)
    assert refusal.value.code is grpc.StatusCode.DEADLINE_EXCEEDED

"""`Client.recommend(scenarios=...)` and `Client.interests` against a server of a joint model."""

import grpc
import numpy as np
import pytest
from made_data import made_data

from tfllmrec import MultiTask
from tfllmrec.data import Dataset
from tfllmrec.export import export
from tfllmrec.serving import ServerProcess
from tfllmrec_client import InputError, RequestError

LOWEST = np.finfo(np.float32).min
OPTIONS = {"dim": 8, "units": 6, "expert_units": 4, "epochs": 1, "history_length": 4}


@pytest.fixture(scope="module")
def recommender(tiny_bert):
    """Two scenarios, labels in two scripts, and texts of users."""
    data = made_data()
    table = data.interactions.assign(scenario=[("书", "films")[number % 2] for number in data.item_indices])
    table["text"] = "film 电影"
    items = data.items.assign(categories=[("odd", "even|偶")[number % 2] for number in range(len(data.items))])
    whole = Dataset.from_frames(table, items)
    return MultiTask(tasks="next_item,interests", backbone=str(tiny_bert), **OPTIONS).fit(whole, verbose=0)


@pytest.fixture(scope="module")
def address(recommender, tmp_path_factory):
    folder = tmp_path_factory.mktemp("joint") / "shop"
    export(recommender, folder, top_k=5)
    with ServerProcess(folder) as server:
        yield server.grpc_address


@pytest.fixture
def client(client_class, address):
    with client_class(address, "shop", timeout=60) as client:
        yield client


def test_recommendations_in_a_scenario(client, recommender):
    users, histories, where = ["用户3", "nobody", ""], [[], ["item1", "电影一"], ["item1"]], ["书", "films", "films"]
    rows = client.recommend(users, histories, k=4, scenarios=where)
    table = recommender.recommend(users, histories, k=4, scenarios=where)
    assert [place.item_id for row in rows for place in row] == table["item_id"].tolist()
    np.testing.assert_allclose([place.score for row in rows for place in row], table["score"], rtol=1e-4, atol=1e-5)
    assert client.recommend(["用户3"], k=4, scenarios=["films"])[0] != rows[0]


def test_candidates_are_ranked_in_a_scenario(client, recommender):
    there = [item.item_id for item in client.recommend(["用户3"], k=5, scenarios=["films"])[0]]
    everything = recommender.fitted_data.items.tokens[1:].tolist()
    elsewhere = [
        item
        for item in everything
        if item not in recommender.recommend(histories=[[]], k=99, scenarios=["films"])["item_id"].tolist()
    ]
    scores = client.rank([[*there, elsewhere[0], "unheard of"], there[:1]], ["用户3", ""], scenarios=["films", "书"])
    assert scores[0][: len(there)] == sorted(scores[0][: len(there)], reverse=True)
    assert scores[0][len(there) :] == [LOWEST, LOWEST]
    assert scores[1] == [LOWEST]
    with pytest.raises(InputError, match="rank: shop has no scenario 'music'"):
        client.rank([there], ["用户3"], scenarios=["music"])
    with pytest.raises(InputError, match="rank: the rows do not match"):
        client.rank([there], ["用户3"], scenarios=["films", "films"])


def test_interests(client, recommender):
    (first, second) = client.interests(["用户3", ""], [[], ["item1"]], scenarios=["书", "films"])
    table = recommender.interests(["用户3", ""], [[], ["item1"]], scenarios=["书", "films"])
    assert [label for label, _ in first + second] == table["label"].tolist()
    np.testing.assert_allclose([score for _, score in first + second], table["score"], rtol=1e-4)


def test_interests_by_what_is_written(client, recommender):
    asked = {"users": ["用户3", ""], "scenarios": ["书", "films"], "texts": [[], ["花样", "年华"]]}
    table = recommender.interests(**asked)
    found = [place for row in client.interests(**asked) for place in row]
    assert [label for label, _ in found] == table["label"].tolist()
    np.testing.assert_allclose([score for _, score in found], table["score"], rtol=1e-4)


def test_a_scenario_that_nobody_knows(client):
    with pytest.raises(InputError, match="recommend: shop has no scenario 'music'; its model card lists those it has"):
        client.recommend(["用户3", "用户2"], scenarios=["书", "music"])
    with pytest.raises(InputError, match="interests: shop has no scenario ''"):
        client.interests(["用户3"], scenarios=[""])
    with pytest.raises(InputError, match="interests: the rows do not match"):
        client.interests(["用户3"], scenarios=["书", "films"])
    with pytest.raises(InputError, match="interests: give users, histories, or both"):
        client.interests(scenarios=["书"])
    with pytest.raises(InputError, match="no model reads both user_features and scenarios"):
        client.recommend(["用户3"], user_features=[["城市=北京"]], scenarios=["书"])


def test_a_scenario_has_to_be_named(client):
    for ask in (client.recommend, client.interests):
        with pytest.raises(RequestError) as refusal:
            ask(["用户3"])
        assert refusal.value.code in (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.INVALID_ARGUMENT)

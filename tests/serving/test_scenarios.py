"""Scenarios and interests in both clients, for a served multi-task model."""

import grpc
import numpy as np
import pytest

from tfllmrec_client import InputError, RequestError

LOWEST = np.finfo(np.float32).min


@pytest.fixture(scope="module")
def recommender(shared_fits, serve_model):
    """Return a model with two scenarios, labels in two scripts, and texts of users."""
    return serve_model("shop", shared_fits.scenarios(), top_k=5)


@pytest.fixture
def client(connect, recommender):
    return connect("shop")


def assert_same_labels(results, table):
    """Check that results have the labels and scores of a table of the recommender."""
    columns = results.columns()
    assert list(columns) == ["row", "user_id", "rank", "label", "score"]
    for name in ("row", "user_id", "label"):
        assert columns[name] == table[name].tolist()
    np.testing.assert_allclose(columns["score"], table["score"], rtol=1e-4)
    assert [label for row in results for label, _ in row] == columns["label"]


def test_recommendations_in_a_scenario_equal_those_in_process(client, recommender):
    users, histories = ["用户3", "unknown", ""], [[], ["item1", "电影一"], ["item1"]]
    scenarios = ["书", "films", "films"]
    rows = client.recommend(users, histories, k=4, scenarios=scenarios)
    table = recommender.recommend(users, histories, k=4, scenarios=scenarios)
    assert [item.item_id for row in rows for item in row] == table["item_id"].tolist()
    np.testing.assert_allclose([item.score for row in rows for item in row], table["score"], rtol=1e-4, atol=1e-5)
    assert client.recommend(["用户3"], k=4, scenarios=["films"])[0] != rows[0]


def test_candidates_outside_a_scenario_have_the_lowest_score(client, recommender):
    best = [item.item_id for item in client.recommend(["用户3"], k=5, scenarios=["films"])[0]]
    of_scenario = set(recommender.recommend(histories=[[]], k=99, scenarios=["films"])["item_id"])
    other = next(item for item in recommender.fitted_data.items.tokens[1:].tolist() if item not in of_scenario)
    scores = client.rank([[*best, other, "unheard of"], best[:1]], ["用户3", ""], scenarios=["films", "书"])
    assert scores[0][: len(best)] == sorted(scores[0][: len(best)], reverse=True)
    assert scores[0][len(best) :] == [LOWEST, LOWEST]
    assert scores[1] == [LOWEST]
    with pytest.raises(InputError, match=r"^rank: shop has no scenario 'music'"):
        client.rank([best], ["用户3"], scenarios=["music"])
    with pytest.raises(InputError, match=r"^rank: the rows do not match"):
        client.rank([best], ["用户3"], scenarios=["films", "films"])


def test_interests_equal_those_in_process(client, recommender):
    arguments = {"users": ["用户3", ""], "histories": [[], ["item1"]], "scenarios": ["书", "films"]}
    assert_same_labels(client.interests(**arguments), recommender.interests(**arguments))


def test_interests_from_texts_equal_those_in_process(client, recommender):
    arguments = {"users": ["用户3", ""], "scenarios": ["书", "films"], "texts": [[], ["花样", "年华"]]}
    assert_same_labels(client.interests(**arguments), recommender.interests(**arguments))


def test_an_unknown_scenario_is_refused(client):
    with pytest.raises(
        InputError, match=r"^recommend: shop has no scenario 'music'; its model card lists those it has"
    ):
        client.recommend(["用户3", "用户2"], scenarios=["书", "music"])
    with pytest.raises(InputError, match=r"^interests: shop has no scenario ''"):
        client.interests(["用户3"], scenarios=[""])


def test_invalid_arguments_are_refused(client):
    with pytest.raises(InputError, match=r"^interests: the rows do not match"):
        client.interests(["用户3"], scenarios=["书", "films"])
    with pytest.raises(InputError, match=r"^interests: give users, histories, or both"):
        client.interests(scenarios=["书"])
    with pytest.raises(InputError, match="no model reads both user_features and scenarios"):
        client.recommend(["用户3"], user_features=[["城市=北京"]], scenarios=["书"])


def test_a_missing_scenario_is_refused(client):
    for call in (client.recommend, client.interests):
        with pytest.raises(RequestError) as error:
            call(["用户3"])
        assert error.value.code in (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.INVALID_ARGUMENT)

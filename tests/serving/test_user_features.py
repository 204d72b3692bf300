"""User features in both clients, the command and REST, for models with and without features."""

import json
from dataclasses import replace

import grpc
import numpy as np
import pandas as pd
import pytest
from clients import assert_same_items
from small_data import ITEMS, small_data

from tfllmrec import Popularity
from tfllmrec.serving import RequestError, ScoredItem

BEIJING, SHANGHAI = "城市=北京", "城市=上海"


@pytest.fixture(scope="module")
def recommender(serve_model):
    """Return a model of popularity by city, which the shared server serves as "by_city"."""
    users = pd.DataFrame({"user_id": [f"用户{number}" for number in range(18)], "城市": ["北京", "上海"] * 9})
    data = replace(small_data(), users=users)
    return serve_model("by_city", Popularity(history_length=4, segment="城市").fit(data))


@pytest.fixture
def client(connect, recommender):
    return connect("by_city")


@pytest.fixture
def recommended(recommender):
    """Return a function that returns the items of the recommender row by row."""

    def recommended(*arguments, k=10, **options):
        table = recommender.recommend(*arguments, k=k, **options)
        items = [ScoredItem(*item) for item in table[["item_id", "title", "score"]].itertuples(index=False)]
        rows = table["row"].to_numpy()
        return [[items[position] for position in np.flatnonzero(rows == row)] for row in range(rows.max() + 1)]

    return recommended


def test_results_equal_the_recommenders(client, recommended):
    users = ["用户3", "用户3", "unknown", "", "", "用户2"]
    histories = [[], ["item1"], ["item1", "电影一"], [], [], []]
    features = [[], [BEIJING], ["age=3", "", SHANGHAI], [BEIJING], [SHANGHAI], ["x"]]
    exclude = [[], [], ["item2"], [], [], ["item3"]]
    results = client.recommend(users, histories, exclude=exclude, user_features=features)
    assert_same_items(results, recommended(users, histories, exclude=exclude, user_features=features))
    for *row, items in zip(users, histories, exclude, features, results, strict=True):
        user, history, excluded, user_features = ([part] for part in row)
        assert_same_items(client.recommend(user, history, exclude=excluded, user_features=user_features), [items])
    assert results[3] != results[4] != client.recommend([""])[0]


def test_arguments_can_be_omitted(client, recommended):
    features = [[BEIJING], [], [SHANGHAI, "unheard of"]]
    assert_same_items(client.recommend(user_features=features), recommended(user_features=features))
    users = ["用户3", "unknown", "用户4"]
    assert_same_items(client.recommend(users, user_features=[[]] * 3), client.recommend(users))
    assert_same_items(client.recommend(users, k=3), recommended(users, k=3))
    assert client.recommend(user_features=[]) == []


@pytest.mark.parametrize(
    "arguments",
    [
        {"user_features": BEIJING},
        {"user_features": [BEIJING]},
        {"users": ["用户3"], "user_features": [BEIJING]},
        {"users": ["用户3"], "user_features": [[BEIJING], []]},
        {"user_features": [[BEIJING, 25]]},
    ],
)
def test_invalid_features_have_the_error_of_the_recommender(client, recommender, assert_same_error, arguments):
    assert_same_error(client.recommend, recommender.recommend, arguments)


def test_a_model_without_features_refuses_them(connect, server, run):
    with pytest.raises(RequestError) as error:
        connect("popular").recommend(["用户3"], user_features=[[BEIJING]])
    assert error.value.code is grpc.StatusCode.FAILED_PRECONDITION
    assert "retrieve_with_features" in str(error.value)
    assert len(str(error.value).splitlines()) == 1
    command = ["recommend", "--server", server.process.grpc_address, "--model", "popular"]
    status, output, errors = run(*command, "--user", "用户3", "--features", BEIJING)
    assert (status, output, errors.count("\n")) == (2, "", 1)
    assert "retrieve_with_features" in errors


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        (["--features", BEIJING], {"user_features": [[BEIJING]]}),
        (["--features", f"age=3, {SHANGHAI}"], {"user_features": [[SHANGHAI]]}),
        (["--user", "用户3", "--features", BEIJING], {"users": ["用户3"], "user_features": [[BEIJING]]}),
        (["--user", "用户3", "--history", "item1"], {"users": ["用户3"], "histories": [["item1"]]}),
    ],
)
def test_results_of_the_command_equal_the_recommenders(server, run, recommended, options, arguments):
    command = ["recommend", "--server", server.process.grpc_address, "--model", "by_city", "-k", 4, "--json"]
    status, output, _ = run(*command, *options)
    assert status == 0
    items = [ScoredItem(row["item_id"], row["title"], row["score"]) for row in json.loads(output)]
    assert_same_items([items], recommended(**arguments, k=4))


def test_results_over_rest_equal_the_recommenders(server, recommended):
    rows = [
        {"user_id": "", "history": [""], "exclude_item_ids": [""], "user_features": [SHANGHAI]},
        {"user_id": "用户3", "history": [""], "exclude_item_ids": ["item1"], "user_features": [BEIJING]},
    ]
    body = {"signature_name": "retrieve_with_features", "instances": rows}
    status, response = server.http("/v1/models/by_city:predict", body)
    assert status == 200
    columns = ("item_ids", "titles", "scores")
    predictions = [zip(*(row[name] for name in columns), strict=True) for row in response["predictions"]]
    results = [[ScoredItem(*item) for item in items if item[0]] for items in predictions]
    options = {"exclude": [[], ["item1"]], "user_features": [[SHANGHAI], [BEIJING]]}
    assert_same_items(results, recommended(["", "用户3"], **options))
    assert {item.item_id for item in results[0]} <= set(ITEMS)

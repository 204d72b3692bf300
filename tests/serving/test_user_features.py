"""`Client.recommend(user_features=...)`, the command and REST, against a server of two models."""

import json
from dataclasses import replace

import grpc
import numpy as np
import pandas as pd
import pytest
from clients import assert_same_items
from made_data import ITEMS, made_data

from tfllmrec import Popularity
from tfllmrec.export import export
from tfllmrec.serving import Client, RequestError, ScoredItem, ServerProcess

CONFIG = """
model_config_list {{
  config {{ name: "told" base_path: "{folder}/told" model_platform: "tensorflow" }}
  config {{ name: "plain" base_path: "{folder}/plain" model_platform: "tensorflow" }}
}}
"""
BEIJING, SHANGHAI = "城市=北京", "城市=上海"


@pytest.fixture(scope="module")
def recommenders():
    """One that counts what is popular by city, and one that reads no features."""
    users = pd.DataFrame({"user_id": [f"用户{number}" for number in range(18)], "城市": ["北京", "上海"] * 9})
    data = replace(made_data(), users=users)
    options = {"told": {"segment": "城市"}, "plain": {}}
    return {name: Popularity(history_length=4, **chosen).fit(data) for name, chosen in options.items()}


@pytest.fixture(scope="module")
def told_server(recommenders, tmp_path_factory, asking):
    folder = tmp_path_factory.mktemp("told")
    for name, recommender in recommenders.items():
        export(recommender, folder / name, top_k=10)
    (folder / "models.config").write_text(CONFIG.format(folder=folder), encoding="utf-8")
    with ServerProcess("--model_config_file", folder / "models.config") as process:
        yield asking(process)


@pytest.fixture
def client(client_class, told_server):
    with client_class(told_server.process.grpc_address, "told", timeout=60) as client:
        yield client


@pytest.fixture
def recommended(recommenders):
    """Rows of (item, title, score), as the recommender has them."""

    def recommended(*asked, k=10, **options):
        table = recommenders["told"].recommend(*asked, k=k, **options)
        places = [ScoredItem(*place) for place in table[["item_id", "title", "score"]].itertuples(index=False)]
        rows = table["row"].to_numpy()
        return [[places[place] for place in np.flatnonzero(rows == row)] for row in range(rows.max() + 1)]

    return recommended


def test_answers_are_the_recommenders(client, recommended):
    users = ["用户3", "用户3", "nobody", "", "", "用户2"]
    histories = [[], ["item1"], ["item1", "电影一"], [], [], []]
    told = [[], [BEIJING], ["age=3", "", SHANGHAI], [BEIJING], [SHANGHAI], ["x"]]
    exclude = [[], [], ["item2"], [], [], ["item3"]]
    together = client.recommend(users, histories, exclude=exclude, user_features=told)
    assert_same_items(together, recommended(users, histories, exclude=exclude, user_features=told))
    for user, history, hidden, features, row in zip(users, histories, exclude, told, together, strict=True):
        assert_same_items(client.recommend([user], [history], exclude=[hidden], user_features=[features]), [row])
    assert together[3] != together[4] != client.recommend([""])[0]


def test_what_is_not_given(client, recommended):
    told = [[BEIJING], [], [SHANGHAI, "unheard of"]]
    assert_same_items(client.recommend(user_features=told), recommended(user_features=told))
    users = ["用户3", "nobody", "用户4"]
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
def test_questions_that_are_none(client, recommenders, assert_same_error, arguments):
    assert_same_error(client.recommend, recommenders["told"].recommend, arguments)


def test_a_model_that_reads_no_features(told_server, run):
    address = told_server.process.grpc_address
    with Client(address, "plain", timeout=60) as client, pytest.raises(RequestError) as refusal:
        client.recommend(["用户3"], user_features=[[BEIJING]])
    assert refusal.value.code is grpc.StatusCode.FAILED_PRECONDITION
    assert "retrieve_with_features" in str(refusal.value)
    assert len(str(refusal.value).splitlines()) == 1
    asked = ["recommend", "--server", address, "--model", "plain", "--user", "用户3", "--features", BEIJING]
    status, printed, told = run(*asked)
    assert (status, printed, told.count("\n")) == (2, "", 1)
    assert "retrieve_with_features" in told


def test_the_command(told_server, run, recommended):
    asked = ["recommend", "--server", told_server.process.grpc_address, "--model", "told", "-k", 4, "--json"]
    for more, question in (
        (["--features", BEIJING], {"user_features": [[BEIJING]]}),
        (["--features", f"age=3, {SHANGHAI}"], {"user_features": [[SHANGHAI]]}),
        (["--user", "用户3", "--features", BEIJING], {"users": ["用户3"], "user_features": [[BEIJING]]}),
        (["--user", "用户3", "--history", "item1"], {"users": ["用户3"], "histories": [["item1"]]}),
    ):
        status, printed, _ = run(*asked, *more)
        assert status == 0
        rows = [ScoredItem(row["item_id"], row["title"], row["score"]) for row in json.loads(printed)]
        assert_same_items([rows], recommended(**question, k=4))


def test_over_rest(told_server, recommended):
    rows = [
        {"user_id": "", "history": [""], "exclude_item_ids": [""], "user_features": [SHANGHAI]},
        {"user_id": "用户3", "history": [""], "exclude_item_ids": ["item1"], "user_features": [BEIJING]},
    ]
    body = {"signature_name": "retrieve_with_features", "instances": rows}
    status, answer = told_server.http("/v1/models/told:predict", body)
    assert status == 200
    found = [
        [ScoredItem(*place) for place in zip(row["item_ids"], row["titles"], row["scores"], strict=True) if place[0]]
        for row in answer["predictions"]
    ]
    told = {"exclude": [[], ["item1"]], "user_features": [[SHANGHAI], [BEIJING]]}
    assert_same_items(found, recommended(["", "用户3"], **told))
    assert {place.item_id for place in found[0]} <= set(ITEMS)

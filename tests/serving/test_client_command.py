"""`tfllmrec recommend --server`: the client as a command."""

import json

import pytest
from clients import assert_same_items

from tfllmrec_client import ScoredItem


def test_recommend_asks_a_server(run, server, models):
    asked = ["recommend", "--server", server.process.grpc_address, "--model", "films", "--user", "用户3"]
    status, printed, told = run(*asked, "--history", "item1,电影一", "--exclude", "item2,item3", "-k", 4, "--json")
    assert (status, told) == (0, "")
    rows = json.loads(printed)
    assert [list(row) for row in rows] == [["rank", "item_id", "title", "score"]] * 4
    assert [row["rank"] for row in rows] == [1, 2, 3, 4]
    expected = models.recommended(["用户3"], [["item1", "电影一"]], exclude=[["item2", "item3"]], k=4)
    assert_same_items([[ScoredItem(row["item_id"], row["title"], row["score"]) for row in rows]], expected)

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
def test_what_a_server_refuses_is_one_sentence(run, server, unserved_address, server_is, arguments, sentence):
    address = server.process.grpc_address if server_is == "there" else unserved_address
    status, printed, told = run("recommend", "--server", address, *arguments)
    assert (status, printed) == (2, "")
    assert sentence in told
    assert told.count("\n") == 1

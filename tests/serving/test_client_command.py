"""The command `tfllmrec recommend --server`."""

import json

import pytest
from clients import assert_same_items

from tfllmrec_client import ScoredItem


def test_recommend_returns_the_results_of_a_server(run, server, models):
    command = ["recommend", "--server", server.process.grpc_address, "--model", "films", "--user", "用户3"]
    status, output, errors = run(*command, "--history", "item1,电影一", "--exclude", "item2,item3", "-k", 4, "--json")
    assert (status, errors) == (0, "")
    rows = json.loads(output)
    assert [list(row) for row in rows] == [["rank", "item_id", "title", "score"]] * 4
    assert [row["rank"] for row in rows] == [1, 2, 3, 4]
    expected = models.recommended(["用户3"], [["item1", "电影一"]], exclude=[["item2", "item3"]], k=4)
    assert_same_items([[ScoredItem(row["item_id"], row["title"], row["score"]) for row in rows]], expected)

    status, output, _ = run(*command, "-k", 2)
    items = models.recommended(["用户3"], k=2)[0]
    assert status == 0
    assert [title in output for _, title, _ in items] == [True, True]


@pytest.mark.parametrize(
    ("served", "arguments", "sentence"),
    [
        (True, ["--model", "filmz", "--user", "a"], "filmz"),
        (True, ["--model", "films", "--user", "a", "-k", "11"], "k is 11"),
        (True, ["--model", "films", "--user", "a", "-k", "0"], "k is 0"),
        (True, ["--model", "films"], "--user, --history, or both"),
        (True, ["--user", "a"], "--model NAME"),
        (False, ["--model", "films", "--user", "a"], "127.0.0.1:"),
    ],
)
def test_an_error_is_one_sentence(run, server, unserved_address, served, arguments, sentence):
    address = server.process.grpc_address if served else unserved_address
    status, output, errors = run("recommend", "--server", address, *arguments)
    assert (status, output) == (2, "")
    assert sentence in errors
    assert errors.count("\n") == 1

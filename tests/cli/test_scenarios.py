"""Commands on a shop with two departments as scenarios."""

import json

import pandas as pd
import pytest

from tfllmrec.data.scenario_splits import leave_one_out_by_scenario
from tfllmrec.training.runs import Run, Source, train

QUICK = {"dim": 8, "units": 6, "expert_units": 4, "history_length": 6, "epochs": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Tables of 12 users with 4 items in each of two departments."""
    folder = tmp_path_factory.mktemp("shop") / "tables"
    folder.mkdir()
    rows = [
        (f"u{user}", f"{scenario}{(user + time) % 7}", time, scenario)
        for user in range(12)
        for scenario in ("books", "films")
        for time in range(4)
    ]
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp", "scenario"])
    table.to_csv(folder / "interactions.csv", index=False)
    items = pd.DataFrame({"item_id": sorted(set(table["item_id"]))})
    items["title"], items["categories"] = items["item_id"], items["item_id"].str[:-1]
    items.to_csv(folder / "items.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def fitted(folder, tmp_path_factory):
    """The folder of a multi_task run with scenarios and interests."""
    out = tmp_path_factory.mktemp("runs") / "shop"
    train("multi_task", Source.of(str(folder), by_scenario=True), {"tasks": "next_item,interests"} | QUICK).save(out)
    return out


def test_train_by_scenario_holds_out_the_last_items_of_each_scenario(run, folder, tmp_path):
    out = tmp_path / "shop"
    status, _, stderr = run("train", "popularity", "--data", folder, "--by-scenario", "--out", out)
    assert status == 0, stderr
    source = Run.load(out).source
    assert source.by_scenario
    data, split = source.split()
    expected = leave_one_out_by_scenario(data)
    assert len(split.test) == len(expected.test) == 24


def test_evaluate_by_scenario_and_task(run, fitted):
    status, stdout, _ = run("evaluate", fitted, "--json")
    assert status == 0
    assert json.loads(stdout)["recall@10"] == 1.0, "a scenario has seven items"
    multi_task = json.loads(stdout)["multi_task"]
    assert 0 <= multi_task["tasks"]["interests"]["auc"] <= 1
    assert {row["scenario"] for row in multi_task["experts"]} == {"books", "films"}
    status, stdout, _ = run("evaluate", fitted)
    assert status == 0
    assert "auc" in stdout


def test_recommend_in_a_scenario(run, fitted):
    for scenario in ("books", "films"):
        status, stdout, stderr = run("recommend", fitted, "--user", "u1", "--scenario", scenario, "--json")
        assert (status, stderr) == (0, "")
        assert {row["item_id"][:-1] for row in json.loads(stdout)} == {scenario}
    status, stdout, stderr = run("recommend", fitted, "--user", "u1", "--scenario", "music")
    assert (status, stdout) == (2, "")
    assert "unknown scenario 'music'; name one in every row, of books, films" in stderr


def test_interests(run, fitted):
    status, stdout, stderr = run("interests", fitted, "--history", "books1,books2", "--scenario", "films", "--json")
    assert (status, stderr) == (0, "")
    rows = json.loads(stdout)
    assert {row["label"] for row in rows} == {"books", "films"}
    assert rows[0]["score"] >= rows[1]["score"]
    status, stdout, _ = run("interests", fitted, "--user", "u1", "--scenario", "films")
    assert status == 0
    assert "label" in stdout


def test_interests_of_a_text_that_the_model_does_not_read(run, fitted):
    status, stdout, stderr = run("interests", fitted, "--text", "love stories", "--scenario", "films")
    assert (status, stdout) == (2, "")
    assert "interests: this multi_task does not read texts; leave them out, or fit it with a backbone" in stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["interests", "RUN", "--scenario", "films"], "interests: give --user, --history, or both"),
        (["interests", "--user", "u1"], "interests: give a run, or --server HOST:PORT and --model NAME"),
        (["recommend", "RUN", "--user", "u1", "--server", "a:1"], "recommend: give a run, or --server"),
    ],
)
def test_incomplete_requests_are_refused(run, arguments, message):
    status, stdout, stderr = run(*arguments)
    assert (status, stdout) == (2, "")
    assert message in stderr

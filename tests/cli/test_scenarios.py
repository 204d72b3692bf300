"""The commands on a shop with two departments: fitted by scenario, asked in one, interests by name."""

import json

import pandas as pd
import pytest

from tfllmrec import MultiTask
from tfllmrec.data.scenario_splits import leave_one_out_by_scenario
from tfllmrec.training.runs import Run, Source

QUICK = ["dim=8", "units=6", "expert_units=4", "history_length=6", "epochs=1"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """12 people with 4 items in each of two departments."""
    folder = tmp_path_factory.mktemp("shop") / "tables"
    folder.mkdir()
    rows = [
        (f"u{user}", f"{scenario}{(user + place) % 7}", place, scenario)
        for user in range(12)
        for scenario in ("books", "films")
        for place in range(4)
    ]
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp", "scenario"])
    table.to_csv(folder / "interactions.csv", index=False)
    items = pd.DataFrame({"item_id": sorted(set(table["item_id"]))})
    items["title"], items["categories"] = items["item_id"], items["item_id"].str[:-1]
    items.to_csv(folder / "items.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def fitted(folder, tmp_path_factory):
    """A run as `train --by-scenario` keeps it."""
    source = Source.of(str(folder), by_scenario=True)
    options = dict(option.split("=") for option in QUICK)
    split = source.split()[1]
    model = MultiTask(tasks="next_item,interests", **options).fit(split.train, split.validation, verbose=0)
    out = tmp_path_factory.mktemp("runs") / "shop"
    Run(model, source).save(out)
    return out


def test_train_asks_for_every_scenarios_last_item(run, folder, tmp_path):
    options = [part for option in QUICK for part in ("--set", option)]
    out = tmp_path / "shop"
    status, _, told = run("train", "multi_task", "--data", folder, "--by-scenario", "--out", out, *options)
    assert status == 0, told
    kept = Run.load(out)
    assert kept.source.by_scenario
    data, split = kept.source.split()
    expected = leave_one_out_by_scenario(data)
    assert len(split.test) == len(expected.test) == 24
    status, printed, _ = run("evaluate", out, "--json")
    assert status == 0
    assert json.loads(printed)["recall@10"] == 1.0, "a scenario has seven items"
    joint = json.loads(printed)["joint"]
    assert 0 <= joint["tasks"]["interests"]["auc"] <= 1
    assert {row["scenario"] for row in joint["experts"]} == {"books", "films"}
    status, printed, _ = run("evaluate", out)
    assert status == 0
    assert "auc" in printed


def test_recommend_in_a_scenario(run, fitted):
    for scenario in ("books", "films"):
        status, printed, told = run("recommend", fitted, "--user", "u1", "--scenario", scenario, "--json")
        assert (status, told) == (0, "")
        assert {row["item_id"][:-1] for row in json.loads(printed)} == {scenario}
    status, printed, told = run("recommend", fitted, "--user", "u1", "--scenario", "music")
    assert (status, printed) == (2, "")
    assert "unknown scenario 'music'; name one in every row, of books, films" in told


def test_interests(run, fitted):
    status, printed, told = run("interests", fitted, "--history", "books1,books2", "--scenario", "films", "--json")
    assert (status, told) == (0, "")
    rows = json.loads(printed)
    assert {row["label"] for row in rows} == {"books", "films"}
    assert rows[0]["score"] >= rows[1]["score"]
    status, printed, _ = run("interests", fitted, "--user", "u1", "--scenario", "films")
    assert status == 0
    assert "label" in printed


def test_interests_of_a_text_that_the_model_does_not_read(run, fitted):
    status, printed, told = run("interests", fitted, "--text", "love stories", "--scenario", "films")
    assert (status, printed) == (2, "")
    assert "interests: this multi_task does not read texts; leave them out, or fit it with a backbone" in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["interests", "RUN", "--scenario", "films"], "interests: give --user, --history, or both"),
        (["interests", "--user", "u1"], "interests: give a run, or --server HOST:PORT and --model NAME"),
        (["recommend", "RUN", "--user", "u1", "--server", "a:1"], "recommend: give a run, or --server"),
    ],
)
def test_questions_that_are_none(run, fitted, arguments, message):
    status, printed, told = run(*(str(fitted) if argument == "RUN" else argument for argument in arguments))
    assert (status, printed) == (2, "")
    assert message in told

"""The quickstart on synthetic data, in its quick and its full mode."""

import io
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from quick_learning import QUICK_TWO_TOWER
from rich.console import Console

from tfllmrec.data import Dataset, checkerboard, load_dataset
from tfllmrec.evaluation.report import best_first
from tfllmrec.quickstart import full, queries, run
from tfllmrec.serving.session import ServedModel

NEXT_ITEM = {"dim": 16, "units": 16, "epochs": 2, "batch_size": 8}


class Outcome(NamedTuple):
    """The folder and the output of a quickstart."""

    out: Path
    text: str

    @property
    def report(self) -> dict[str, Any]:
        return json.loads((self.out / "report.json").read_text())

    @property
    def version(self) -> Path:
        return self.out / "export" / best_first(self.report["models"])[0] / "1"


def run_quickstart(out: Path, options: dict[str, Any], *, full: bool) -> Outcome:
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "load_dataset", lambda name: checkerboard().data)
        patch.setattr(run, "OPTIONS", options)
        run.quickstart(out, Console(width=110, file=printed), full=full)
    return Outcome(out, printed.getvalue())


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    return run_quickstart(tmp_path_factory.mktemp("quick") / "out", {"next_item": NEXT_ITEM}, full=False)


@pytest.fixture(scope="module")
def complete(tmp_path_factory, quick_ranking):
    options = {
        "next_item": NEXT_ITEM,
        "two_tower": QUICK_TWO_TOWER,
        "multi_task": {**NEXT_ITEM, "expert_units": 8},
        "bert_ranker": quick_ranking["bert_ranker"],
    }
    return run_quickstart(tmp_path_factory.mktemp("full") / "out", options, full=True)


@pytest.fixture(params=["quick", pytest.param("complete", marks=pytest.mark.slow)])
def outcome(request):
    """The outcome of each mode."""
    return request.getfixturevalue(request.param)


def test_the_quick_report_has_three_families(quick):
    assert set(quick.report["models"]) == {"popularity", "markov_chain", "next_item"}
    assert {*quick.report["models"], "export", "serve", "what_if", "total"} == quick.report["seconds"].keys()
    assert quick.report["data"]["items"] == 20


@pytest.mark.slow
def test_the_full_report_has_every_family(complete):
    families = {*full.FULL_FAMILIES, "cascade"}
    assert set(complete.report["models"]) == families
    assert {*families, "cold", "export", "serve", "what_if", "total"} == complete.report["seconds"].keys()


@pytest.mark.slow
def test_cold_items_and_users_are_reported(complete):
    rows = complete.report["cold"]
    assert list(rows) == ["popularity", "word2vec", "two_tower"]
    assert list(rows["two_tower"]) == ["new items", *(f"new users after {count}" for count in (0, 1, 3))]
    assert "new users" in complete.text


@pytest.mark.slow
def test_tasks_and_interests_are_reported(complete):
    report = complete.report["multi_task"]
    assert f"auc {report['tasks']['interests']['auc']:.4f}" in complete.text
    assert {row["task"] for row in report["experts"]} == {"next_item", "interests"}
    assert f"The last films of user {report['interests']['user_id']}" in complete.text


def test_the_best_model_is_served(outcome):
    user = checkerboard().data.user_vocabulary.tokens[1]
    assert f"The last films of user {user}" in outcome.text
    model = ServedModel(outcome.version)
    titles = model("retrieve", user_id=[user], history=[[""]], exclude_item_ids=[[""]])["titles"][0]
    assert f" 1. {titles[0]}" in outcome.text
    assert "over gRPC; identical results over REST and in process" in outcome.text
    lines = "".join(outcome.text.split("identical results over REST and in process")[1].split())  # without line breaks
    assert f"{outcome.version}:SavedModelforTFServing" in lines
    assert (outcome.out / "report.png").read_bytes().startswith(b"\x89PNG")


def test_two_visitors_get_the_recommendations_of_the_savedmodel(quick):
    items = checkerboard().data.items.set_index("item_id")
    histories = items.index.to_numpy()[queries.two_tastes(checkerboard().data)]
    request = {"user_id": ["", ""], "history": histories.tolist(), "exclude_item_ids": [[""], [""]]}
    outputs = ServedModel(quick.version)("retrieve", **request)
    shown = [line.split() for line in quick.text.split("What if a visitor saw these films?")[1].splitlines()]
    assert [" ".join(line) for line in shown[1:4]] == [" ".join(items.loc[pair, "title"]) for pair in histories.T]
    ranks = enumerate(outputs["titles"][:, :5].T, start=1)
    assert [" ".join(line) for line in shown[5:10]] == [
        f"{rank}. {one} {rank}. {other}" for rank, (one, other) in ranks
    ]
    recommended = outputs["item_ids"][:, :5]
    assert not set(recommended[0]) & set(histories[0])
    assert not set(recommended[1]) & set(histories[1])


def test_no_runs_of_blank_lines(outcome):
    assert "\n\n\n" not in "\n".join(line.rstrip() for line in outcome.text.splitlines())


@pytest.mark.parametrize(("source", "names"), [("checkerboard", ("even", "odd")), ("demo", ("Children", "Horror"))])
def test_the_visitors_saw_popular_items_of_two_categories(source, names):
    data = load_dataset("demo") if source == "demo" else checkerboard().data
    counts = data.item_counts[1:]
    for taste, name in zip(queries.two_tastes(data), names, strict=True):
        own = np.array([name in categories.split("|") for categories in data.items["categories"]])
        assert own[taste].all()
        assert counts[taste].max() == counts[own].max()


def test_without_categories_the_tastes_are_the_most_popular_items_and_the_next_ones():
    board = checkerboard().data
    data = Dataset.from_frames(board.interactions[2:], board.items.drop(columns="categories"))
    first, second = queries.two_tastes(data)
    counts = data.item_counts[1:]
    assert len({*first, *second}) == 6
    assert counts[first].min() >= counts[second].max() >= np.sort(counts)[-6]

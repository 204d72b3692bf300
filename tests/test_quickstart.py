import functools
import io
import json

import numpy as np
import pytest
from rich.console import Console

from tfllmrec.data import Dataset, checkerboard, load_dataset
from tfllmrec.models.registry import FAMILIES, model_class
from tfllmrec.quickstart import story, what_if
from tfllmrec.serving.session import ServedModel

SHOWN = set(FAMILIES) - {"cross_encoder"}


@pytest.fixture(scope="module")
def told(tmp_path_factory, quick_ranking):
    """The quickstart on a made data set, with a quick ranker: its folder and what it printed."""
    out, printed = tmp_path_factory.mktemp("quickstart") / "out", io.StringIO()
    ranker = functools.partial(model_class("bert_ranker"), **quick_ranking["bert_ranker"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(story, "load_dataset", lambda name: checkerboard().data)
        patch.setattr(story, "FAMILIES", FAMILIES | {"bert_ranker": ranker})
        story.quickstart(out, Console(width=110, file=printed))
    return out, printed.getvalue()


def test_the_report_has_every_family(told):
    report = json.loads((told[0] / "report.json").read_text())
    assert set(report["models"]) == SHOWN
    assert {"ndcg@10", "recall@10"} <= report["models"]["two_tower"].keys()
    assert {*SHOWN, "cold", "export", "serve", "what_if", "total"} == report["seconds"].keys()
    assert report["data"]["items"] == 20


def test_new_items_and_users_are_in_report_and_text(told):
    rows = json.loads((told[0] / "report.json").read_text())["cold"]
    assert list(rows) == ["popularity", "word2vec", "two_tower"]
    assert list(rows["two_tower"]) == ["new items", *(f"new users after {count}" for count in (0, 1, 3))]
    assert rows["two_tower"]["new items"]["recall@10"] == 1  # there are two of them
    assert "new users" in told[1]


def test_what_the_joint_model_has_learnt_is_in_report_and_text(told):
    joint = json.loads((told[0] / "report.json").read_text())["joint"]
    assert f"auc {joint['tasks']['interests']['auc']:.4f}" in told[1]
    assert {row["task"] for row in joint["experts"]} == {"next_item", "interests"}


def test_the_interests_of_the_user_who_is_asked_about_are_told(told):
    interests = json.loads((told[0] / "report.json").read_text())["joint"]["interests"]
    user, labels = interests["user_id"], interests["labels"]
    assert f"The last films of user {user}" in told[1]
    lines = told[1].split(f"What user {user} is interested in")[1].splitlines()
    assert [line.split()[0] for line in lines[1:3]] == sorted(labels, key=labels.get, reverse=True) == list(labels)


def test_the_picture_is_a_png(told):
    assert (told[0] / "report.png").read_bytes().startswith(b"\x89PNG")


def test_the_titles_printed_came_from_a_server_and_are_those_the_savedmodel_answers(told):
    out, text = told
    user = checkerboard().data.user_vocabulary.tokens[1]
    assert f"The last films of user {user}" in text
    model = ServedModel(out / "export" / "two_tower" / "1")
    titles = model("retrieve", user_id=[user], history=[[""]], exclude_item_ids=[[""]])["titles"][0]
    assert f" 1. {titles[0]}" in text
    assert "over gRPC; REST and the SavedModel in process answer the same" in text


def test_two_visitors_are_told_what_the_savedmodel_says_comes_next(told):
    out, text = told
    items = checkerboard().data.items.set_index("item_id")
    histories = items.index.to_numpy()[what_if.two_tastes(checkerboard().data)]
    model = ServedModel(out / "export" / "next_item" / "1")
    answer = model("next_items", history=histories.tolist(), exclude_item_ids=[[""], [""]])
    shown = [line.split() for line in text.split("What if a visitor saw these films?")[1].splitlines()]
    read = [" ".join(line) for line in shown[1:4]]
    assert read == [" ".join(items.loc[pair, "title"]) for pair in histories.T]
    found = [" ".join(line) for line in shown[6:11]]
    places = enumerate(answer["titles"][:, :5].T, start=1)
    assert found == [f"{place}. {one} {place}. {other}" for place, (one, other) in places]


def test_the_two_visitors_lists_differ_and_bring_nothing_back(told):
    data = checkerboard().data
    histories = data.items["item_id"].to_numpy()[what_if.two_tastes(data)]
    model = ServedModel(told[0] / "export" / "next_item" / "1")
    found = model("next_items", history=histories.tolist(), exclude_item_ids=[[""], [""]])["item_ids"][:, :5]
    assert not set(found[0]) & set(histories[0])
    assert not set(found[1]) & set(histories[1])
    assert found[0].tolist() != found[1].tolist()


def test_both_exports_are_named_at_the_end(told):
    out, text = told
    lines = "".join(text.split("answer the same")[1].split())  # without the console's line breaks
    for name in ("two_tower", "next_item"):
        assert f"{out / 'export' / name / '1'}:aSavedModel" in lines


@pytest.mark.parametrize(("source", "names"), [("checkerboard", ("even", "odd")), ("demo", ("Children", "Horror"))])
def test_the_two_visitors_saw_popular_items_of_two_categories(source, names):
    data = load_dataset("demo") if source == "demo" else checkerboard().data
    counts = data.item_counts[1:]
    for taste, name in zip(what_if.two_tastes(data), names, strict=True):
        own = np.array([name in categories.split("|") for categories in data.items["categories"]])
        assert own[taste].all()
        assert counts[taste].max() == counts[own].max()


def test_without_categories_the_tastes_are_the_most_popular_items_and_the_next_ones():
    board = checkerboard().data
    data = Dataset.from_frames(board.interactions[2:], board.items.drop(columns="categories"))
    first, second = what_if.two_tastes(data)
    counts = data.item_counts[1:]
    assert len({*first, *second}) == 6
    assert counts[first].min() >= counts[second].max() >= np.sort(counts)[-6]

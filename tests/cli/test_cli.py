import json
import re
from dataclasses import replace
from pathlib import Path

import keras
import pandas as pd
import pytest

from tfllmrec.data import checkerboard
from tfllmrec.models.next_item.model import NextItem
from tfllmrec.models.registry import FAMILIES, load_model
from tfllmrec.training.runs import Source, train


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "checkerboard"
    checkerboard().data.to_folder(path)
    return path


@pytest.fixture
def trained(run, folder, tmp_path):
    status, _, told = run("train", "markov_chain", "--data", folder, "--out", tmp_path / "run")
    assert status == 0, told
    return tmp_path / "run"


def test_from_tables_to_answers_and_an_export(run, trained, tmp_path):
    status, printed, _ = run("evaluate", trained, "--json")
    assert status == 0
    assert json.loads(printed)["ndcg@10"] > 0.3

    status, printed, _ = run("recommend", trained, "--user", "0", "-k", 3, "--json")
    rows = json.loads(printed)
    assert [row["rank"] for row in rows] == [1, 2, 3]
    assert {"item_id", "title", "score"} <= rows[0].keys()

    status, printed, _ = run("export", trained, "--out", tmp_path / "model", "--top-k", 5)
    assert status == 0
    assert printed.strip() == str(tmp_path / "model" / "1")
    card = (tmp_path / "model" / "1" / "assets.extra" / "model_card.md").read_text(encoding="utf-8")
    assert "| training data | " in card
    assert "| trained on the validation items | no |" in card

    status, _, told = run("export", trained, "--out", tmp_path / "model", "--version", 1)
    assert status == 2
    assert "version 1 already" in told
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["1"]


def test_the_precision_of_an_export(run, trained, tmp_path):
    status, printed, _ = run("export", trained, "--out", tmp_path / "model", "--precision", "bfloat16")
    assert status == 0
    card = Path(printed.strip()) / "assets.extra" / "model_card.md"
    told = card.read_text(encoding="utf-8")
    assert "| precision | bfloat16 |" in told
    assert re.search(r"\| validation ndcg@10 in bfloat16 \| 0\.\d{4}, [+-]0\.\d{4} beside float32 \|", told)
    status, printed, told = run("export", trained, "--out", tmp_path / "other", "--precision", "int4")
    assert (status, printed) == (2, "")
    assert told == "tfllmrec: export: precision is 'int4', and must be float32, bfloat16, int8\n"
    assert not (tmp_path / "other").exists()


def test_the_target_of_an_export(run, trained, tmp_path):
    status, printed, told = run("export", trained, "--out", tmp_path / "model", "--target", "gpu")
    assert (status, printed) == (2, "")
    assert told.startswith("tfllmrec: export: XLA cannot compile markov_chain for a gpu (")
    assert told.count("\n") == 1
    assert not (tmp_path / "model").exists()


def test_every_family_can_be_trained(run):
    _, printed, _ = run("train", "--help")
    assert {*FAMILIES} <= {*re.findall(r"\w+", printed)}


def test_tables_are_printed_for_people(run, trained):
    assert "markov_chain" in run("evaluate", trained)[1]
    assert "title" in run("recommend", trained, "--user", "0")[1]


def test_a_history_and_exclusions_given_on_the_spot(run, trained):
    items = checkerboard().data.item_vocabulary.tokens[1:]
    _, printed, _ = run("recommend", trained, "--history", items[0], "--exclude", f"{items[2]},{items[4]}", "--json")
    found = {row["item_id"] for row in json.loads(printed)}
    assert found
    assert not found & {items[0], items[2], items[4]}


def test_features_of_users(run, tmp_path):
    data = checkerboard().data
    users = pd.DataFrame({"user_id": data.user_vocabulary.tokens[1:], "colour": ["even", "odd"] * 20})
    replace(data, users=users).to_folder(tmp_path / "data")
    for name, options in (("plain", []), ("told", ["--set", "segment=colour"])):
        status, _, told = run("train", "popularity", "--data", tmp_path / "data", "--out", tmp_path / name, *options)
        assert status == 0, told

    recommender, answers = load_model(tmp_path / "told"), set()
    for colour in ("even", "odd"):
        for user in ("", "u00"):
            expected = recommender.recommend([user], user_features=[[f"colour={colour}"]], k=5)["item_id"].tolist()
            asked = ["--user", user, "--features", f"age=3, colour={colour}"]
            status, printed, _ = run("recommend", tmp_path / "told", *asked[0 if user else 2 :], "-k", 5, "--json")
            assert (status, [row["item_id"] for row in json.loads(printed)]) == (0, expected)
            answers.add(tuple(expected))
    assert len(answers) == 3  # u00 had no odd item, and is told what everybody odd is told

    status, printed, told = run("recommend", tmp_path / "plain", "--features", "colour=even")
    assert (status, printed) == (2, "")
    assert told == "tfllmrec: recommend: this popularity reads no user_features; leave them out\n"


def test_epochs_options_and_tensorboard(run, folder, tmp_path):
    small = ["--set", "dim=8", "--set", "hidden=8", "--epochs", "2"]
    out, logs = tmp_path / "run", tmp_path / "logs"
    status, _, told = run("train", "two_tower", "--data", folder, "--out", out, *small, "--tensorboard", logs)
    assert status == 0, told
    assert "validation ndcg@10" in told
    note = json.loads((out / "run.json").read_text())
    assert len(note["history"]["loss"]) == 2
    assert list(logs.rglob("events.out.tfevents*"))


class Refitting(keras.callbacks.Callback):
    """Sees the epochs of a fit and a refit, and may break the refit off in its second epoch."""

    def __init__(self, *, breaks):
        super().__init__()
        self.breaks, self.begun = breaks, []

    def on_epoch_begin(self, epoch, logs=None):
        self.begun.append(epoch)

    def on_epoch_end(self, epoch, logs=None):
        if self.breaks and len(self.begun) > 2 and epoch == 1:
            raise KeyboardInterrupt


def test_an_unfinished_refit_is_gone_on_with(run, folder, tmp_path, monkeypatch):
    out, unfinished = tmp_path / "run", tmp_path / "run.unfinished"
    options = {"dim": 8, "units": 8, "history_length": 4, "batch_size": 16, "epochs": 2}
    monkeypatch.setattr(NextItem, "refit_config", lambda self: self.config)  # both epochs again
    broken, seen = Refitting(breaks=True), Refitting(breaks=False)
    with pytest.raises(KeyboardInterrupt):
        train("next_item", Source.of(str(folder)), options, refit=True, callbacks=[broken], backup=unfinished)
    backups = {path: path.read_bytes() for path in unfinished.iterdir()}
    assert (broken.begun, {path.name for path in backups}) == ([0, 1, 0, 1], {"fit.npz", "refit.npz"})

    monkeypatch.setattr("tfllmrec.training.progress.EpochProgress", lambda *console_and_name: seen)
    asked = ["train", "next_item", "--data", folder, "--out", out, "--refit"]
    settings = [part for name, value in options.items() for part in ("--set", f"{name}={value}")]
    status, printed, told = run(*asked, *settings, "--set", "units=9", "--set", "seed=1")
    assert (status, printed) == (2, "")
    sentence = f"tfllmrec: {unfinished / 'fit.npz'} is the backup of a fit with another seed, units: go on with "
    assert told.splitlines()[-1].startswith(sentence)
    assert not out.exists()
    assert {path: path.read_bytes() for path in unfinished.iterdir()} == backups

    status, printed, told = run(*asked, *settings)
    assert (status, printed) == (0, "")
    assert "validation ndcg@10" in told
    assert seen.begun == [1, 1]  # the last epochs of both
    assert {path.name for path in tmp_path.iterdir()} == {"run"}
    note = json.loads((out / "run.json").read_text())
    assert {name: len(values) for name, values in note["history"].items()} == dict.fromkeys(note["history"], 2)
    status, _, told = run("evaluate", out)
    assert status == 2
    assert "without --refit" in told

    status, printed, _ = run("export", out, "--out", tmp_path / "model", "--top-k", 5)
    assert (status, printed.strip()) == (0, str(tmp_path / "model" / "1"))
    card = (tmp_path / "model" / "1" / "assets.extra" / "model_card.md").read_text(encoding="utf-8")
    assert "| main signature | `next_items` |" in card
    items = checkerboard().data.item_vocabulary.tokens[1:].tolist()
    status, printed, _ = run("recommend", out, "--history", f"{items[0]},{items[2]}", "-k", 3, "--json")
    assert status == 0
    assert len({row["item_id"] for row in json.loads(printed)} - {items[0], items[2]}) == 3


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["train", "no_such_family", "--data", "demo", "--out", "{tmp}/run"], "no family 'no_such_family'"),
        (
            ["train", "ease", "--data", "demo", "--out", "{tmp}/run", "--set", "dimm=3"],
            "option dimm is unknown",
        ),
        (["train", "ease", "--data", "demo", "--out", "{tmp}/run", "--set", "l2=much"], "option l2='much'"),
        (["train", "ease", "--data", "demo", "--out", "{tmp}/run", "--set", "l2"], "write it as KEY=VALUE"),
        (
            ["train", "ease", "--data", "{tmp}/nowhere", "--out", "{tmp}/run"],
            "neither a folder nor one of demo",
        ),
        (["train", "ease", "--data", "{tmp}", "--out", "{tmp}/run"], "is not a data set"),
        (["train", "ease", "--data", "demo", "--out", "{tmp}"], "exists already"),
        (["evaluate", "{tmp}"], "is no run"),
        (["export", "{tmp}", "--out", "{tmp}/model"], "is no run"),
        (["recommend", "{tmp}", "--user", "1"], "is no run"),
        (["recommend", "{tmp}"], "--user, --history, or both"),
        (["serve"], "serve: give either the folder"),
        (["serve", "{tmp}", "--model_base_path", "{tmp}/other"], "serve: give either the folder"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(run, tmp_path, arguments, sentence):
    status, printed, told = run(*(argument.format(tmp=tmp_path) for argument in arguments))
    assert status == 2
    assert sentence in told
    assert told.count("\n") == 1
    assert not printed
    assert not list(tmp_path.iterdir())


def test_a_bad_table_leaves_no_run(run, tmp_path):
    pd.DataFrame({"user_id": ["a"], "item": ["b"]}).to_csv(tmp_path / "interactions.csv", index=False)
    status, _, told = run("train", "ease", "--data", tmp_path, "--out", tmp_path / "run")
    assert status == 2
    assert "item_id, timestamp is missing" in told
    assert not (tmp_path / "run").exists()


def test_a_run_whose_data_has_changed_is_not_evaluated(run, folder, trained):
    note = trained / "run.json"
    note.write_text(note.read_text().replace(str(folder), "demo"))
    status, _, told = run("evaluate", trained)
    assert status == 2
    assert "not those the run was fitted on" in told


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[]", b'{"source": {}}', b"{"])
def test_a_damaged_note_is_no_run(run, trained, content):
    (trained / "run.json").write_bytes(content)
    status, _, told = run("evaluate", trained)
    assert status == 2
    assert "is no run: run.json is missing or damaged" in told


def test_flags_as_tensorflow_model_server_takes_them(run, tmp_path):
    config = tmp_path / "none.config"
    asked = ["serve", tmp_path, f"--batching_parameters_file={config}"]
    assert f"{config} holds no batching parameters" in run(*asked, "--enable_batching=true")[2]
    assert "needs --enable_batching" in run(*asked, "--enable_batching=false")[2]

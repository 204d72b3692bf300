"""Commands from tables to a run, its metrics, recommendations and export."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import keras
import pandas as pd
import pytest

from tfllmrec import TwoTower
from tfllmrec.data import checkerboard
from tfllmrec.models.registry import load_model
from tfllmrec.training.runs import Source, train


@pytest.fixture
def changed_run(markov_chain_run, tmp_path):
    """A copy of the run that a test may change."""
    return shutil.copytree(markov_chain_run, tmp_path / "run")


def test_a_run_is_trained_evaluated_queried_and_exported(run, checkerboard_folder, tmp_path):
    fitted = tmp_path / "run"
    status, stdout, stderr = run("train", "markov_chain", "--data", checkerboard_folder, "--out", fitted)
    assert (status, stdout) == (0, "")
    assert re.fullmatch(rf"markov_chain fitted in \d+ s: {fitted}\n", stderr)

    status, stdout, _ = run("evaluate", fitted, "--json")
    assert status == 0
    assert json.loads(stdout)["ndcg@10"] > 0.3

    status, stdout, _ = run("recommend", fitted, "--user", "0", "-k", 3, "--json")
    rows = json.loads(stdout)
    assert [row["rank"] for row in rows] == [1, 2, 3]
    assert {"item_id", "title", "score"} <= rows[0].keys()

    status, stdout, _ = run("export", fitted, "--out", tmp_path / "model", "--top-k", 5)
    assert status == 0
    assert stdout.strip() == str(tmp_path / "model" / "1")
    card = (tmp_path / "model" / "1" / "assets.extra" / "model_card.md").read_text(encoding="utf-8")
    assert "| training data | " in card
    assert "| trained on the validation items | no |" in card

    status, _, stderr = run("export", fitted, "--out", tmp_path / "model", "--version", 1)
    assert status == 2
    assert "version 1 already" in stderr
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["1"]


def test_export_in_a_precision(run, markov_chain_run, tmp_path):
    status, stdout, _ = run("export", markov_chain_run, "--out", tmp_path / "model", "--precision", "bfloat16")
    assert status == 0
    card = (Path(stdout.strip()) / "assets.extra" / "model_card.md").read_text(encoding="utf-8")
    assert "| precision | bfloat16 |" in card
    assert re.search(r"\| validation ndcg@10 in bfloat16 \| 0\.\d{4}, [+-]0\.\d{4} vs\. float32 \|", card)
    status, stdout, stderr = run("export", markov_chain_run, "--out", tmp_path / "other", "--precision", "int4")
    assert (status, stdout) == (2, "")
    assert stderr == "tfllmrec: export: precision is 'int4', and must be float32, bfloat16, int8\n"
    assert not (tmp_path / "other").exists()


def test_export_for_a_target_that_cannot_run_the_family_is_refused(run, markov_chain_run, tmp_path):
    status, stdout, stderr = run("export", markov_chain_run, "--out", tmp_path / "model", "--target", "gpu")
    assert (status, stdout) == (2, "")
    assert stderr.startswith("tfllmrec: export: XLA cannot compile markov_chain for a gpu (")
    assert stderr.count("\n") == 1
    assert not (tmp_path / "model").exists()


def test_results_are_printed_as_tables(run, markov_chain_run):
    assert "markov_chain" in run("evaluate", markov_chain_run)[1]
    assert "title" in run("recommend", markov_chain_run, "--user", "0")[1]


def test_history_and_exclusions(run, markov_chain_run):
    items = checkerboard().data.item_vocabulary.tokens[1:]
    options = ["--history", items[0], "--exclude", f"{items[2]},{items[4]}", "--json"]
    _, stdout, _ = run("recommend", markov_chain_run, *options)
    recommended = {row["item_id"] for row in json.loads(stdout)}
    assert recommended
    assert not recommended & {items[0], items[2], items[4]}


def test_user_features(run, tmp_path):
    data = checkerboard().data
    users = pd.DataFrame({"user_id": data.user_vocabulary.tokens[1:], "colour": ["even", "odd"] * 20})
    replace(data, users=users).to_folder(tmp_path / "data")
    for name, options in (("plain", []), ("segmented", ["--set", "segment=colour"])):
        status, _, stderr = run("train", "popularity", "--data", tmp_path / "data", "--out", tmp_path / name, *options)
        assert status == 0, stderr

    recommender, results = load_model(tmp_path / "segmented"), set()
    for colour in ("even", "odd"):
        for user in ("", "u00"):
            expected = recommender.recommend([user], user_features=[[f"colour={colour}"]], k=5)["item_id"].tolist()
            options = [*(["--user", user] if user else []), "--features", f"age=3, colour={colour}", "-k", 5, "--json"]
            status, stdout, _ = run("recommend", tmp_path / "segmented", *options)
            assert (status, [row["item_id"] for row in json.loads(stdout)]) == (0, expected)
            results.add(tuple(expected))
    assert len(results) == 3  # u00 has no odd item, so its odd results are those of an unknown user

    status, stdout, stderr = run("recommend", tmp_path / "plain", "--features", "colour=even")
    assert (status, stdout) == (2, "")
    assert stderr == "tfllmrec: recommend: this popularity does not read user_features; leave them out\n"


class Interruption(keras.callbacks.Callback):
    """Records the epochs of a fit and a refit; optionally interrupts the refit in its second epoch."""

    def __init__(self, *, interrupts):
        super().__init__()
        self.interrupts, self.epochs = interrupts, []

    def on_epoch_begin(self, epoch, logs=None):
        self.epochs.append(epoch)

    def on_epoch_end(self, epoch, logs=None):
        if self.interrupts and len(self.epochs) > 2 and epoch == 1:
            raise KeyboardInterrupt


def test_an_interrupted_refit_is_resumed(run, checkerboard_folder, tmp_path, monkeypatch):
    out, unfinished, logs = tmp_path / "run", tmp_path / "run.unfinished", tmp_path / "logs"
    options = {"dim": 8, "hidden_units": 8, "history_length": 4, "batch_size": 16, "epochs": 2}
    monkeypatch.setattr(TwoTower, "refit_config", lambda self: self.config)  # the refit has both epochs
    interrupted, resumed = Interruption(interrupts=True), Interruption(interrupts=False)
    source = Source.of(str(checkerboard_folder))
    with pytest.raises(KeyboardInterrupt):
        train("two_tower", source, options, refit=True, callbacks=[interrupted], backup=unfinished)
    backups = {path: path.read_bytes() for path in unfinished.iterdir()}
    assert (interrupted.epochs, {path.name for path in backups}) == ([0, 1, 0, 1], {"fit.npz", "refit.npz"})

    monkeypatch.setattr("tfllmrec.training.progress.EpochProgress", lambda stage: resumed)
    command = ["train", "two_tower", "--data", checkerboard_folder, "--out", out, "--refit", "--tensorboard", logs]
    command += [part for name, value in options.items() if name != "epochs" for part in ("--set", f"{name}={value}")]
    command += ["--epochs", 2]
    status, stdout, stderr = run(*command, "--set", "hidden_units=9", "--set", "seed=1")
    assert (status, stdout) == (2, "")
    assert stderr.startswith(
        f"tfllmrec: {unfinished / 'fit.npz'} is the backup of a fit with another seed, hidden_units; resume with "
    )
    assert not out.exists()
    assert {path: path.read_bytes() for path in unfinished.iterdir()} == backups

    status, stdout, stderr = run(*command)
    assert (status, stdout) == (0, "")
    assert "validation ndcg@10" in stderr
    assert resumed.epochs == [1, 1]  # the last epochs of the fit and the refit
    assert {path.name for path in tmp_path.iterdir()} == {"run", "logs"}
    assert list(logs.rglob("events.out.tfevents*"))
    training_log = json.loads((out / "run.json").read_text())["training_log"]
    assert {name: len(values) for name, values in training_log.items()} == dict.fromkeys(training_log, 2)
    assert "loss" in training_log
    status, _, stderr = run("evaluate", out)
    assert status == 2
    assert "without --refit" in stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["train", "no_such_family", "--data", "demo", "--out", "{tmp}/run"], "unknown family 'no_such_family'"),
        (
            ["train", "ease", "--data", "demo", "--out", "{tmp}/run", "--set", "dimm=3"],
            "unknown option dimm",
        ),
        (["train", "ease", "--data", "demo", "--out", "{tmp}/run", "--set", "l2=much"], "option l2='much'"),
        (["train", "ease", "--data", "demo", "--out", "{tmp}/run", "--set", "l2"], "write it as KEY=VALUE"),
        (
            ["train", "ease", "--data", "{tmp}/nowhere", "--out", "{tmp}/run"],
            "neither a folder nor one of demo",
        ),
        (["train", "ease", "--data", "{tmp}", "--out", "{tmp}/run"], "is not a data set"),
        (["train", "ease", "--data", "demo", "--out", "{tmp}"], "already exists"),
        (["evaluate", "{tmp}"], "is not a run"),
        (["export", "{tmp}", "--out", "{tmp}/model"], "is not a run"),
        (["recommend", "{tmp}", "--user", "1"], "is not a run"),
        (["recommend", "{tmp}"], "--user, --history, or both"),
        (["serve"], "serve: give either the folder"),
        (["serve", "{tmp}", "--model_base_path", "{tmp}/other"], "serve: give either the folder"),
    ],
)
def test_bad_input_is_reported_in_one_sentence_and_writes_nothing(run, tmp_path, arguments, sentence):
    status, stdout, stderr = run(*(argument.format(tmp=tmp_path) for argument in arguments))
    assert status == 2
    assert sentence in stderr
    assert stderr.count("\n") == 1
    assert not stdout
    assert not list(tmp_path.iterdir())


def test_a_bad_table_leaves_no_run(run, tmp_path):
    pd.DataFrame({"user_id": ["a"], "item": ["b"]}).to_csv(tmp_path / "interactions.csv", index=False)
    status, _, stderr = run("train", "ease", "--data", tmp_path, "--out", tmp_path / "run")
    assert status == 2
    assert "item_id, timestamp is missing" in stderr
    assert not (tmp_path / "run").exists()


def test_a_run_on_data_that_has_changed_is_not_evaluated(run, checkerboard_folder, changed_run):
    path = changed_run / "run.json"
    path.write_text(path.read_text().replace(str(checkerboard_folder), "demo"))
    status, _, stderr = run("evaluate", changed_run)
    assert status == 2
    assert "differ from those the run was fitted on" in stderr


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[]", b'{"format": 2, "source": {}}', b"{"])
def test_a_damaged_description_is_refused(run, changed_run, content):
    (changed_run / "run.json").write_bytes(content)
    status, _, stderr = run("evaluate", changed_run)
    assert status == 2
    assert "is not a run: run.json is missing or damaged" in stderr


@pytest.mark.parametrize(
    ("format_line", "number", "remedy"),
    [("", "1", "train again"), ('"format": 3,', "3", "upgrade tfllmrec, or train again")],
)
def test_a_run_of_another_format_is_refused(run, changed_run, format_line, number, remedy):
    path = changed_run / "run.json"
    text = path.read_text()
    assert '"format": 2,' in text
    path.write_text(text.replace('"format": 2,', format_line))
    status, _, stderr = run("evaluate", changed_run)
    assert status == 2
    assert stderr == (
        f"tfllmrec: {changed_run} has format {number}; this version of tfllmrec reads format 2: {remedy}\n"
    )

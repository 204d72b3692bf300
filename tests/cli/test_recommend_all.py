"""The option --all of the command recommend."""

import pyarrow.parquet as pq
import pytest

from tfllmrec.training.runs import Run


def test_recommend_for_all_users(run, markov_chain_run, tmp_path):
    out = tmp_path / "lists"
    command = ["recommend", markov_chain_run, "--all", "--out", out, "-k", 2]
    assert run(*command) == (0, f"{out}\n", "")
    users = Run.load(markov_chain_run).recommender.fitted_data.users
    table = pq.read_table(out)
    assert table.column_names == ["user_id", "item_ids", "scores"]
    assert table["user_id"].to_pylist() == list(users.tokens[1:])
    assert {len(items) for items in table["item_ids"].to_pylist()} == {2}
    status, stdout, stderr = run(*command)
    assert (status, stdout) == (2, "")
    assert "already has the recommendations of all users" in stderr


def test_progress_is_shown_when_stderr_is_no_terminal(run, markov_chain_run, tmp_path, monkeypatch):
    monkeypatch.setattr("tfllmrec.stages.FIRST_SECONDS", 0.0)
    stderr = run("recommend", markov_chain_run, "--all", "--out", tmp_path / "lists")[2]
    assert stderr.startswith(f"Recommending for all users of {markov_chain_run}")


@pytest.mark.parametrize(
    "arguments",
    [["--all"], ["--out", "OUT"], ["--all", "--out", "OUT", "--user", "1"], ["--all", "--out", "OUT", "--json"]],
)
def test_incomplete_and_conflicting_options_are_refused(run, markov_chain_run, tmp_path, arguments):
    options = [tmp_path / "lists" if argument == "OUT" else argument for argument in arguments]
    status, stdout, stderr = run("recommend", markov_chain_run, *options)
    assert (status, stdout) == (2, "")
    assert "recommend: --all needs RUN and --out FOLDER" in stderr
    assert not (tmp_path / "lists").exists()

"""Help texts and the version."""

import re

import pytest
import typer

from tfllmrec.cli.app import app
from tfllmrec.models.registry import FAMILIES
from tfllmrec_client.version import __version__

COMMANDS = typer.main.get_command(app).commands


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_80_columns_without_truncation(run, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "80")
    status, stdout, stderr = run(*command.split(), "--help")
    assert (status, stderr) == (0, "")
    assert max(map(len, stdout.splitlines())) <= 80
    assert "…" not in stdout
    assert not re.search(r"[a-z]\.\.\.$", stdout, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_parameter_has_a_help_sentence(command):
    assert COMMANDS[command].help
    for parameter in COMMANDS[command].params:
        assert parameter.help[0].isupper() or parameter.name in ("family", "data", "precision", "index")  # values first
        assert parameter.help.endswith(".")


def test_every_family_is_in_the_help_of_train(run):
    assert {*FAMILIES} <= {*re.findall(r"\w+", run("train", "--help")[1])}


def test_a_registered_family_is_trained_by_name(run, monkeypatch, checkerboard_folder, tmp_path):
    monkeypatch.setitem(FAMILIES, "toy", FAMILIES["popularity"])
    status, _, stderr = run("train", "toy", "--data", checkerboard_folder, "--out", tmp_path / "run")
    assert status == 0, stderr


def test_version(run):
    assert run("--version") == (0, f"tfllmrec {__version__}\n", "")

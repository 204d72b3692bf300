"""Progress of stages, on a terminal and in logs."""

import io
import os
import re
import subprocess
import sys
import time

import pytest
from rich.console import Console

from tfllmrec.stages import stage


def test_a_stage_in_a_log_prints_plain_lines(monkeypatch):
    monkeypatch.setattr("tfllmrec.stages.FIRST_SECONDS", 0.0)
    monkeypatch.setattr("tfllmrec.stages.NEXT_SECONDS", 0.01)
    output = io.StringIO()
    with stage("Training [two_tower]", Console(file=output)) as running:
        while "Training [two_tower] (" not in output.getvalue():
            time.sleep(0.001)
        running.update("epoch 2, loss 0.5", 3, 10)
        while "Training [two_tower], epoch 2, loss 0.5 (" not in output.getvalue():
            time.sleep(0.001)
    assert re.fullmatch(r"(Training \[two_tower\](, epoch 2, loss 0.5)? \(\d+ s\)\n)+", output.getvalue())


def test_a_short_stage_in_a_log_prints_nothing():
    output = io.StringIO()
    with stage("Loading", Console(file=output)) as running:
        running.update("epoch 1")
    assert output.getvalue() == ""


def test_a_stage_on_a_terminal_shows_a_bar_that_disappears():
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, force_interactive=True, width=80)
    with stage("Training [two_tower]", console) as running:
        running.update("epoch 12, loss 0.123, best ndcg@10 0.1234", 3, 10)
    assert "Training [two_tower]" in output.getvalue()
    assert "epoch 12, loss 0.123, best ndcg@10 0.1234" in output.getvalue()
    assert output.getvalue().endswith("\x1b[2K")  # erases the line


@pytest.mark.parametrize(
    ("command", "lines"),
    [
        (["train", "popularity", "--data", "DATA", "--out", "OUT"], ["Training popularity"]),
        (["evaluate", "RUN", "--cold", "--json"], ["Evaluating RUN", "Fitting without cold items and users"]),
        (["recommend", "RUN", "--user", "0"], ["Loading RUN"]),
        (["export", "RUN", "--out", "OUT", "--target", "gpu"], ["Exporting RUN"]),  # refused after loading
    ],
)
def test_long_commands_show_progress_when_stderr_is_no_terminal(
    run, checkerboard_folder, markov_chain_run, monkeypatch, tmp_path, command, lines
):
    monkeypatch.setattr("tfllmrec.stages.FIRST_SECONDS", 0.0)
    paths = {"DATA": checkerboard_folder, "RUN": markov_chain_run, "OUT": tmp_path / "out"}

    def with_paths(text):
        for name, path in paths.items():
            text = text.replace(name, str(path))
        return text

    stderr = run(*map(with_paths, command))[2]
    shown = [line.partition(" (")[0] for line in stderr.splitlines() if line.endswith(" s)")]
    assert list(dict.fromkeys(shown)) == [with_paths(line) for line in lines]


def test_progress_is_visible_while_native_output_is_suppressed():
    program = """
import os, time
from rich.console import Console
from tfllmrec import stages
from tfllmrec.quiet import suppress_stderr
stages.FIRST_SECONDS = 0.0
with suppress_stderr(), stages.stage("Publishing", Console(stderr=True)):
    os.write(2, b"native")
    time.sleep(0.2)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ)
    assert re.fullmatch(r"Publishing \(\d s\)\n", result.stderr)

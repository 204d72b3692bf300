"""Tasks under `MirroredStrategy`: loss and step equal those of one replica with the same global batch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROCESS = Path(__file__).with_name("replicas_process.py")
TASKS = ["in_batch", "in_batch bpr", "mixed", "sampled", "full", "hard negatives", "listwise", "pointwise", "rating"]
FAMILIES = ["two_tower", "next_item", "next_item sampled", "multi_task", "multi_task learnt"]


@pytest.mark.parametrize("names", [TASKS, pytest.param(FAMILIES, marks=pytest.mark.slow)])
def test_two_replicas_learn_as_one(names: list[str]) -> None:
    """In a process of its own, because TensorFlow's devices are set before its first operation."""
    finished = subprocess.run(
        [sys.executable, str(PROCESS), *names], env=os.environ, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    results = {result["name"]: result for result in map(json.loads, finished.stdout.splitlines())}
    assert list(results) == names
    for name, result in results.items():
        one, two = result["losses"]
        assert two == pytest.approx(one, rel=1e-5), name
        assert result["difference"] < 1e-5, name
        assert result["step"] > 1e-3, name

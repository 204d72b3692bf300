"""The TypeScript client beside the published protos returns what the Python client returns."""

import subprocess
from pathlib import Path

import pytest
from clients import assert_same_items
from require import require, require_program

from tfllmrec_client import ScoredItem

FOLDER = Path(__file__).parents[2] / "serving" / "clients" / "typescript"


@pytest.fixture(scope="module")
def retrieve():
    """Compile and check the program; return a function that runs it."""
    npm = require_program("npm")
    require((FOLDER / "node_modules").exists(), f"run `npm ci --prefix {FOLDER}` first")
    subprocess.run([npm, "run", "--silent", "build"], cwd=FOLDER, check=True)

    def retrieve(*arguments):
        command = ["node", "build/retrieve.js", *arguments]
        return subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, encoding="utf-8", check=False)

    return retrieve


@pytest.mark.parametrize(("user", "history"), [("用户3", []), ("unknown", ["item1", "电影一"]), ("everything", [])])
def test_it_returns_the_results_of_the_recommender(retrieve, server, models, user, history):
    result = retrieve(server.process.grpc_address, "films", user, *history)
    assert (result.returncode, result.stderr) == (0, "")
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    items = [ScoredItem(item, title, float(score)) for item, title, score in rows]
    assert_same_items([items], models.recommended([user], [history]))


def test_it_prints_the_error_of_the_server(retrieve, server):
    result = retrieve(server.process.grpc_address, "filmz", "用户3")
    assert (result.returncode, result.stdout) == (1, "")
    assert "NOT_FOUND" in result.stderr
    assert "filmz" in result.stderr

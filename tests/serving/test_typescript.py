"""The client in TypeScript beside the published protos: it says what the Python client says."""

import shutil
import subprocess
from pathlib import Path

import pytest
from clients import assert_places

from tfllmrec_client import RecommendedItem

FOLDER = Path(__file__).parents[2] / "serving" / "clients" / "typescript"

pytestmark = [
    pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not there"),
    pytest.mark.skipif(not (FOLDER / "node_modules").exists(), reason=f"npm ci was not run in {FOLDER}"),
]


@pytest.fixture(scope="module")
def retrieve():
    """Runs the program, compiled and checked once: what it prints, or says on stderr."""
    subprocess.run(["npm", "run", "--silent", "build"], cwd=FOLDER, check=True)

    def retrieve(*arguments):
        command = ["node", "build/retrieve.js", *arguments]
        return subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, encoding="utf-8", check=False)

    return retrieve


@pytest.mark.parametrize(("user", "history"), [("用户3", []), ("nobody", ["item1", "电影一"]), ("everything", [])])
def test_it_answers_as_the_recommender_does(retrieve, server, models, user, history):
    found = retrieve(server.process.grpc_address, "films", user, *history)
    assert (found.returncode, found.stderr) == (0, "")
    rows = [line.split("\t") for line in found.stdout.splitlines()]
    places = [RecommendedItem(item, title, float(score)) for item, title, score in rows]
    assert_places([places], models.recommended([user], [history]))


def test_it_says_what_a_server_refuses(retrieve, server):
    found = retrieve(server.process.grpc_address, "filmz", "用户3")
    assert (found.returncode, found.stdout) == (1, "")
    assert "NOT_FOUND" in found.stderr
    assert "filmz" in found.stderr

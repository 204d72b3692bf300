"""`tfllmrec train` as a process of its own that is killed, and begun again."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tfllmrec.data import checkerboard
from tfllmrec.training.runs import Run, Source, train

LIMIT = 600.0
"""Seconds after which a process would hang; nothing here measures time."""
OPTIONS = {"dim": 8, "units": 8, "history_length": 4, "batch_size": 16, "epochs": 5, "patience": 5}
FILES = {"recommender.json", "items.parquet", "users.parquet", "model.keras", "tokens.json", "run.json"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """So many users that an epoch takes much longer than to see that one has ended."""
    folder = tmp_path_factory.mktemp("data") / "checkerboard"
    checkerboard(users=500).data.to_folder(folder)
    return folder


@pytest.fixture
def arguments(data, tmp_path):
    settings = [part for name, value in OPTIONS.items() for part in ("--set", f"{name}={value}")]
    return ["train", "next_item", "--data", str(data), "--out", str(tmp_path / "run"), *settings]


@pytest.fixture
def process(arguments, tmp_path):
    with (tmp_path / "told").open("w") as told:
        process = subprocess.Popen([sys.executable, "-m", "tfllmrec", *arguments], stdout=told, stderr=told)
    yield process
    process.kill()
    process.wait(LIMIT)


def wait_for(found, process):
    latest = time.monotonic() + LIMIT
    while not found():
        assert process.poll() is None, "it ended by itself"
        assert time.monotonic() < latest
        time.sleep(0.005)


def complete_or_not_there(run):
    if run.exists():
        assert set(os.listdir(run)) == FILES
        assert zipfile.is_zipfile(run / "model.keras")
        assert json.loads((run / "run.json").read_text())["history"]


def test_killed_and_begun_again_it_ends_as_if_it_had_not_been(run, process, arguments, data, tmp_path):
    out, unfinished, told = (tmp_path / name for name in ("run", "run.unfinished", "told"))

    def first_backup():
        """Before there is one, whoever is killed leaves nothing to go on from."""
        assert set(os.listdir(tmp_path)) <= {"told", "run.unfinished"}
        return (unfinished / "fit.npz").exists()

    wait_for(first_backup, process)
    process.send_signal(signal.SIGKILL)
    assert process.wait(LIMIT) == -signal.SIGKILL
    assert set(os.listdir(tmp_path)) == {"told", "run.unfinished"}
    assert "going on" not in told.read_text()
    with np.load(unfinished / "fit.npz") as backup:
        assert 1 <= json.loads(str(backup["told"]))["epoch"] < OPTIONS["epochs"]

    ended = threading.Event()

    def watch():
        while not ended.wait(0.002):
            complete_or_not_there(out)
            assert unfinished.exists() or out.exists()  # in this order: it goes when the run is there

    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        status, _, told_again = run(*arguments)
        ended.set()
        watching.result()
    assert (status, set(os.listdir(tmp_path))) == (0, {"told", "run"}), told_again
    assert "next_item: going on after epoch" in told_again
    complete_or_not_there(out)

    found, expected = Run.load(out), train("next_item", Source.of(str(data)), OPTIONS)
    assert found.training_log.keys() == expected.training_log.keys()
    assert found.seconds == pytest.approx(sum(found.training_log["seconds"]), abs=0.1)  # of both processes
    for name, values in expected.training_log.items():
        assert len(values) == len(found.training_log[name]) == OPTIONS["epochs"]
        if name == "seconds":
            continue
        np.testing.assert_allclose(found.training_log[name], values, rtol=1e-4, err_msg=name)
    for one, other in zip(found.recommender.model.weights, expected.recommender.model.weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5, err_msg=other.path)

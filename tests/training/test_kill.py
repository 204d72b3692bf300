"""`tfllmrec train` in a process that is killed and started again."""

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

pytestmark = pytest.mark.slow  # tests/cli interrupts a fit in the same process in every run
TIMEOUT = 600.0
"""Seconds after which a hanging process fails the test."""
OPTIONS = {"dim": 8, "units": 8, "history_length": 4, "batch_size": 16, "epochs": 5, "patience": 5}
FILES = {"recommender.json", "items.parquet", "users.parquet", "model.keras", "tokens.json", "run.json"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Enough users that an epoch takes much longer than noticing its end."""
    folder = tmp_path_factory.mktemp("data") / "checkerboard"
    checkerboard(users=500).data.to_folder(folder)
    return folder


@pytest.fixture
def arguments(data, tmp_path):
    settings = [part for name, value in OPTIONS.items() for part in ("--set", f"{name}={value}")]
    return ["train", "next_item", "--data", str(data), "--out", str(tmp_path / "run"), *settings]


@pytest.fixture
def process(arguments, tmp_path):
    with (tmp_path / "output").open("w") as output:
        process = subprocess.Popen([sys.executable, "-m", "tfllmrec", *arguments], stdout=output, stderr=output)
    yield process
    process.kill()
    process.wait(TIMEOUT)


def wait_for(condition, process):
    end = time.monotonic() + TIMEOUT
    while not condition():
        assert process.poll() is None, "the process has ended"
        assert time.monotonic() < end
        time.sleep(0.005)


def assert_complete_or_absent(run):
    if run.exists():
        assert set(os.listdir(run)) == FILES
        assert zipfile.is_zipfile(run / "model.keras")
        assert json.loads((run / "run.json").read_text())["training_log"]


def test_a_killed_fit_resumes_to_the_same_result(run, process, arguments, data, tmp_path):
    out, unfinished, output = (tmp_path / name for name in ("run", "run.unfinished", "output"))

    def has_backup():
        """A kill before the first backup leaves nothing to resume from."""
        assert set(os.listdir(tmp_path)) <= {"output", "run.unfinished"}
        return (unfinished / "fit.npz").exists()

    wait_for(has_backup, process)
    process.send_signal(signal.SIGKILL)
    assert process.wait(TIMEOUT) == -signal.SIGKILL
    assert set(os.listdir(tmp_path)) == {"output", "run.unfinished"}
    assert "resuming" not in output.read_text()
    with np.load(unfinished / "fit.npz") as backup:
        (state,) = (json.loads(str(array)) for array in backup.values() if array.dtype.kind == "U")
        assert 1 <= state["epoch"] < OPTIONS["epochs"]

    ended = threading.Event()

    def watch():
        while not ended.wait(0.002):
            assert_complete_or_absent(out)
            assert unfinished.exists() or out.exists()  # the backup is removed after the run exists

    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        status, _, stderr = run(*arguments)
        ended.set()
        watching.result()
    assert (status, set(os.listdir(tmp_path))) == (0, {"output", "run"}), stderr
    assert "Training next_item: resuming after epoch" in stderr
    assert_complete_or_absent(out)

    resumed, expected = Run.load(out), train("next_item", Source.of(str(data)), OPTIONS)
    assert resumed.training_log.keys() == expected.training_log.keys()
    assert resumed.seconds == pytest.approx(sum(resumed.training_log["seconds"]), abs=0.1)  # of both processes
    for name, values in expected.training_log.items():
        assert len(values) == len(resumed.training_log[name]) == OPTIONS["epochs"]
        if name == "seconds":
            continue
        np.testing.assert_allclose(resumed.training_log[name], values, rtol=1e-4, err_msg=name)
    for weight, expected_weight in zip(
        resumed.recommender.model.weights, expected.recommender.model.weights, strict=True
    ):
        np.testing.assert_allclose(weight, expected_weight, rtol=1e-3, atol=1e-5, err_msg=expected_weight.path)

"""TFRS does not depend on earlier imports and does not change the caller's `tf.keras`."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import tensorflow as tf

from tfllmrec.tasks.legacy import import_tfrs, legacy_keras

CASES = {
    "tf.keras touched, keras_nlp": (
        "import tensorflow as tf; tf.keras.layers.Dense(1); import keras_nlp",
        {},
        "keras.",
    ),
    "TF_USE_LEGACY_KERAS": ("", {"TF_USE_LEGACY_KERAS": "1"}, "tf_keras."),
}

PROGRAM = """
{before}
import os
import tensorflow as tf
callers_keras, environment = tf.keras, dict(os.environ)

from tfllmrec.tasks.retrieval import Retrieval
assert tf.keras is callers_keras
loss = Retrieval()(tf.eye(2), tf.eye(2), candidate_ids=tf.constant([1, 2]))
assert abs(float(loss) - 0.31326166) < 1e-6, loss  # log(1 + 1/e)
assert tf.keras is callers_keras
assert os.environ == environment
print(tf.keras.Model.__module__)
"""


@pytest.fixture(scope="module")
def processes() -> Iterator[dict[str, subprocess.Popen[str]]]:
    """One process per case, in parallel, because each imports TensorFlow for seconds."""
    clean = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    clean["PYTHONPATH"] = os.pathsep.join(sys.path)
    started = {
        name: subprocess.Popen(
            [sys.executable, "-c", PROGRAM.format(before=before)],
            env=clean | extra,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for name, (before, extra, _) in CASES.items()
    }
    yield started
    for process in started.values():
        process.kill()
        process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_task_is_independent_of_earlier_imports(name: str, processes: dict[str, subprocess.Popen[str]]) -> None:
    out, error = processes[name].communicate(timeout=300)
    assert processes[name].returncode == 0, error
    assert out.strip().startswith(CASES[name][2])


def test_keras_2_is_set_inside_the_block_only() -> None:
    before = tf.keras
    with legacy_keras():
        assert tf.keras.Model.__module__.startswith("tf_keras.")
        with legacy_keras():
            assert tf.keras.Model.__module__.startswith("tf_keras.")
        assert tf.keras.Model.__module__.startswith("tf_keras.")
    assert tf.keras is before


def test_keras_is_restored_after_an_exception() -> None:
    before = tf.keras
    with pytest.raises(ZeroDivisionError), legacy_keras():
        raise ZeroDivisionError
    assert tf.keras is before


def test_tfrs_is_imported_once() -> None:
    before = tf.keras
    assert import_tfrs() is import_tfrs() is sys.modules["tensorflow_recommenders"]
    assert tf.keras is before

"""The caller's Keras: dtype policy and random generators stay as they were, and other backends are refused."""

import contextlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from shared_fits import SharedFits
from small_data import ITEMS, small_data

from tfllmrec import Recommender, load_model
from tfllmrec.export import export
from tfllmrec.keras_state import isolated_keras
from tfllmrec.models.registry import FAMILIES

SLOW = {"multi_task", "word2vec", "cross_encoder", "bert_ranker", "cascade"}
POLICIES = ("mixed_bfloat16", "mixed_float16", "float16", "bfloat16", "float64")
REQUEST = {"users": ["用户1", "用户2", ""], "histories": [[], [ITEMS[3]], [ITEMS[1], ITEMS[2]]], "k": 4}
NEW = pd.DataFrame({"item_id": ["new"], "title": [f"Title of {ITEMS[0]}"]})


@pytest.fixture
def restored() -> Iterator[None]:
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


def same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(found, expected, rtol=1e-5)


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize(
    "family", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in FAMILIES]
)
def test_policy_of_the_caller_has_no_effect(family: str, shared_fits: SharedFits, tmp_path: Path) -> None:
    expected = shared_fits(family).recommend(**REQUEST)
    keras.config.set_dtype_policy("mixed_bfloat16")
    loaded = load_model(shared_fits.saved(family))
    same(loaded.recommend(**REQUEST), expected)
    export(loaded, tmp_path / "served")
    same(shared_fits.make(family).fit(small_data(), verbose=0).recommend(**REQUEST), expected)
    assert keras.config.dtype_policy().name == "mixed_bfloat16"


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_is_replaced(policy: str, shared_fits: SharedFits) -> None:
    fitted = shared_fits("two_tower")
    expected, grown = fitted.recommend(**REQUEST), fitted.with_items(NEW).recommend(**REQUEST)
    keras.config.set_dtype_policy(policy)
    same(shared_fits.make("two_tower").fit(small_data(), verbose=0).recommend(**REQUEST), expected)
    same(fitted.with_items(NEW).recommend(**REQUEST), grown)


@pytest.mark.usefixtures("restored")
def test_floatx_is_replaced_and_restored(shared_fits: SharedFits) -> None:
    expected = shared_fits("next_item").recommend(**REQUEST)
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    same(shared_fits.make("next_item").fit(small_data(), verbose=0).recommend(**REQUEST), expected)
    assert (keras.config.floatx(), keras.config.dtype_policy().name) == ("float64", "float64")


@pytest.mark.usefixtures("restored")
def test_policy_is_restored_after_an_error() -> None:
    keras.config.set_dtype_policy("mixed_float16")
    with contextlib.suppress(ZeroDivisionError), isolated_keras():
        assert keras.config.dtype_policy().name == "float32"
        raise ZeroDivisionError
    assert keras.config.dtype_policy().name == "mixed_float16"


def draws() -> list[Any]:
    """Return numbers of all generators."""
    layer = keras.layers.Dense(2)
    layer.build((None, 2))
    return [
        random.random(),
        np.random.rand(),  # noqa: NPY002  # the global generator
        float(tf.random.uniform([])),
        float(keras.random.uniform([])),
        float(keras.ops.sum(layer.kernel)),
    ]


STEPS: dict[str, Callable[[SharedFits, Path], Any]] = {
    "fit": lambda fits, _: fits.make("two_tower").fit(small_data(), verbose=0),
    "fit of a small BERT": lambda fits, _: fits.make("bert_ranker").fit(small_data(), verbose=0),
    "load": lambda fits, _: load_model(fits.saved("next_item")),
    "with_items": lambda fits, _: fits("two_tower").with_items(NEW),
    "export": lambda fits, folder: export(fits("two_tower"), folder / "served"),
    "recommend": lambda fits, _: fits("two_tower").with_own_trace().recommend(**REQUEST),
}


@pytest.mark.parametrize("step", STEPS)
def test_random_streams_of_the_caller_continue(step: str, shared_fits: SharedFits, tmp_path: Path) -> None:
    keras.utils.set_random_seed(3)
    draws()
    expected = draws()
    keras.utils.set_random_seed(3)
    draws()
    STEPS[step](shared_fits, tmp_path)
    assert draws() == expected


def test_a_fit_is_a_function_of_its_seed(shared_fits: SharedFits) -> None:
    def fitted(seed: int) -> Recommender:
        return shared_fits.make("two_tower", seed=seed).fit(small_data(), verbose=0)

    keras.utils.set_random_seed(1)
    first = fitted(5)
    keras.utils.set_random_seed(2)
    same(fitted(5).recommend(**REQUEST), first.recommend(**REQUEST))
    assert not np.allclose(fitted(6).recommend(**REQUEST)["score"], first.recommend(**REQUEST)["score"])


IMPORTS = {
    "name": "import tfllmrec; tfllmrec.TwoTower",
    "layers": "import tfllmrec.layers.items",
    "tasks": "import tfllmrec.tasks.retrieval",
    "evaluation": "import tfllmrec.evaluation",
    "load": "import tfllmrec; tfllmrec.load_model('x')",
    "training": "import tfllmrec.training.runs",
}


def run(code: str, folder: Path, **environment: str) -> str:
    """Return the last line of a Python process."""
    command = [sys.executable, "-c", code]
    variables = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    finished = subprocess.run(
        command, env=variables | {"KERAS_HOME": str(folder)} | environment, capture_output=True, text=True, check=False
    )
    return (finished.stdout + finished.stderr).strip().splitlines()[-1]


@pytest.mark.parametrize("module", IMPORTS)
def test_another_backend_in_the_environment_is_named(module: str, tmp_path: Path) -> None:
    line = run(IMPORTS[module], tmp_path, KERAS_BACKEND="jax")
    assert line.endswith(
        "InputError: KERAS_BACKEND names the backend 'jax', and tfllmrec runs on tensorflow: unset it, or set "
        "KERAS_BACKEND=tensorflow"
    )


def test_another_backend_in_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "keras.json").write_text(json.dumps({"backend": "torch"}))
    line = run(IMPORTS["name"], tmp_path)
    assert line.endswith(
        f"InputError: {tmp_path}/keras.json names the backend 'torch', and tfllmrec runs on tensorflow: change it, or "
        "set KERAS_BACKEND=tensorflow"
    )
    assert run("import tfllmrec; print(tfllmrec.Popularity())", tmp_path, KERAS_BACKEND="tensorflow") == "Popularity()"


def test_the_command_line_prints_one_sentence(tmp_path: Path) -> None:
    command = ["train", "popularity", "--data", "demo", "--out", "x"]
    code = f"import sys; from tfllmrec.cli import main; sys.argv[1:] = {command}; main()"
    line = run(code, tmp_path, KERAS_BACKEND="jax")
    assert line.startswith("tfllmrec: KERAS_BACKEND names the backend 'jax'")


def test_tables_need_no_keras(tmp_path: Path) -> None:
    code = "import tfllmrec; print(tfllmrec.checkerboard().data.summary()['users'])"
    assert int(run(code, tmp_path, KERAS_BACKEND="jax")) > 0


@pytest.mark.slow
def test_legacy_keras_of_tensorflow_has_no_effect(tmp_path: Path) -> None:
    code = (
        "import tfllmrec; data = tfllmrec.checkerboard().data; model = tfllmrec.TwoTower(dim=8, epochs=1); "
        "print(model.fit(data, verbose=0).is_fitted)"
    )
    assert run(code, tmp_path, TF_USE_LEGACY_KERAS="1") == "True"

"""Tests of the check that a stock TF Serving links all operations of an export."""

import numpy as np
import pytest
import tensorflow as tf
from edited_models import save

from tfllmrec.errors import InputError
from tfllmrec.export import export, op_reach, ops
from tfllmrec.export.card import signatures_of
from tfllmrec.export.ops import TEXT_OPS, check_ops, ops_of, outside_ops


def test_every_export_passes(exported):
    check_ops(exported.path)
    assert outside_ops(exported.path) == {}
    ops = ops_of(exported.path)
    assert "TopKV2" in ops
    used = TEXT_OPS if "rank_texts" in signatures_of(exported.path) else set()  # the list has no unused operations
    assert ops & TEXT_OPS == used


def test_functions_are_not_operations(tmp_path):
    inner = tf.function(tf.strings.length)
    ops = ops_of(save(tmp_path, lambda texts: {"lengths": inner(texts)}))
    assert "StringLength" in ops  # in a nested function
    assert not [name for name in ops if "inference" in name]


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda texts: tf.py_function(lambda text: text, [texts], tf.string), "EagerPyFunc"),
        (lambda texts: tf.numpy_function(np.char.upper, [texts], tf.string), "PyFunc"),
        (lambda texts: tf.numpy_function(np.char.upper, [texts], tf.string, stateful=False), "PyFuncStateless"),
    ],
    ids=["py_function", "numpy_function", "stateless"],
)
def test_python_functions_are_refused(tmp_path, runtime, call, name):
    path = save(tmp_path, lambda texts: {"texts": call(texts)})
    reached = f"signature serving_default reaches {name}"
    with pytest.raises(InputError, match=f"Python functions, which a SavedModel does not contain: {reached}$"):
        check_ops(path)
    with pytest.raises(InputError, match=f"^publish: {name} cannot be allowed: .*, so TF Serving cannot run them$"):
        check_ops(path, [name])
    assert f"'{name}'" in runtime.check(path)["serving_default"]  # has no kernel


def test_other_tensorflow_text_operations_are_refused(tmp_path):
    text = pytest.importorskip("tensorflow_text")

    def trimmed(texts):
        words = tf.strings.split(texts)
        return {"words": text.RoundRobinTrimmer(3).trim([words, words])[0].to_tensor("")}

    path = save(tmp_path, trimmed)
    with pytest.raises(InputError, match=r"does not have these operations: TFText>RoundRobinTrim$"):
        check_ops(path)


def test_a_refused_export_leaves_nothing_behind(tmp_path, monkeypatch, popularity):
    monkeypatch.setattr(op_reach, "reaches_outside", lambda node: node.op == "TopKV2")
    monkeypatch.setattr(ops, "OUTSIDE_OPS", frozenset({"TopKV2"}))
    with pytest.raises(InputError, match=r"outside the graph: .*signature retrieve reaches TopKV2;"):
        export(popularity.recommender, tmp_path / "models" / "films")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not list(tmp_path.glob("models/films/*"))

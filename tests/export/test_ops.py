"""Tests of the check that a stock TF Serving links all operations of an export."""

import numpy as np
import pytest
import tensorflow as tf

from tfllmrec.errors import InputError
from tfllmrec.export.card import signatures_of
from tfllmrec.export.ops import TEXT_OPS, check_ops, ops_of

TEXTS = tf.TensorSpec([None], tf.string, "texts")


def save_function(function, folder):
    """Save a function of texts as a SavedModel and return its folder."""
    module = tf.Module()
    module.call = tf.function(function, input_signature=[TEXTS])
    tf.saved_model.save(module, str(folder), signatures=module.call.get_concrete_function())
    return folder


def test_every_export_passes(exported):
    check_ops(exported.path)
    ops = ops_of(exported.path)
    assert "TopKV2" in ops
    used = TEXT_OPS if "rank_texts" in signatures_of(exported.path) else set()  # the list has no unused operations
    assert ops & TEXT_OPS == used


def test_functions_are_not_operations(tmp_path):
    inner = tf.function(tf.strings.length)
    ops = ops_of(save_function(lambda texts: {"lengths": inner(texts)}, tmp_path))
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
def test_python_functions_are_refused(tmp_path, call, name):
    path = save_function(lambda texts: {"texts": call(texts)}, tmp_path)
    with pytest.raises(InputError, match=rf"^export: TF Serving does not have these operations: {name}$"):
        check_ops(path)


def test_other_tensorflow_text_operations_are_refused(tmp_path):
    text = pytest.importorskip("tensorflow_text")

    def trimmed(texts):
        words = tf.strings.split(texts)
        return {"words": text.RoundRobinTrimmer(3).trim([words, words])[0].to_tensor("")}

    path = save_function(trimmed, tmp_path)
    with pytest.raises(InputError, match=r"does not have these operations: TFText>RoundRobinTrim$"):
        check_ops(path)

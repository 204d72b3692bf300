"""The check of operations: what a stock TF Serving links, and what it does not."""

import numpy as np
import pytest
import tensorflow as tf

from tfllmrec.errors import InputError
from tfllmrec.export.card import signatures_of
from tfllmrec.export.ops import TEXT_OPS, check_ops, ops_of

TEXTS = tf.TensorSpec([None], tf.string, "texts")


def saved(function, folder):
    """A SavedModel of a function of texts."""
    module = tf.Module()
    module.call = tf.function(function, input_signature=[TEXTS])
    tf.saved_model.save(module, str(folder), signatures=module.call.get_concrete_function())
    return folder


def test_every_export_passes(exported):
    check_ops(exported.path)
    found = ops_of(exported.path)
    assert "TopKV2" in found
    used = TEXT_OPS if "rank_texts" in signatures_of(exported.path) else set()  # none is in the list for nothing
    assert found & TEXT_OPS == used


def test_functions_are_no_operations(tmp_path):
    inner = tf.function(tf.strings.length)
    found = ops_of(saved(lambda texts: {"lengths": inner(texts)}, tmp_path))
    assert "StringLength" in found  # it stands in a function of a function
    assert not [name for name in found if "inference" in name]


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda texts: tf.py_function(lambda one: one, [texts], tf.string), "EagerPyFunc"),
        (lambda texts: tf.numpy_function(np.char.upper, [texts], tf.string), "PyFunc"),
        (lambda texts: tf.numpy_function(np.char.upper, [texts], tf.string, stateful=False), "PyFuncStateless"),
    ],
    ids=["py_function", "numpy_function", "stateless"],
)
def test_python_in_a_graph_is_refused(tmp_path, call, name):
    path = saved(lambda texts: {"found": call(texts)}, tmp_path)
    with pytest.raises(InputError, match=rf"^export: TF Serving does not have these operations: {name}$"):
        check_ops(path)


def test_other_operations_of_tensorflow_text_are_refused(tmp_path):
    text = pytest.importorskip("tensorflow_text")

    def trimmed(texts):
        words = tf.strings.split(texts)
        return {"words": text.RoundRobinTrimmer(3).trim([words, words])[0].to_tensor("")}

    path = saved(trimmed, tmp_path)
    with pytest.raises(InputError, match=r"does not have these operations: TFText>RoundRobinTrim$"):
        check_ops(path)

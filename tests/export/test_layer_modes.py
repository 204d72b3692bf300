"""Exports from machines with a GPU run on servers without a GPU."""

import sys

import keras
import pytest
import tensorflow as tf

from tfllmrec.export import Servable, export
from tfllmrec.export.layer_modes import serving_modes
from tfllmrec.export.saved_model import meta_graph, nodes_of


@pytest.fixture
def recurrent():
    """A model and its recurrent layers, which require, allow and forbid cuDNN; two layers are in nested models."""
    layers = [
        keras.layers.LSTM(2, return_sequences=True, use_cudnn=True),
        keras.layers.GRU(2, return_sequences=True, use_cudnn="auto"),
        keras.layers.GRU(2, return_sequences=True, use_cudnn=False),
    ]
    inputs = keras.Input((3, 2))
    inner = keras.Sequential([keras.Input((3, 2)), layers[0]])
    middle = keras.Model(inputs, keras.layers.Dense(2)(layers[1](inner(inputs))))
    return keras.Model(inputs, layers[2](middle(inputs))), layers


def cudnn_flags(layers):
    return [layer.use_cudnn for layer in layers]


def test_cudnn_is_disabled_inside_the_block(recurrent):
    model, layers = recurrent
    with serving_modes(model._flatten_layers(), compiled=False):
        assert cudnn_flags(layers) == [False, False, False]
    assert cudnn_flags(layers) == [True, "auto", False]


def test_cudnn_flags_are_restored_after_an_error(recurrent):
    model, layers = recurrent
    with pytest.raises(ZeroDivisionError), serving_modes(model._flatten_layers(), compiled=False):
        1 / sum(map(bool, cudnn_flags(layers)))  # divides by zero, because all flags are off
    assert cudnn_flags(layers) == [True, "auto", False]


def cudnn_ops(graph):
    return {node.op for node in nodes_of(graph) if "cudnn" in node.op.lower()}


def test_export_on_a_machine_with_a_gpu_has_no_cudnn_operations(next_item, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules["keras.src.backend.tensorflow.rnn"], "_is_gpu_available", lambda: True)
    index, rows = tf.TensorSpec([None], tf.int32), tf.TensorSpec([None, 4], tf.int32)
    specs = {"user": index, "history": rows, "exclude": rows}
    core = Servable(next_item.recommender, 3).cores["best"].function.get_concrete_function(specs)
    assert cudnn_ops(core.graph.as_graph_def())  # Keras' default with a GPU

    assert not cudnn_ops(meta_graph(export(next_item.recommender, tmp_path)).graph_def)

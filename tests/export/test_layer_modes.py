"""On a machine with a GPU the export still is one that a server without one can run."""

import sys

import keras
import pytest
import tensorflow as tf

from tfllmrec.export import Servable, export
from tfllmrec.export.layer_modes import serving_modes
from tfllmrec.export.saved_model import meta_graph, nodes_of


@pytest.fixture
def recurrent():
    """Layers that want cuDNN, may have it and must not, two of them inside models inside the model."""
    layers = [
        keras.layers.LSTM(2, return_sequences=True, use_cudnn=True),
        keras.layers.GRU(2, return_sequences=True, use_cudnn="auto"),
        keras.layers.GRU(2, return_sequences=True, use_cudnn=False),
    ]
    given = keras.Input((3, 2))
    inner = keras.Sequential([keras.Input((3, 2)), layers[0]])
    middle = keras.Model(given, keras.layers.Dense(2)(layers[1](inner(given))))
    return keras.Model(given, layers[2](middle(given))), layers


def flags(layers):
    return [layer.use_cudnn for layer in layers]


def test_it_is_off_inside_and_as_before_after(recurrent):
    model, layers = recurrent
    with serving_modes(model._flatten_layers(), compiled=False):
        assert flags(layers) == [False, False, False]
    assert flags(layers) == [True, "auto", False]


def test_it_is_as_before_after_an_error(recurrent):
    model, layers = recurrent
    with pytest.raises(ZeroDivisionError), serving_modes(model._flatten_layers(), compiled=False):
        1 / sum(map(bool, flags(layers)))  # no layer's flag is on, so this is the error
    assert flags(layers) == [True, "auto", False]


def cudnn_in(graph):
    return {node.op for node in nodes_of(graph) if "cudnn" in node.op.lower()}


def test_an_export_from_a_machine_with_a_gpu(next_item, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules["keras.src.backend.tensorflow.rnn"], "_is_gpu_available", lambda: True)
    index, rows = tf.TensorSpec([None], tf.int32), tf.TensorSpec([None, 4], tf.int32)
    specs = {"user": index, "history": rows, "exclude": rows}
    core = Servable(next_item.recommender, 3).cores["best"].function.get_concrete_function(specs)
    assert cudnn_in(core.graph.as_graph_def())  # what Keras does there

    assert not cudnn_in(meta_graph(export(next_item.recommender, tmp_path)).graph_def)

"""Every registered layer survives saving in a functional model and `from_config`."""

from pathlib import Path

import keras
import numpy as np
import pytest
import scipy.sparse

from tfllmrec.layers import experts, fusion, history, item_index, item_to_item, items, scoring, users
from tfllmrec.layers.encoders import recurrent
from tfllmrec.models.bert_ranker import network as bert_ranker
from tfllmrec.models.cascade import network as cascade
from tfllmrec.models.cross_encoder import network as cross_encoder
from tfllmrec.models.multi_task import heads as multi_task
from tfllmrec.models.multi_task import scenarios
from tfllmrec.models.two_tower import network as two_tower

ITEMS, LENGTH, DIM = 5, 4, 3
RANDOM = np.random.default_rng(0)
MATRIX = scipy.sparse.csr_array(RANDOM.random((ITEMS + 1, ITEMS + 1)) * (RANDOM.random((ITEMS + 1, ITEMS + 1)) < 0.5))
HISTORIES = np.array([[1, 2, 3, 4], [5, 1, 0, 0], [0, 0, 0, 0]], np.int32)


def weights_of(past: keras.KerasTensor) -> keras.KerasTensor:
    return history.HistoryWeights(ITEMS, 0.5, 3)(past)


def vectors_of(past: keras.KerasTensor) -> keras.KerasTensor:
    return keras.layers.Embedding(ITEMS + 1, DIM)(past)


def pooled(past: keras.KerasTensor) -> keras.KerasTensor:
    vectors = vectors_of(past)
    return two_tower.HistoryPooling(2)(vectors, past > 0, vectors[:, 0])


def features_of(past: keras.KerasTensor) -> keras.KerasTensor:
    return users.StoredFeatures.from_table(RANDOM.integers(0, 4, (ITEMS + 1, LENGTH)))(past[:, 0], past * 0)


def popular(past: keras.KerasTensor) -> keras.KerasTensor:
    counts = RANDOM.integers(0, 9, (3, ITEMS + 1))
    return users.SegmentPopularity.from_counts(counts, np.array([2, 4]), ITEMS)(past)


def gated(past: keras.KerasTensor) -> keras.KerasTensor:
    return fusion.ModalityGate(0.2, seed=3)(vectors_of(past), past > 0)


def attended(past: keras.KerasTensor) -> keras.KerasTensor:
    vectors = vectors_of(past) * keras.ops.cast(past > 0, "float32")[..., None]
    return bert_ranker.TargetAttention(2)(vectors, past > 0, vectors_of(past))


def paired(past: keras.KerasTensor) -> keras.KerasTensor:
    return cross_encoder.Pairs(6, 8, 9)(past[:, None], past[:, None])["token_ids"]


def fused(past: keras.KerasTensor) -> keras.KerasTensor:
    states = keras.ops.stack([vectors_of(past)[:, 0], vectors_of(past)[:, 1]], axis=1)
    return scenarios.ScenarioFusion(dim=4)(states, past[:, :2], past[:, 0] * 0 + 2)


MEMBERS = np.array([[0] * (ITEMS + 1), [0, 1, 1, 0, 0, 1], [0, 0, 0, 1, 1, 1]], bool)
ALLOWED = [[[1, 1, 0], [1, 0, 1]], [[1, 1, 1], [1, 0, 1]], [[1, 0, 0], [0, 0, 1]]]
MODELS = {
    bert_ranker.TargetAttention: attended,
    cascade.ScoresOfAll: lambda past: cascade.ScoresOfAll()(past, past * 1.0, weights_of(past)),
    cross_encoder.TokenTable: cross_encoder.TokenTable(ITEMS, 3),
    cross_encoder.Pairs: paired,
    cross_encoder._Reshaped: lambda past: cross_encoder._Reshaped()(past[:, :1] * 1.0, past[:, :1]),
    experts.ExpertBank: lambda past: experts.ExpertBank(2, 4, 5, 0.1)(vectors_of(past)[:, 0]),
    experts.ExpertGates: lambda past: experts.ExpertGates(ALLOWED)(vectors_of(past)[:, 0], past[:, 1] * 0 + 1),
    fusion.ModalityGate: gated,
    history.DecayedMean: lambda past: history.DecayedMean(0.8)(vectors_of(past), past > 0),
    history.MostRecentFirst: history.MostRecentFirst(),
    history.HistoryWeights: weights_of,
    history.LastState: lambda past: history.LastState()(vectors_of(past), past),
    multi_task.UserBias: lambda past: multi_task.UserBias(ITEMS)(past[:, 0]),
    scenarios.SplitByScenario: lambda past: scenarios.SplitByScenario.of(MEMBERS)(past)[0],
    scenarios.NonEmptyRows: lambda past: scenarios.NonEmptyRows()(past[:, None])[0],
    scenarios.StatesAt: lambda past: scenarios.StatesAt()(vectors_of(past), past[:, :2] * 0, past[:, :2] * 0 + 3),
    scenarios.ScenarioFusion: fused,
    scoring.PopularityScores: scoring.PopularityScores(ITEMS).set_counts(np.arange(ITEMS + 1)),
    scoring.FallbackIfEmpty: lambda past: scoring.FallbackIfEmpty()(weights_of(past), weights_of(past) + 1.0, past),
    item_index.ItemIndex: item_index.ItemIndex(ITEMS, DIM, biased=True),
    item_to_item.DenseItemToItem: lambda past: item_to_item.DenseItemToItem(ITEMS)(weights_of(past)),
    item_to_item.SparseItemToItem: lambda past: item_to_item.SparseItemToItem.from_matrix(MATRIX)(weights_of(past)),
    items.ItemEmbedding: items.ItemEmbedding.with_content(
        DIM, tokens=MATRIX, vectors={"image": MATRIX.toarray()}, token_std=0.3, id_dropout=0.1, modality_dropout=0.2
    ),
    two_tower.HistoryPooling: pooled,
    users.FeatureMean: users.FeatureMean(ITEMS, DIM),
    users.SegmentPopularity: popular,
    users.StoredFeatures: features_of,
    recurrent.HistoryMeans: lambda past: recurrent.HistoryMeans(2)(vectors_of(past)),
    items.ItemBias: items.ItemBias(ITEMS),
}
"""Functions from a history to an output, by the layer under test."""
LAYERS = pytest.mark.parametrize("layer", MODELS, ids=lambda layer: layer.__name__)


def model_of(layer: type) -> keras.Model:
    past = keras.Input((LENGTH,), dtype="int32")
    return keras.Model(past, MODELS[layer](past))


def own_layer(model: keras.Model, layer: type) -> keras.layers.Layer:
    return next(part for part in model.layers if isinstance(part, layer))


def test_every_registered_layer_is_tested() -> None:
    registered = {
        name: part for name, part in keras.saving.get_custom_objects().items() if name.startswith("tfllmrec>")
    }
    ours = {
        name: part
        for name, part in registered.items()
        if part.__module__.startswith(("tfllmrec.layers.", "tfllmrec.models."))
    }
    assert set(ours.values()) == set(MODELS)


@LAYERS
def test_outputs_and_weights_survive_saving(layer: type, tmp_path: Path) -> None:
    model = model_of(layer)
    own = own_layer(model, layer)
    for variable in own.variables:  # outputs must not depend on initial weights
        if variable.dtype == "float32":
            variable.assign(RANDOM.normal(size=variable.shape))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(loaded(HISTORIES), model(HISTORIES))
    loaded_layer = own_layer(loaded, layer)
    assert loaded_layer.get_config() == own.get_config()
    for weight, expected in zip(loaded_layer.weights, own.weights, strict=True):  # unread ones included
        np.testing.assert_array_equal(weight, expected)


@LAYERS
def test_a_layer_is_rebuilt_from_its_config(layer: type) -> None:
    own = own_layer(model_of(layer), layer)
    twin = layer.from_config(own.get_config())
    assert twin.get_config() == own.get_config()
    shapes = [tuple(variable.shape) for variable in own.variables]
    assert not twin.built or [tuple(variable.shape) for variable in twin.variables] == shapes


@LAYERS
def test_symbolic_shapes_match_computed_ones(layer: type) -> None:
    model = model_of(layer)
    outputs = model(HISTORIES)
    assert tuple(model.output.shape) == (None, *outputs.shape[1:])
    assert model.output.dtype == outputs.dtype
    assert np.isfinite(outputs).all()  # the row of padding included

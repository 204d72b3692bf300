"""The next-item family: recipes, options, precision and the served models."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tfllmrec import NextItem, Recommender
from tfllmrec.data import Checkerboard, Dataset, Split
from tfllmrec.errors import InputError
from tfllmrec.layers.encoders.recurrent import history_encoder
from tfllmrec.models.next_item import model as next_item
from tfllmrec.models.next_item.config import NextItemConfig
from tfllmrec.models.next_item.network import query_model
from tfllmrec.models.registry import load_model


@pytest.fixture(scope="module")
def trained(split: Split, make: Callable[..., Recommender]) -> Recommender:
    """A fit at a learning rate so high that the last epochs are not the best."""
    options = {"epochs": 40, "patience": 2, "learning_rate": 0.3, "ema": 0.3, "batch_size": 8, "warmup": 0}
    return make("next_item", **options, dropout=0.1, input_dropout=0.1).fit(split.train, split.validation, verbose=0)


def test_early_stopping_keeps_the_best_epoch(trained: Recommender, split: Split) -> None:
    values = trained.training_log["val_ndcg@10"]
    best = int(np.argmax(values))
    assert len(values) == best + 1 + 2 < 40
    assert values[best] > values[-1] + 0.01
    assert trained.evaluate(split.validation)["ndcg@10"] == pytest.approx(values[best], abs=1e-6)
    assert trained.refit_config().epochs == best + 1


def test_served_models_equal_the_trained_ones(trained: Recommender, split: Split) -> None:
    queries, candidates = trained.built.network.queries, trained.built.network.candidates
    items = candidates(np.arange(len(split.train.item_vocabulary) + 1, dtype=np.int32))
    vectors, biases = items["candidate"].numpy(), items["bias"].numpy()
    assert np.abs(biases).max() > 0.01
    np.testing.assert_allclose(trained.index.vectors, vectors, rtol=1e-6)
    np.testing.assert_allclose(trained.index.biases, biases, rtol=1e-6)
    users, histories = np.array([1, 0], np.int32), np.array([[1, 2, 0, 0], [3, 4, 5, 6]], np.int32)
    query = queries({"history": histories}).numpy()
    inputs = {"user": users, "history": histories}
    np.testing.assert_allclose(trained.query_model(inputs), query, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(trained.score(users, histories), query @ vectors.T + biases, rtol=1e-4, atol=1e-5)


def test_bfloat16_is_for_training_only(split: Split, make: Callable[..., Recommender], tmp_path: Path) -> None:
    """Scoring, saved and served models compute in float32, recurrent layers included, with the same weights."""
    recommender = make("next_item", precision="bfloat16", epochs=3, pooling_heads=0).fit(split.train, verbose=0)
    encoder = recommender.model.get_layer("history_encoder")
    recurrent = encoder.get_layer("lstm_1")
    assert (recurrent.compute_dtype, recurrent.variable_dtype) == ("bfloat16", "float32")
    exact = history_encoder(
        dim=encoder.input.shape[2], history_length=encoder.input.shape[1], units=recurrent.units,
    )  # fmt: skip
    exact.set_weights(encoder.get_weights())
    histories = np.array([[1, 2, 3, 0], [3, 4, 5, 6]], np.int32)
    query = query_model(recommender.index, exact, recommender.model.get_layer("query_head"))({"history": histories})
    inputs = {"user": np.array([1, 0], np.int32), "history": histories}
    np.testing.assert_array_equal(recommender.query_model(inputs), query)
    assert np.abs(query - recommender.built.network.queries({"history": histories})).max() > 1e-4  # bfloat16 differs
    recommender.save(tmp_path / "run")
    np.testing.assert_array_equal(load_model(tmp_path / "run").query_model(inputs), query)


def test_the_user_is_not_read(trained: Recommender) -> None:
    histories = np.array([[1, 2, 0, 0]] * 3, np.int32)
    scores = trained.score(np.array([0, 1, 7], np.int32), histories).numpy()
    np.testing.assert_allclose(scores, scores[[0, 0, 0]], rtol=1e-5)


def scores_after(recommender: Recommender, history: list[str]) -> pd.Series:
    table = recommender.recommend(histories=[history], k=99, exclude_seen=False)
    return table.set_index("item_id")["score"].sort_index()


def test_only_the_newest_items_are_read(trained: Recommender) -> None:
    newest = ["i02", "i03", "i04", "i05"]
    expected = scores_after(trained, newest)
    pd.testing.assert_series_equal(scores_after(trained, ["i08", "i01", "i10", *newest]), expected)
    assert not np.allclose(scores_after(trained, ["i06", "i03", "i04", "i05"]), expected)  # the oldest that is read
    assert not np.allclose(scores_after(trained, newest[::-1]), expected)


def test_unknown_items_are_skipped(trained: Recommender) -> None:
    """They do not count as recent items."""
    expected = scores_after(trained, ["i02", "i03", "i04", "i05"])
    padded = scores_after(trained, ["i02", "", "i03", "unheard of", "i04", "i05", "never"])
    pd.testing.assert_series_equal(padded, expected)


def test_empty_histories_are_scored_by_popularity(trained: Recommender, split: Split) -> None:
    scores = trained.score(np.array([3, 0], np.int32), np.zeros((2, 4), np.int32))
    np.testing.assert_allclose(scores, [np.log1p(split.train.item_counts)] * 2, rtol=1e-6)


class BuiltError(Exception):
    """Carry the arguments of a constructor, and stop the fit."""


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch, board: Checkerboard) -> Callable[..., tuple[keras.Model, dict[str, Any]]]:
    """Return the untrained model with some options, and the options of its task."""

    def build(data: Dataset = board.data, **options: Any) -> tuple[keras.Model, dict[str, Any]]:
        def task(**options: Any) -> dict[str, Any]:
            return options

        def trainer(queries: keras.Model, candidates: keras.Model, task: dict[str, Any], **options: Any) -> None:
            raise BuiltError({**options, **task})

        def recorded(self: NextItem, network: Any, content: Any) -> Any:
            networks.append(network)
            return serve(self, network, content)

        networks, serve = [], NextItem._serve
        monkeypatch.setattr(NextItem, "_serve", recorded)
        monkeypatch.setattr(next_item, "NextItemTask", task)
        monkeypatch.setattr(next_item, "NextItemModel", trainer)
        recommender = NextItem(**options)
        with pytest.raises(BuiltError) as built:
            recommender.fit(data)
        return networks[0].model, built.value.args[0]

    return build


def dropout_rates(model: keras.Model) -> list[float]:
    return sorted(part.rate for part in model.layers if isinstance(part, keras.layers.Dropout))


def test_options_reach_the_model(build: Callable[..., tuple[keras.Model, dict[str, Any]]], board: Checkerboard) -> None:
    model, options = build(
        history_length=9, dim=6, units=5, cell="gru", layers=2, pooling_heads=3, hidden_units=7,
        normalise=True, content=True,
        token_std=0.7, input_dropout=0.11, dropout=0.22, query_dropout=0.33, candidate_dropout=0.44,
        label_smoothing=0.15, hide_seen=False, negatives="full", precision="bfloat16",
    )  # fmt: skip
    items, encoder, head = (model.get_layer(name) for name in ("items", "history_encoder", "query_head"))
    assert (items.dim, items.token_std) == (6, 0.7)
    assert items.token_count > 0
    assert encoder.input.shape == (None, 9, 6)
    assert encoder.output.shape == (None, 9, 5 + 3 * 6)
    assert {type(part).__name__ for part in encoder.layers} >= {"GRU", "HistoryMeans", "LayerNormalization"}
    assert [encoder.get_layer(name).units for name in ("gru_1", "gru_2")] == [5, 5]
    assert head.get_layer("hidden_units").units == 7
    assert [dropout_rates(part) for part in (encoder, head, model)] == [[0.11, 0.11, 0.22, 0.22], [0.22, 0.33], [0.44]]
    np.testing.assert_array_equal(options.pop("item_counts"), board.data.item_counts)
    expected = {"label_smoothing": 0.15, "precision": "bfloat16"}
    assert options == {**expected, "hide_seen": False, "negatives": None}


def test_other_options_reach_the_model(
    build: Callable[..., tuple[keras.Model, dict[str, Any]]], board: Checkerboard
) -> None:
    model, options = build(
        history_length=11, dim=5, units=5, content=False, negatives="sampled", num_negatives=13, label_smoothing=0.0
    )
    items, encoder, head = (model.get_layer(name) for name in ("items", "history_encoder", "query_head"))
    assert [weight.name for weight in items.weights] == ["id_vectors"]
    assert encoder.get_layer("lstm_1").units == 5
    assert encoder.output.shape == (None, 11, 5)
    assert not any(isinstance(part, keras.layers.Dense) for part in head.layers)  # already of the width of item vectors
    targets = tf.constant([3, 1])
    drawn = options.pop("negatives")(targets)
    np.testing.assert_array_equal(options.pop("item_counts"), board.data.item_counts)
    assert len(drawn.items) == 2 + 13
    np.testing.assert_array_equal(drawn.items[:2], targets)
    assert drawn.sampling_probability.shape == (15,)
    assert options == {"label_smoothing": 0.0, "precision": "float32", "hide_seen": True}


def test_options_reach_the_batches(board: Checkerboard, monkeypatch: pytest.MonkeyPatch) -> None:
    def batches(*arguments: Any, **options: Any) -> None:
        raise BuiltError(arguments, options)

    monkeypatch.setattr(next_item, "window_batches", batches)
    with pytest.raises(BuiltError) as built:
        NextItem(history_length=7, batch_size=9, seed=11, dim=4, units=4).fit(board.data)
    assert built.value.args == ((board.data, 7, 9), {"seed": 11, "first_epoch": 0})


def sized(interactions: int, items: int, users: int) -> Any:
    """Return the sizes of a data set that choose a recipe."""
    return SimpleNamespace(interactions=range(interactions), item_vocabulary=range(items), user_vocabulary=range(users))


ML_1M_RECIPE = NextItemConfig(
    history_length=100, pooling_heads=4, hidden_units=256, normalise=True, token_std=0.05, input_dropout=0.4,
    dropout=0.3, query_dropout=0.1, candidate_dropout=0.2, label_smoothing=0.0, learning_rate=1.5e-3, weight_decay=0.2,
    epochs=20, patience=6,
)  # fmt: skip
BEAUTY_RECIPE = NextItemConfig(history_length=20, batch_size=256, token_std=0.2, learning_rate=2e-3)
DEMO_RECIPE = NextItemConfig(patience=8)
ML_1M, BEAUTY, DEMO = (1_000_209, 3_706, 6_040), (198_502, 12_101, 22_363), (88_730, 3_496, 671)


@pytest.mark.parametrize(
    ("size", "recipe"),
    [
        (ML_1M, ML_1M_RECIPE),
        (BEAUTY, BEAUTY_RECIPE),
        (DEMO, DEMO_RECIPE),
        ((100_000, 1_000, 50_000), ML_1M_RECIPE),  # many interactions per item and short histories
        ((20_000, 1_000, 1_000), DEMO_RECIPE),
        ((19_999, 1_000, 1_000), BEAUTY_RECIPE),
    ],
)
def test_the_recipe_follows_the_size_of_the_data(size: tuple[int, int, int], recipe: NextItemConfig) -> None:
    assert NextItemConfig.for_data(sized(*size), {}) == recipe
    changed = NextItemConfig.for_data(sized(*size), {"epochs": 3, "seed": 5, "negatives": "sampled"})
    assert changed == replace(recipe, epochs=3, seed=5, negatives="sampled")


def test_many_items_select_a_narrow_model_and_sampled_negatives() -> None:
    full, sampled = (NextItemConfig.for_data(sized(900_000, items, 90_000), {}) for items in (100_000, 100_001))
    assert full == BEAUTY_RECIPE
    assert (sampled.negatives, sampled.dim, sampled.units) == ("sampled", 64, 64)
    assert sampled.dropout == full.dropout
    options = NextItemConfig.for_data(sized(900_000, 100_001, 90_000), {"negatives": "full", "dim": 8})
    assert options == replace(sampled, negatives="full", dim=8)


@pytest.mark.parametrize("recipe", [ML_1M_RECIPE, BEAUTY_RECIPE, DEMO_RECIPE], ids=["ml_1m", "amazon_beauty", "demo"])
def test_recipes_survive_json(recipe: NextItemConfig) -> None:
    assert NextItemConfig.from_options(json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_recipes_differ() -> None:
    assert len({ML_1M_RECIPE, BEAUTY_RECIPE, DEMO_RECIPE}) == 3


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("cell", "rnn"), ("negatives", "in_batch"), ("layers", 0), ("pooling_heads", -1), ("hidden_units", -1),
        ("units", 0),
        ("token_std", 0), ("label_smoothing", 1.0), ("query_dropout", -0.1), ("num_negatives", 0), ("warmup", -1),
        ("schedule", "linear"), ("learning_rate", 0), ("vectors", 3), ("id_dropout", 1.0), ("modality_dropout", -1),
        ("precision", "float64"),
    ],
)  # fmt: skip
def test_invalid_options_are_refused(option: str, value: object) -> None:
    with pytest.raises(InputError, match=f"^option {option}={value!r}: "):
        NextItem(**{option: value})

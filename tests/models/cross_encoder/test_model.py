"""The cross-encoder: texts of items, tuning and precision of its BERT, and scoring in passes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tfllmrec import CrossEncoder
from tfllmrec.content.bert_loading import pretrained_bert
from tfllmrec.content.item_texts import items_to_texts
from tfllmrec.data import Checkerboard, Split
from tfllmrec.data.splits import leave_last_out
from tfllmrec.errors import InputError
from tfllmrec.models.cross_encoder.network import Pairs
from tfllmrec.models.registry import load_model

Make = Callable[..., Any]
HISTORIES = np.array([[1, 3, 5, 7], [2, 4, 0, 0]], np.int32)
CANDIDATES = np.array([[1, 20, 4], [5, 6, 2]], np.int32)
NEW = pd.DataFrame({"item_id": ["n1", "n2"], "title": ["花样年华", "odd film 7"], "categories": ["even", "odd|even"]})


@pytest.fixture(scope="module")
def trained(make: Make, split: Split) -> CrossEncoder:
    """A cross-encoder that reads categories before titles."""
    options = {"columns": "categories,title", "title_length": 9, "text_length": 20, "history_tokens": 17}
    return make("cross_encoder", **options).fit(split.train, split.validation, verbose=0)


def scores_of(ranker: CrossEncoder) -> np.ndarray:
    return ranker.predictor.score_candidates(np.array([0, 3], np.int32), HISTORIES, CANDIDATES)["scores"].numpy()


def policies_of(ranker: CrossEncoder) -> set[str]:
    return {layer.dtype_policy.name for layer in ranker.built.bert.backbone.layers if layer.weights}


def test_items_are_read_by_title_in_histories_and_by_columns_as_candidates(trained: CrossEncoder, split: Split) -> None:
    """Known and new items have the scores of their raw texts."""
    grown, columns = trained.with_items(NEW), ["item_id", "title", "categories"]
    items = pd.concat([split.train.items[columns], NEW], ignore_index=True)
    titles, texts = items["title"].tolist(), items_to_texts(items, ["categories", "title"])
    assert texts[20:] == ["even. 花样年华", "odd, even. odd film 7"]
    histories = np.array([[1, 21, 3, 0], [22, 2, 5, 9], [21, 0, 0, 0]], np.int32)
    candidates = np.array([[2, 21, 22], [22, 1, 20], [21, 22, 4]], np.int32)
    scores = grown.predictor.score_candidates(np.zeros(3, np.int32), histories, candidates)["scores"].numpy()
    read = [[titles[item - 1] for item in row if item] for row in histories]
    expected = grown.score_texts(read, [[texts[item - 1] for item in row] for row in candidates])
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)
    assert np.ptp(scores, axis=1).min() > 1e-4
    np.testing.assert_array_equal(scores_of(grown), scores_of(trained))
    assert grown.score(np.zeros(3, np.int32), histories).shape == (3, 23)


def test_the_frame_has_the_special_tokens_of_the_tokenizer(trained: CrossEncoder) -> None:
    pairs, tokenizer = trained.model.get_layer("pair_scorer").get_layer("pairs"), trained.built.bert.tokenizer
    assert [tokenizer.id_to_token(token) for token in (pairs.start, pairs.separator)] == ["[CLS]", "[SEP]"]
    assert pairs.history_tokens == 17


@pytest.mark.parametrize(
    "tuning", ["lora", *(pytest.param(name, marks=pytest.mark.slow) for name in ("full", "frozen"))]
)
def test_tuning_selects_the_trained_weights(tuning: str, make: Make, split: Split, tiny_bert: Path) -> None:
    made = make("cross_encoder", tuning=tuning, lora_rank=3, learning_rate=1e-2).fit(split.train, verbose=0)
    before = {weight.path: weight.numpy() for weight in pretrained_bert(tiny_bert).backbone.weights}
    after = {weight.path: weight.numpy() for weight in made.built.bert.backbone.weights}
    moved = {path.split("/")[-1] for path, values in before.items() if (values != after[path]).any()}
    added = {path: values for path, values in after.items() if path not in before}
    score = made.model.get_layer("pair_scorer").get_layer("score")
    assert score.bias.numpy() != 0
    expected = {"full": {"kernel", "embeddings", "gamma", "beta", "bias"}, "lora": {"bias"}, "frozen": set()}
    assert moved == expected[tuning]
    assert (added == {}) == (tuning != "lora")
    assert all(3 in values.shape and values.any() for values in added.values())  # half of them start at 0


def test_a_small_bert_is_trained_on_candidate_texts_for_whole_pairs(
    configured: Make, split: Split, small_bert_calls: list[Any]
) -> None:
    configured("cross_encoder", backbone="small", columns="title", seed=4)._backbone(split.train)
    assert small_bert_calls == [split.train.items["title"].tolist(), {"length": 20 + 12 + 3, "seed": 4}]


@pytest.mark.usefixtures("untrained")
def test_a_pair_too_long_for_the_bert_is_refused(make: Make, split: Split) -> None:
    with pytest.raises(InputError) as error:
        make("cross_encoder", history_tokens=26).fit(split.train, verbose=0)
    assert str(error.value) == (
        "cross_encoder: this BERT reads at most 40 tokens, and a pair has 41, history_tokens + text_length + 3; "
        "lower one of them"
    )
    assert make("cross_encoder", history_tokens=25).fit(split.train, verbose=0)


@pytest.mark.slow
def test_bfloat16_survives_saving(make: Make, board: Checkerboard, tmp_path: Path) -> None:
    """BERT computes in bfloat16 after training and loading; weights and scores are float32."""
    trained = make("cross_encoder", precision="bfloat16").fit(board.data, verbose=0)
    assert np.isfinite(trained.training_log["loss"]).all()
    assert policies_of(trained) == {"mixed_bfloat16"}
    assert {weight.dtype for weight in trained.built.bert.backbone.weights} == {"float32"}
    scores = scores_of(trained)
    assert scores.dtype == np.float32
    assert np.ptp(scores, axis=1).min() > 1e-3
    trained.save(tmp_path / "run")
    loaded = load_model(tmp_path / "run")
    assert (loaded.config.precision, policies_of(loaded)) == ("bfloat16", {"mixed_bfloat16"})
    np.testing.assert_array_equal(scores_of(loaded), scores)
    texts = [["even film"]], [["odd film 7", "even song"]]
    np.testing.assert_array_equal(loaded.score_texts(*texts)[0], trained.score_texts(*texts)[0])


@pytest.mark.parametrize(("tuning", "rate"), [("full", 5e-5), ("lora", 2e-3), ("frozen", 1e-3)])
def test_the_learning_rate_depends_on_the_tuning(board: Checkerboard, tuning: str, rate: float) -> None:
    config = CrossEncoder.config_class
    assert config.for_data(board.data, {"tuning": tuning}).learning_rate == rate
    assert config.for_data(board.data, {"tuning": tuning, "learning_rate": 0.1}).learning_rate == 0.1


def test_pairs_are_scored_in_small_passes(trained: CrossEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Candidates, texts and all items are scored in passes: batches of long lists would take gigabytes."""
    passes: list[tuple[int, int]] = []
    original = Pairs.call

    def call(self: Pairs, history: tf.Tensor, candidates: tf.Tensor) -> dict[str, tf.Tensor]:
        passes.append(tuple(candidates.shape[:2]))
        return original(self, history, candidates)

    monkeypatch.setattr(Pairs, "call", call)
    monkeypatch.setattr("tfllmrec.models.ranker.passes._PAIRS", 2)
    query = {"user": np.array([0, 3], np.int32), "history": HISTORIES}
    trained.built.candidate_scorer({**query, "candidates": CANDIDATES})
    trained.built.text_ranker(tf.constant([["even film"]] * 2), tf.constant([["a", "b", "c"]] * 2))
    assert passes == [(1, 2)] * 8
    trained.scorer(query)
    assert passes[8:] == [(1, 2)] * 2 * 11  # 20 items and the padding


def test_too_many_pairs_are_refused(trained: CrossEncoder, board: Checkerboard) -> None:
    _, targets = leave_last_out(board.data)
    items = len(board.data.items)
    too_many = targets.take(np.zeros(10_000_000 // items + 1, np.int64))
    pairs = f"{len(too_many):,} rows of {items} items are {len(too_many) * items:,} pairs"
    with pytest.raises(InputError, match=f"^cross_encoder: {pairs}, and at most 10,000,000 are scored in one call; "):
        trained.evaluate(too_many)
    assert trained.evaluate(targets.take(np.arange(3)))["ndcg@10"] >= 0

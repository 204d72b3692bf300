"""The BERT ranker: sources of its BERT, item texts, and training of towers and head."""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from tfllmrec import BertRanker, TwoTower
from tfllmrec.content.bert_loading import pretrained_bert
from tfllmrec.content.bert_vectors import text_vectors
from tfllmrec.content.item_texts import items_to_texts
from tfllmrec.data import Split
from tfllmrec.errors import InputError
from tfllmrec.models.base.predictor import Predictor
from tfllmrec.models.bert_ranker import model as bert_ranker
from tfllmrec.models.registry import load_model

Make = Callable[..., Any]
NEW = pd.DataFrame({"item_id": ["n1", "n2", "n3"], "title": ["odd film 7", "even song", "花样年华"]})
CANDIDATES = np.array([[1, 20, 4], [5, 6, 2]], np.int32)
HISTORIES = np.array([[1, 3, 5, 7], [2, 4, 0, 0]], np.int32)


@pytest.fixture(scope="module")
def trained(make: Make, split: Split) -> BertRanker:
    """A ranker of items with a text and an ID embedding, without tokens."""
    towers = {"dim": 8, "hidden_units": 8, "epochs": 2, "content": False}
    return make("bert_ranker", towers=towers, finetune_epochs=3, learning_rate=1e-2).fit(
        split.train, split.validation, verbose=0
    )


@pytest.fixture(scope="module")
def unvalidated(make: Make, split: Split) -> BertRanker:
    """A ranker that is fitted without validation targets."""
    return make("bert_ranker").fit(split.train, verbose=0)


def scores_of(ranker: BertRanker) -> np.ndarray:
    return ranker.predictor.score_candidates(np.array([0, 3], np.int32), HISTORIES, CANDIDATES)["scores"].numpy()


def test_new_items_are_scored_as_their_texts(trained: BertRanker) -> None:
    """New items are read in histories and as candidates."""
    grown = trained.with_items(NEW)
    histories, candidates = [["n1"], ["n3", "n1"]], [["n2", "n3", "n1"]] * 2
    texts = NEW.set_index("item_id")["title"].to_dict()
    scores = grown.score_texts(*([[texts[item] for item in row] for row in rows] for rows in (histories, candidates)))
    lookup = grown.fitted_data.items.lookup
    read = np.array([[*lookup(row), *[0] * (4 - len(row))] for row in histories], np.int32)
    indices = np.array([lookup(row) for row in candidates], np.int32)
    expected = grown.predictor.score_candidates(np.zeros(2, np.int32), read, indices)["scores"]
    np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-4)
    assert np.ptp(expected, axis=1).min() > 1e-3
    assert np.abs(expected[0] - expected[1]).min() > 1e-4


def test_texts_of_items_and_raw_texts_are_cut_alike(trained: BertRanker) -> None:
    cut = copy.copy(trained)
    cut.config = replace(trained.config, text_length=5)  # three letters between [CLS] and [SEP]
    grown, candidates = cut.with_items(NEW), np.array([[21, 22, 23]], np.int32)
    user, history, texts = np.zeros(1, np.int32), np.array([[22, 21, 0, 0]], np.int32), NEW["title"].tolist()
    scores = grown.predictor.score_candidates(user, history, candidates)["scores"].numpy()
    alone = grown.score_texts([[texts[1], texts[0]]], [texts])
    np.testing.assert_allclose(alone, scores, rtol=1e-3, atol=1e-4)
    whole = trained.with_items(NEW).predictor.score_candidates(user, history, candidates)["scores"].numpy()
    assert np.abs(scores - whole).max() > 1e-3


def test_scores_of_known_items_are_unchanged_by_new_items(trained: BertRanker) -> None:
    grown = trained.with_items(NEW)
    np.testing.assert_array_equal(scores_of(grown), scores_of(trained))
    assert (len(trained.fitted_data.items), len(grown.fitted_data.items)) == (20, 23)
    without_text = trained.with_items(NEW.assign(title=""))
    assert np.isfinite(without_text.score(np.zeros(2, np.int32), HISTORIES)).all()


def test_text_vectors_reach_the_towers(trained: BertRanker, split: Split, tiny_bert: Path) -> None:
    vectors = trained.built.towers.model.get_layer("items").vectors["bert"]
    texts = items_to_texts(split.train.items, trained.config.columns)
    assert texts[0].startswith("even item 0. even")
    expected = text_vectors(texts, pretrained_bert(tiny_bert), length=64, use_cache=False)
    np.testing.assert_allclose(vectors[1:], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(vectors[0], 0)


def test_the_towers_are_not_trained_on_lists(unvalidated: BertRanker, make: Make, split: Split) -> None:
    """More epochs of the head change only the head."""
    longer = make("bert_ranker", epochs=3).fit(split.train, verbose=0)
    towers, longer_towers = (ranker.built.towers.model.weights for ranker in (unvalidated, longer))
    for weight, expected in zip(longer_towers, towers, strict=True):
        np.testing.assert_array_equal(weight, expected, err_msg=expected.path)
    np.testing.assert_array_equal(longer.index.vectors, unvalidated.index.vectors)
    head, longer_head = unvalidated.model.weights, longer.model.weights
    assert any((a.numpy() != b.numpy()).any() for a, b in zip(head, longer_head, strict=True))


def test_the_towers_are_fine_tuned_on_the_targets_of_the_lists(
    unvalidated: BertRanker, make: Make, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The head stays, the vectors move, and the scoring model reads the moved vectors."""
    tuned = unvalidated
    monkeypatch.setattr(TwoTower, "fit_more", lambda *_, **__: None)
    untuned = make("bert_ranker").fit(split.train, verbose=0)
    for weight, expected in zip(tuned.model.weights, untuned.model.weights, strict=True):
        np.testing.assert_array_equal(weight, expected, err_msg=expected.path)
    assert untuned.built.towers.fitted_data.histories.row(5).tolist() == split.train.histories.row(5).tolist()[:-1]
    assert tuned.built.towers.fitted_data.histories.row(5).tolist() == split.train.histories.row(5).tolist()
    moved = np.abs(tuned.index.vectors - untuned.index.vectors)[1:].max(axis=1)
    assert (moved > 0).all()
    assert tuned.index is tuned.built.towers.index
    assert (scores_of(tuned) != scores_of(untuned)).all()


def test_options_reach_the_towers(trained: BertRanker) -> None:
    config = trained.built.towers.config
    assert (config.dim, config.content, config.vectors) == (8, False, ("bert",))
    assert (config.history_length, config.user_vectors, config.id_dropout) == (4, False, 0.1)
    config = BertRanker.config_class(towers={"vectors": "image", "user_vectors": True, "seed": 9}, seed=2)
    assert config.tower_options()["vectors"] == "image,bert"
    in_json = BertRanker.config_class.from_options({"towers": '{"vectors": ["image", "sound"]}'})
    assert in_json.tower_options()["vectors"] == "image,sound,bert"
    assert (config.tower_options()["user_vectors"], config.tower_options()["seed"]) == (False, 2)
    assert BertRanker.config_class.from_options({"towers": '{"dim": 4}'}).tower_options()["dim"] == 4


class HeadBuiltError(Exception):
    """Carry the untrained head."""


def test_options_reach_the_head(trained: BertRanker, make: Make, split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(predictor: Predictor, *_: Any) -> None:
        raise HeadBuiltError(predictor.built.model)

    monkeypatch.setattr(TwoTower, "from_options", lambda _: trained.built.towers)
    monkeypatch.setattr(TwoTower, "fit_in_context", lambda towers, *_: towers)
    monkeypatch.setattr(bert_ranker, "train_ranker", stop)
    with pytest.raises(HeadBuiltError) as built:
        make("bert_ranker", pooling_heads=3, hidden_units=5, dropout=0.4).fit(split.train)
    [head] = built.value.args
    assert head.get_layer("target_attention").pooling_heads == 3
    assert head.get_layer("hidden_units").units == 5
    assert {layer.rate for layer in head.layers if isinstance(layer, keras.layers.Dropout)} == {0.4}


def test_invalid_options_of_the_towers_are_refused(make: Make, split: Split) -> None:
    with pytest.raises(InputError, match=r"^unknown option dims: choose one of"):
        make("bert_ranker", towers={"dims": 4}).fit(split.train, verbose=0)
    with pytest.raises(InputError, match=r"^bert_ranker: its towers do not read user features; remove user_features "):
        make("bert_ranker", towers={"user_features": "gender"}).fit(split.train, verbose=0)


def test_refit_config_has_the_best_epochs(trained: BertRanker) -> None:
    """The head, the towers before the lists and their fine-tuning have separate numbers of epochs."""
    refit = trained.refit_config()
    logs = (trained.training_log, trained.built.pretrain_log, trained.built.towers.training_log)
    assert [len(log["val_ndcg@10"]) for log in logs] == [2, 2, 3]
    best = [1 + int(np.argmax(log["val_ndcg@10"])) for log in logs]
    assert [refit.epochs, refit.towers["epochs"], refit.finetune_epochs] == best
    assert trained.built.towers.config.epochs == trained.config.towers["epochs"]
    assert refit.towers == {**trained.config.towers, "epochs": best[1]}


@pytest.mark.usefixtures("untrained")
def test_a_small_bert_is_trained_on_the_item_texts(
    make: Make, split: Split, small_bert_calls: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("pooch.os_cache", lambda _: tmp_path / "cache")
    recommender = make("bert_ranker", backbone="small", text_length=20, seed=4, epochs=1).fit(split.train, verbose=0)
    texts, options = small_bert_calls
    assert texts == items_to_texts(split.train.items, recommender.config.columns)
    assert options == {"length": 20, "seed": 4}
    assert not (tmp_path / "cache").exists()  # vectors of a BERT of one fit are not kept
    recommender.save(tmp_path / "run")
    np.testing.assert_array_equal(scores_of(load_model(tmp_path / "run")), scores_of(recommender))


def test_a_folder_without_a_backbone_is_refused(make: Make, split: Split, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"^no BERT can be loaded from "):
        make("bert_ranker", backbone=str(tmp_path / "empty")).fit(split.train, verbose=0)


def test_missing_text_columns_are_refused(make: Make, split: Split) -> None:
    with pytest.raises(InputError, match=r"^items: the table has none of the columns plot, cast; it has "):
        make("bert_ranker", columns="plot,cast").fit(split.train, verbose=0)

"""The ranker that reads texts: where its BERT comes from, and items that are known by their text alone."""

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
from tfllmrec.data import Checkerboard, Split, leave_one_out
from tfllmrec.errors import InputError
from tfllmrec.models.registry import load_model

Make = Callable[..., Any]
NEW = pd.DataFrame({"item_id": ["n1", "n2", "n3"], "title": ["odd film 7", "even song", "花样年华"]})
CANDIDATES = np.array([[1, 20, 4], [5, 6, 2]], np.int32)
HISTORIES = np.array([[1, 3, 5, 7], [2, 4, 0, 0]], np.int32)


@pytest.fixture(scope="module")
def split(board: Checkerboard) -> Split:
    return leave_one_out(board.data)


@pytest.fixture(scope="module")
def trained(make: Make, split: Split) -> BertRanker:
    """Of items that have nothing but a text and what it learnt of their own."""
    towers = {"dim": 8, "hidden_units": 8, "epochs": 2, "content": False}
    return make("bert_ranker", towers=towers, finetune_epochs=3, learning_rate=1e-2).fit(
        split.train, split.validation, verbose=0
    )


@pytest.fixture(scope="module")
def unwatched(make: Make, split: Split) -> BertRanker:
    """Without validation targets; it ends as it may."""
    return make("bert_ranker").fit(split.train, verbose=0)


def scores_of(ranker: BertRanker) -> np.ndarray:
    return ranker.predictor.score_candidates(np.array([0, 3], np.int32), HISTORIES, CANDIDATES)["scores"].numpy()


def test_an_item_is_what_its_text_is(trained: BertRanker) -> None:
    """New items by their indices, and the same texts that nobody has: histories of them and candidates."""
    grown = trained.with_items(NEW)
    histories, candidates = [["n1"], ["n3", "n1"]], [["n2", "n3", "n1"]] * 2
    texts = NEW.set_index("item_id")["title"].to_dict()
    found = grown.score_texts(*([[texts[item] for item in row] for row in rows] for rows in (histories, candidates)))
    lookup = grown.fitted_data.items.lookup
    read = np.array([[*lookup(row), *[0] * (4 - len(row))] for row in histories], np.int32)
    asked = np.array([lookup(row) for row in candidates], np.int32)
    expected = grown.predictor.score_candidates(np.zeros(2, np.int32), read, asked)["scores"]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    assert np.ptp(expected, axis=1).min() > 1e-3
    assert np.abs(expected[0] - expected[1]).min() > 1e-4


def test_a_text_is_cut_alike_as_an_item_and_alone(trained: BertRanker) -> None:
    cut = copy.copy(trained)
    cut.config = replace(trained.config, text_length=5)  # three letters between [CLS] and [SEP]
    grown, asked = cut.with_items(NEW), np.array([[21, 22, 23]], np.int32)
    user, history, texts = np.zeros(1, np.int32), np.array([[22, 21, 0, 0]], np.int32), NEW["title"].tolist()
    found = grown.predictor.score_candidates(user, history, asked)["scores"].numpy()
    alone = grown.score_texts([[texts[1], texts[0]]], [texts])
    np.testing.assert_allclose(alone, found, rtol=1e-3, atol=1e-4)
    whole = trained.with_items(NEW).predictor.score_candidates(user, history, asked)["scores"].numpy()
    assert np.abs(found - whole).max() > 1e-3


def test_new_items_leave_the_others_as_they_were(trained: BertRanker) -> None:
    grown = trained.with_items(NEW)
    np.testing.assert_array_equal(scores_of(grown), scores_of(trained))
    assert (len(trained.fitted_data.items), len(grown.fitted_data.items)) == (20, 23)
    known_by_nothing = trained.with_items(NEW.assign(title=""))
    assert np.isfinite(known_by_nothing.score(np.zeros(2, np.int32), HISTORIES)).all()


def test_the_vectors_of_the_texts_reach_the_towers(trained: BertRanker, split: Split, tiny_bert: Path) -> None:
    found = trained.built.towers.model.get_layer("items").vectors["bert"]
    texts = items_to_texts(split.train.items, trained.config.columns)
    assert texts[0].startswith("even item 0. even")
    expected = text_vectors(texts, pretrained_bert(tiny_bert), length=64, use_cache=False)
    np.testing.assert_allclose(found[1:], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found[0], 0)


def test_the_towers_are_not_trained_on_lists(unwatched: BertRanker, make: Make, split: Split) -> None:
    """More epochs of the head change the head alone."""
    one, other = unwatched, make("bert_ranker", epochs=3).fit(split.train, verbose=0)
    for first, second in zip(one.built.towers.model.weights, other.built.towers.model.weights, strict=True):
        np.testing.assert_array_equal(first, second, err_msg=first.path)
    np.testing.assert_array_equal(one.index.vectors, other.index.vectors)
    assert any((a.numpy() != b.numpy()).any() for a, b in zip(one.model.weights, other.model.weights, strict=True))


def test_the_towers_go_on_with_what_the_lists_asked_for(
    unwatched: BertRanker, make: Make, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The head stays, the vectors move, and what is asked is made of the vectors that moved."""
    went_on = unwatched
    monkeypatch.setattr(TwoTower, "go_on", lambda *_: None)
    stayed = make("bert_ranker").fit(split.train, verbose=0)
    for one, other in zip(went_on.model.weights, stayed.model.weights, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=one.path)
    assert stayed.built.towers.fitted_data.histories.row(5).tolist() == split.train.histories.row(5).tolist()[:-1]
    assert went_on.built.towers.fitted_data.histories.row(5).tolist() == split.train.histories.row(5).tolist()
    moved = np.abs(went_on.index.vectors - stayed.index.vectors)[1:].max(axis=1)
    assert (moved > 0).all()
    assert went_on.index is went_on.built.towers.index
    assert (scores_of(went_on) != scores_of(stayed)).all()


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


def test_options_reach_the_head(trained: BertRanker, configured: Make, split: Split) -> None:
    made = configured("bert_ranker", pooling_heads=3, hidden_units=5, dropout=0.4)
    made.built.towers = trained.built.towers
    head = made._build(split.train)
    assert head.get_layer("target_attention").pooling_heads == 3
    assert head.get_layer("hidden_units").units == 5
    assert {layer.rate for layer in head.layers if isinstance(layer, keras.layers.Dropout)} == {0.4}


def test_wrong_options_of_the_towers(make: Make, split: Split) -> None:
    with pytest.raises(InputError, match=r"^option dims is unknown; there are"):
        make("bert_ranker", towers={"dims": 4}).fit(split.train, verbose=0)
    with pytest.raises(InputError, match=r"^bert_ranker: its towers do not read users' features; leave user_features "):
        make("bert_ranker", towers={"user_features": "gender"}).fit(split.train, verbose=0)


def test_settled_for_more_data(trained: BertRanker) -> None:
    """The epochs that were best, of the head and of the towers, before the lists and after."""
    settled = trained.refit_config()
    logs = (trained.training_log, trained.built.pretrain_log, trained.built.towers.training_log)
    assert [len(log["val_ndcg@10"]) for log in logs] == [2, 2, 3]
    best = [1 + int(np.argmax(log["val_ndcg@10"])) for log in logs]
    assert [settled.epochs, settled.towers["epochs"], settled.finetune_epochs] == best
    assert trained.built.towers.config.epochs == trained.config.towers["epochs"]
    assert settled.towers == {**trained.config.towers, "epochs": best[1]}


def test_a_small_bert_learns_from_the_items_own_texts(
    make: Make, split: Split, asked_of_small_bert: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("pooch.os_cache", lambda _: tmp_path / "cache")
    made = make("bert_ranker", backbone="small", text_length=20, seed=4, epochs=1).fit(split.train, verbose=0)
    texts, options = asked_of_small_bert
    assert texts == items_to_texts(split.train.items, made.config.columns)
    assert options == {"length": 20, "seed": 4}
    assert not (tmp_path / "cache").exists()  # nobody will meet this BERT again
    made.save(tmp_path / "run")
    np.testing.assert_array_equal(scores_of(load_model(tmp_path / "run")), scores_of(made))


def test_a_backbone_that_is_none(make: Make, split: Split, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"^no BERT can be loaded from "):
        make("bert_ranker", backbone=str(tmp_path / "empty")).fit(split.train, verbose=0)


def test_columns_that_are_not_there(make: Make, split: Split) -> None:
    with pytest.raises(InputError, match=r"^items: the table has none of the columns plot, cast; it has "):
        make("bert_ranker", columns="plot,cast").fit(split.train, verbose=0)

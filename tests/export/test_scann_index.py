"""Approximate retrieval: recall and exclusions of `ScannIndex`, and exports with it in the C++ runtime."""

import re

import numpy as np
import pandas as pd
import pytest

from tfllmrec.cli.versions import publish_version
from tfllmrec.data import Dataset
from tfllmrec.errors import InputError
from tfllmrec.export import export, refresh
from tfllmrec.export.precision import precision_of
from tfllmrec.export.scann_index import ScannIndex
from tfllmrec.layers.top_items import LOWEST
from tfllmrec.models.registry import model_class
from tfllmrec.repository.check import check_version
from tfllmrec.serving.session import ServedModel

ITEMS, K = 400, 20


@pytest.fixture(scope="module")
def vectors():
    """Item vectors in ten clusters; row 0 is padding."""
    random = np.random.default_rng(0)
    items = random.normal(size=(10, 16))[random.integers(0, 10, ITEMS)] + 0.5 * random.normal(size=(ITEMS, 16))
    return np.pad(items, [(1, 0), (0, 0)]).astype(np.float32)


@pytest.fixture(scope="module")
def index(vectors):
    return ScannIndex(vectors, vectors[1:101], K)


def exact_search(vectors, query, excluded):
    """Return the K best items of a query and their scores."""
    scores = vectors @ query
    scores[[0, *excluded]] = LOWEST
    best = np.argsort(-scores, kind="stable")[:K]
    return best, scores[best]


def test_recall_and_scores(index, vectors):
    queries, excluded = vectors[101:151], np.zeros((50, 2), np.int32)
    items, scores = (results.numpy() for results in index(queries, excluded, K))
    best = [exact_search(vectors, query, [])[0] for query in queries]
    assert np.mean([len({*row} & {*exact}) / K for row, exact in zip(items, best, strict=True)]) > 0.9
    assert (np.diff(scores) <= 0).all()
    np.testing.assert_allclose(scores, np.einsum("bd,bkd->bk", queries, vectors[items]), rtol=1e-4, atol=1e-4)
    assert items.min() > 0
    assert all(len({*row}) == K for row in items)


def test_searched_leaves_are_the_fewest_with_enough_recall(index, vectors):
    """Check that the recall of the index's own queries is 98 %, and lower with half the leaves."""
    assert 1 < index.searched < index.leaves == 20
    queries, no_exclusions = vectors[1:101], np.zeros((100, 0), np.int32)
    best = [{*exact_search(vectors, query, [])[0]} for query in queries]

    def recall():
        results = index(queries, no_exclusions, K)[0].numpy()
        return np.mean([len(best[row] & {*items}) / K for row, items in enumerate(results)])

    assert recall() == pytest.approx(index.recall)
    assert index.recall >= 0.98
    searched, index.searched = index.searched, index.searched // 2
    assert recall() < 0.98
    index.searched = searched


def test_excluded_items_are_replaced_by_the_next_best(index, vectors):
    """Exclude the best 60 items of a search for 20."""
    query = vectors[7:8]
    best = np.argsort(-(vectors[1:] @ query[0]))[:60] + 1
    items, _ = index(query, np.pad(best, (0, 40))[None].astype(np.int32), K)
    next_best = exact_search(vectors, query[0], best)[0]
    assert not {*items.numpy()[0]} & {*best}
    assert len({*items.numpy()[0]} & {*next_best}) >= 0.8 * K


def test_excluding_all_items_returns_padding(index, vectors):
    all_items = np.arange(1, ITEMS + 1, dtype=np.int32)[None]
    items, scores = index(vectors[1:2], all_items, K)
    assert not items.numpy().any()
    assert (scores.numpy() == LOWEST).all()


@pytest.fixture(scope="module")
def shop():
    """A data set of users who each interact with items of a single category."""
    random = np.random.default_rng(1)
    users = np.repeat(np.arange(120), 10)
    category = (users * 7) % 10
    items = pd.Series(random.integers(0, ITEMS // 10, len(users)) * 10 + category)
    frame = pd.DataFrame({"user_id": [f"用户{user}" for user in users], "item_id": [f"i{item}" for item in items]})
    frame = frame.drop_duplicates().assign(timestamp=lambda table: np.arange(len(table)))
    titles = pd.DataFrame({"item_id": [f"i{item}" for item in range(ITEMS)]})
    return Dataset.from_frames(frame, titles.assign(title=[f"kind {item % 10} 第{item}" for item in range(ITEMS)]))


@pytest.fixture(
    scope="module",
    params=["two_tower", *(pytest.param(name, marks=pytest.mark.slow) for name in ("next_item", "word2vec"))],
)
def shop_exports(request, shop, tmp_path_factory):
    """A recommender with scores that are products of vectors, its exact export, and its approximate export."""
    options = {} if request.param == "word2vec" else {"dim": 16, "hidden_units": 16, "epochs": 1}
    recommender = model_class(request.param)(history_length=6, **options).fit(shop, verbose=0)
    folder = tmp_path_factory.mktemp(request.param) / "shop"
    return (
        recommender,
        export(recommender, folder, top_k=K),
        export(recommender, folder, top_k=K, index="scann"),
    )


REQUEST = {
    "user_id": ["用户1", "", "用户3", ""],
    "history": [["", ""], ["i7", "i17"], ["i9", ""], ["", ""]],
    "exclude_item_ids": [["i3"], [""], ["i19"], ["i5"]],
}


def test_results_are_close_to_the_exact_index(runtime, shop_exports):
    _, exact, approximate = shop_exports
    assert set(runtime.check(approximate).values()) == {"ok"}
    expected, actual = (runtime.run(path, "retrieve", **REQUEST) for path in (exact, approximate))
    for row, items in enumerate(actual["item_ids"]):
        scores = dict(zip(expected["item_ids"][row], expected["scores"][row], strict=True))
        common = {item: score for item, score in zip(items, actual["scores"][row], strict=True) if item in scores}
        assert len(common) >= 0.7 * K
        np.testing.assert_allclose([*common.values()], [scores[item] for item in common], rtol=1e-4, atol=1e-4)
    assert actual["item_ids"][3].tolist() == expected["item_ids"][3].tolist()  # no user and no history: popular items
    in_python = ServedModel(approximate)("retrieve", **REQUEST)
    assert in_python["item_ids"].tolist() == actual["item_ids"].tolist()


def test_histories_and_exclusions_are_not_returned(runtime, shop_exports):
    recommender, _, approximate = shop_exports
    all_items = recommender.fitted_data.items.tokens[1:].tolist()
    inputs = {"user_id": [""], "history": [all_items[:50]], "exclude_item_ids": [all_items[50:-5]]}
    results = runtime.run(approximate, "retrieve", **inputs)["item_ids"][0]
    assert {*results} <= {*all_items[-5:], ""}


def test_export_passes_the_check_and_card_states_the_recall(shop_exports):
    _, _, approximate = shop_exports
    assert check_version(approximate) > 0
    card = (approximate / "assets.extra" / "model_card.md").read_text()
    assert re.search(r"\| index \| ScaNN, \d+ of 19 leaves searched, [\d.]+% recall for 120 s", card)
    assert "ScaNN's operations; see its guide to custom operations: Scann>ScannSearchBatched" in card


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_approximate_index_in_other_precisions(runtime, shop_exports, precision, tmp_path):
    recommender, exact, _ = shop_exports
    path = export(recommender, tmp_path, top_k=K, index="scann", precision=precision)
    assert precision_of(path) == precision
    expected, actual = (runtime.run(folder, "retrieve", **REQUEST)["item_ids"] for folder in (exact, path))
    assert {*expected[1]} & {*actual[1]}


def test_refresh_keeps_the_index_and_the_precision(shop_exports, tmp_path):
    recommender, _, approximate = shop_exports
    new = pd.DataFrame({"item_id": ["new"], "title": ["kind 3 第1000"]})
    grown = ServedModel(refresh(recommender, approximate.parent, new))
    assert precision_of(grown.folder) == precision_of(approximate) == "float32"
    outputs = grown("retrieve", user_id=[""], history=[["i7"]], exclude_item_ids=[[""]])
    assert (outputs["item_ids"] != "").all()
    assert re.search("index .*ScaNN", (grown.folder / "assets.extra" / "model_card.md").read_text())


@pytest.mark.parametrize("shop_exports", ["two_tower"], indirect=True)
def test_publishing_warns_about_custom_operations(shop_exports, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("tfllmrec.serving.session.disable_xla", lambda: None)  # it affects the whole process
    for path, warns in zip(shop_exports[1:], (False, True), strict=True):
        publish_version(path, tmp_path / "models")
        assert ("it needs a build with ScaNN's operations" in capsys.readouterr().err) == warns


def test_unsuitable_options_are_refused(exports, tmp_path):
    two_tower, ease = (exports[name].recommender for name in ("two_tower", "ease"))
    with pytest.raises(InputError, match=r"index is 'ann', and must be exact or scann$"):
        export(two_tower, tmp_path / "a", index="ann")
    with pytest.raises(InputError, match=r"the target is 'tpu': choose cpu or exact$"):
        export(two_tower, tmp_path / "a", index="scann", target="tpu")
    with pytest.raises(InputError, match=r"scores of ease are not products"):
        export(ease, tmp_path / "a", index="scann")
    with pytest.raises(InputError, match=r"needs at least 100 items, not 12: choose exact$"):
        export(two_tower, tmp_path / "a", index="scann")
    assert not [*tmp_path.glob("a/*")]


def test_missing_scann_package_is_reported(shop_exports, monkeypatch, tmp_path):
    recommender, _, approximate = shop_exports
    monkeypatch.setitem(__import__("sys").modules, "scann", None)
    with pytest.raises(InputError, match=r"needs ScaNN to be served: pip install 'tfllmrec\[scann\]'$"):
        ServedModel(approximate)
    monkeypatch.setattr("tfllmrec.export.scann_index.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"the index scann needs ScaNN: pip install 'tfllmrec\[scann\]'$"):
        export(recommender, tmp_path / "a", index="scann")

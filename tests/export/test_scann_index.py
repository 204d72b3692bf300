"""Approximate retrieval: what ScaNN finds, what it must not, and an export that the C++ runtime serves."""

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
    """Around ten centres, as items of ten kinds would be; row 0 is the padding's."""
    random = np.random.default_rng(0)
    found = random.normal(size=(10, 16))[random.integers(0, 10, ITEMS)] + 0.5 * random.normal(size=(ITEMS, 16))
    return np.pad(found, [(1, 0), (0, 0)]).astype(np.float32)


@pytest.fixture(scope="module")
def index(vectors):
    return ScannIndex(vectors, vectors[1:101], K)


def exactly(vectors, query, excluded):
    scores = vectors @ query
    scores[[0, *excluded]] = LOWEST
    best = np.argsort(-scores, kind="stable")[:K]
    return best, scores[best]


def test_what_is_found(index, vectors):
    queries, excluded = vectors[101:151], np.zeros((50, 2), np.int32)
    items, scores = (found.numpy() for found in index(queries, excluded, K))
    best = [exactly(vectors, query, [])[0] for query in queries]
    assert np.mean([len({*row} & {*exact}) / K for row, exact in zip(items, best, strict=True)]) > 0.9
    assert (np.diff(scores) <= 0).all()
    np.testing.assert_allclose(scores, np.einsum("bd,bkd->bk", queries, vectors[items]), rtol=1e-4, atol=1e-4)
    assert items.min() > 0
    assert all(len({*row}) == K for row in items)


def test_the_fewest_leaves_that_are_enough(index, vectors):
    """They find 98 % for the queries that chose them, and half as many do not."""
    assert 1 < index.searched < index.leaves == 20
    queries, nothing = vectors[1:101], np.zeros((100, 0), np.int32)
    best = [{*exactly(vectors, query, [])[0]} for query in queries]

    def recall():
        return np.mean(
            [len(best[row] & {*items}) / K for row, items in enumerate(index(queries, nothing, K)[0].numpy())]
        )

    assert recall() == pytest.approx(index.recall)
    assert index.recall >= 0.98
    chosen, index.searched = index.searched, index.searched // 2
    assert recall() < 0.98
    index.searched = chosen


def test_excluded_items_make_room_for_others(index, vectors):
    """The best 60 of an answer that has 20 places are excluded, and those after them come."""
    query = vectors[7:8]
    best = np.argsort(-(vectors[1:] @ query[0]))[:60] + 1
    items, _ = index(query, np.pad(best, (0, 40))[None].astype(np.int32), K)
    after = exactly(vectors, query[0], best)[0]
    assert not {*items.numpy()[0]} & {*best}
    assert len({*items.numpy()[0]} & {*after}) >= 0.8 * K


def test_nothing_left(index, vectors):
    everything = np.arange(1, ITEMS + 1, dtype=np.int32)[None]
    items, scores = index(vectors[1:2], everything, K)
    assert not items.numpy().any()
    assert (scores.numpy() == LOWEST).all()


@pytest.fixture(scope="module")
def shop():
    random = np.random.default_rng(1)
    users = np.repeat(np.arange(120), 10)
    liked = (users * 7) % 10  # a kind of item
    items = pd.Series(random.integers(0, ITEMS // 10, len(users)) * 10 + liked)
    frame = pd.DataFrame({"user_id": [f"用户{user}" for user in users], "item_id": [f"i{item}" for item in items]})
    frame = frame.drop_duplicates().assign(timestamp=lambda table: np.arange(len(table)))
    titles = pd.DataFrame({"item_id": [f"i{item}" for item in range(ITEMS)]})
    return Dataset.from_frames(frame, titles.assign(title=[f"kind {item % 10} 第{item}" for item in range(ITEMS)]))


@pytest.fixture(scope="module", params=["two_tower", "next_item", "word2vec"])
def both(request, shop, tmp_path_factory):
    """A family whose scores are products, one of which has biases, exported with either index."""
    options = {} if request.param == "word2vec" else {"dim": 16, "hidden_units": 16, "epochs": 1}
    recommender = model_class(request.param)(history_length=6, **options).fit(shop, verbose=0)
    folder = tmp_path_factory.mktemp(request.param) / "shop"
    return (
        recommender,
        export(recommender, folder, top_k=K),
        export(recommender, folder, top_k=K, index="scann"),
    )


QUESTION = {
    "user_id": ["用户1", "", "用户3", ""],
    "history": [["", ""], ["i7", "i17"], ["i9", ""], ["", ""]],
    "exclude_item_ids": [["i3"], [""], ["i19"], ["i5"]],
}


def test_served_by_the_c_runtime(runtime, both):
    _, exact, approximate = both
    assert set(runtime.check(approximate).values()) == {"ok"}
    expected, found = (runtime.run(path, "retrieve", **QUESTION) for path in (exact, approximate))
    for row, items in enumerate(found["item_ids"]):
        known = dict(zip(expected["item_ids"][row], expected["scores"][row], strict=True))
        same = {item: score for item, score in zip(items, found["scores"][row], strict=True) if item in known}
        assert len(same) >= 0.7 * K
        np.testing.assert_allclose([*same.values()], [known[item] for item in same], rtol=1e-4, atol=1e-4)
    assert found["item_ids"][3].tolist() == expected["item_ids"][3].tolist()  # popularity: nobody, with no history
    python = ServedModel(approximate)("retrieve", **QUESTION)
    assert python["item_ids"].tolist() == found["item_ids"].tolist()


def test_what_must_not_come_back(runtime, both):
    recommender, _, approximate = both
    everything = recommender.fitted_data.items.tokens[1:].tolist()
    asked = {"user_id": [""], "history": [everything[:50]], "exclude_item_ids": [everything[50:-5]]}
    found = runtime.run(approximate, "retrieve", **asked)["item_ids"][0]
    assert {*found} <= {*everything[-5:], ""}


def test_check_and_card(both):
    _, _, approximate = both
    assert check_version(approximate) > 0
    card = (approximate / "assets.extra" / "model_card.md").read_text()
    assert re.search(
        r"\| index \| ScaNN, \d+ of 19 leaves searched, [\d.]+% of the exact answers found for 120 s", card
    )
    assert "ScaNN's operations; see its guide to custom operations: Scann>ScannSearchBatched" in card


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_precisions(runtime, both, precision, tmp_path):
    recommender, exact, _ = both
    path = export(recommender, tmp_path, top_k=K, index="scann", precision=precision)
    assert precision_of(path) == precision
    expected, found = (runtime.run(folder, "retrieve", **QUESTION)["item_ids"] for folder in (exact, path))
    assert {*expected[1]} & {*found[1]}


def test_refreshed_as_it_was(both, tmp_path):
    recommender, _, approximate = both
    new = pd.DataFrame({"item_id": ["new"], "title": ["kind 3 第1000"]})
    grown = ServedModel(refresh(recommender, approximate.parent, new))
    assert precision_of(grown.folder) == precision_of(approximate) == "float32"
    answer = grown("retrieve", user_id=[""], history=[["i7"]], exclude_item_ids=[[""]])
    assert (answer["item_ids"] != "").all()
    assert re.search("index .*ScaNN", (grown.folder / "assets.extra" / "model_card.md").read_text())


@pytest.mark.parametrize("both", ["two_tower"], indirect=True)
def test_who_publishes_it_is_told(both, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("tfllmrec.serving.session.disable_xla", lambda: None)  # which would be for all tests
    for path, told in zip(both[1:], (False, True), strict=True):
        publish_version(path, tmp_path / "models")
        assert ("it needs a build with ScaNN's operations" in capsys.readouterr().err) == told


def test_refused(exports, tmp_path):
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


def test_without_scann(both, monkeypatch, tmp_path):
    recommender, _, approximate = both
    monkeypatch.setitem(__import__("sys").modules, "scann", None)
    with pytest.raises(InputError, match=r"needs ScaNN to be served: pip install 'tfllmrec\[scann\]'$"):
        ServedModel(approximate)
    monkeypatch.setattr("tfllmrec.export.scann_index.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"the index scann needs ScaNN: pip install 'tfllmrec\[scann\]'$"):
        export(recommender, tmp_path / "a", index="scann")

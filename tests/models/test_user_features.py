"""Taste follows a user feature, which decides where the history does not."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from quick_learning import QUICK_TWO_TOWER

from tfllmrec import Recommender
from tfllmrec.data import Dataset
from tfllmrec.errors import InputError
from tfllmrec.models.base.fitted_data import FittedData
from tfllmrec.models.registry import load_model, model_class
from tfllmrec.training.cold import cold_user_scores

EVEN, ODD = ([f"i{item:02}" for item in range(colour, 20, 2)] for colour in (0, 1))
QUICK = QUICK_TWO_TOWER | {"epochs": 8, "user_vectors": False}
FEATURES = {"user_features": "colour", "segment": "colour"}


def users_with(colours: Sequence[str]) -> pd.DataFrame:
    """Return a user table."""
    return pd.DataFrame({"user_id": [f"u{user:02}" for user in range(len(colours))], "colour": colours})


@pytest.fixture(scope="module")
def coloured() -> Dataset:
    """60 users, each with all but one item of a colour; the item without a colour comes first and next to last."""
    random, rows = np.random.default_rng(0), []
    for user in range(60):
        own = random.permutation([EVEN, ODD][user % 2])[:-1]
        items = ["plain", *own[:-1], "plain", own[-1]]
        rows += [(f"u{user:02}", item, time) for time, item in enumerate(items)]
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    items = pd.DataFrame({"item_id": ["plain", *EVEN, *ODD], "title": "a thing"})
    return Dataset.from_frames(table, items, users_with(["even", "odd"] * 30))


@pytest.fixture(scope="module")
def trained(coloured: Dataset) -> Recommender:
    return model_class("two_tower")(**QUICK, **FEATURES).fit(coloured, verbose=0)


@pytest.fixture(scope="module")
def popular(coloured: Dataset) -> Recommender:
    return model_class("popularity")(segment="colour").fit(coloured)


def best(
    recommender: Recommender,
    user: str = "",
    history: Sequence[str] = (),
    features: Sequence[str] | None = None,
    **options: Any,
) -> list[str]:
    """Return the best ten items for one user, without the item that has no colour."""
    user_features = None if features is None else [features]
    request = {"exclude": [["plain"]], "user_features": user_features, **options}
    return recommender.recommend([user], [history], **request)["item_id"].tolist()


def items_of(data: Dataset, user: str) -> set[str]:
    table = data.interactions
    return set(table.loc[table["user_id"] == user, "item_id"])


def test_features_decide_where_the_history_does_not(trained: Recommender) -> None:
    for colour, wanted in (("even", EVEN), ("odd", ODD)):
        assert set(best(trained, "newcomer", ["plain"], [f"colour={colour}"])) == set(wanted)
        pairs = [list(pair) for n in range(10) for pair in ((EVEN[n], ODD[n]), (ODD[n], EVEN[n]))]
        table = trained.recommend(
            histories=pairs, k=1, exclude=[["plain"]] * 20, user_features=[[f"colour={colour}"]] * 20
        )
        assert table["item_id"].isin(wanted).mean() > 0.9


def test_request_features_replace_the_stored_ones(trained: Recommender, coloured: Dataset) -> None:
    for user, stored, other, feature in (("u00", EVEN, ODD, "colour=odd"), ("u01", ODD, EVEN, "colour=even")):
        assert set(best(trained, user, ["plain"], exclude_seen=False)) == set(stored)
        assert set(best(trained, user, ["plain"], [feature], exclude_seen=False)) == set(other)
        [left] = set(stored) - items_of(coloured, user)
        assert best(trained, user)[0] == left


def test_unknown_features_are_ignored(trained: Recommender, popular: Recommender) -> None:
    for recommender in (trained, popular):
        for history in ([], ["plain"]):
            for user in ("u00", "newcomer"):
                expected = best(recommender, user, history)
                for unknown in ([], [""], ["colour=red", "even", "", "colour = odd"]):
                    assert best(recommender, user, history, unknown) == expected
            even = best(recommender, "", history, ["colour=even"])
            assert (
                best(recommender, "", history, ["", "colour=even", "age=25"]) == even != best(recommender, "", history)
            )


def test_requests_may_consist_of_features_alone(trained: Recommender) -> None:
    requested = [["colour=odd"], [], ["colour=even"]]
    table = trained.recommend(user_features=requested, exclude=[["plain"]] * 3)
    rows = [table.loc[table["row"] == row, "item_id"].tolist() for row in range(3)]
    assert rows == [best(trained, features=features) for features in requested]
    assert set(table["user_id"]) == {""}


@pytest.mark.parametrize("family", ["trained", "popular"])
def test_empty_histories_are_scored_by_popularity_in_the_segment(
    family: str, coloured: Dataset, request: pytest.FixtureRequest
) -> None:
    recommender = request.getfixturevalue(family)
    counts, items = coloured.item_counts, coloured.item_vocabulary
    empty = np.zeros((1, recommender.history_length), np.int32)
    for colour, wanted in (("even", EVEN), ("odd", ODD)):
        assert set(best(recommender, features=[f"colour={colour}"])) == set(wanted)
        own = np.where(np.isin(items.tokens, wanted), counts, 0)
        own[items.lookup(["plain"])] = counts.max() / 2
        features = recommender.fitted_data.features.lookup([[f"colour={colour}"]])
        scores = recommender.score(np.array([0]), empty, features=features)[0]
        np.testing.assert_allclose(scores, np.log1p(own + 1000 * counts / counts.sum()), rtol=1e-5)
    np.testing.assert_allclose(recommender.score(np.array([0]), empty)[0], np.log1p(counts), rtol=1e-6)


def test_popularity_is_counted_within_the_segment_of_the_user(popular: Recommender, coloured: Dataset) -> None:
    assert (
        set(best(popular, "u00", exclude_seen=False))
        == set(best(popular, "u00", ["i03"], exclude_seen=False))
        == set(EVEN)
    )
    assert set(best(popular, "u01", exclude_seen=False)) == set(ODD)
    assert best(popular, "u01", features=["colour=even"], exclude_seen=False) == best(
        popular, "u00", exclude_seen=False
    )
    plain = model_class("popularity")().fit(coloured)
    assert best(plain, "u00", exclude_seen=False) == best(popular)


@pytest.mark.parametrize("family", ["trained", "popular"])
def test_features_survive_saving(family: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    recommender = request.getfixturevalue(family)
    recommender.save(tmp_path / "run")
    assert (tmp_path / "run" / "user_features.json").exists()
    loaded = load_model(tmp_path / "run")
    assert loaded.config == recommender.config
    request = {"users": ["u00", "u01", "u02", "", ""], "histories": [[], ["plain"], ["i01"], [], ["plain"]]}
    for features in (None, [["colour=odd"], [], ["colour=even"], ["colour=even"], ["colour=odd"]]):
        expected = recommender.recommend(**request, user_features=features)
        pd.testing.assert_frame_equal(loaded.recommend(**request, user_features=features), expected)
    before, after = recommender.fitted_data, loaded.fitted_data
    assert after.features.columns == before.features.columns
    assert after.features.vocabulary == before.features.vocabulary
    np.testing.assert_array_equal(after.features.stored, before.features.stored)
    for loaded_counts, counts in zip(after.segment_counts("colour"), before.segment_counts("colour"), strict=True):
        np.testing.assert_array_equal(loaded_counts, counts)
    for damaged in ("{", "[]", '{"columns": ["colour"]}', '{"columns": ["a", "b"], "features": []}'):
        (tmp_path / "run" / "user_features.json").write_text(damaged)
        with pytest.raises(InputError, match=r"user_features\.json is missing or damaged$"):
            load_model(tmp_path / "run")


def test_segment_counts(coloured: Dataset) -> None:
    users = users_with(["x"] * 3 + [""] * 7 + ["y"] * 20 + ["z"] * 30).assign(other="all")
    fitted_data = FittedData.from_dataset(replace(coloured, users=users), ["other", "colour"])
    features, counts = fitted_data.segment_counts("colour")
    assert fitted_data.features.vocabulary.ids(features).tolist() == ["colour=x", "colour=y", "colour=z"]
    values = coloured.interactions["user_id"].map(users.set_index("user_id")["colour"]).to_numpy()
    expected = [np.bincount(coloured.item_indices[values == value], minlength=22) for value in "xyz"]
    np.testing.assert_array_equal(counts, [coloured.item_counts, *expected])
    np.testing.assert_array_equal(fitted_data.segment_counts("other")[1], [coloured.item_counts] * 2)
    grown = fitted_data.with_items(pd.DataFrame({"item_id": ["new"], "title": ["new"]}))
    np.testing.assert_array_equal(grown.segment_counts("colour")[1], np.pad(counts, [(0, 0), (0, 1)]))


def test_scores_by_features_are_unchanged_by_new_items(trained: Recommender) -> None:
    grown = trained.with_items(pd.DataFrame({"item_id": ["new"], "title": ["a thing"]}))
    users, requested = np.array([0, 1, 2, 0], np.int32), np.array([[1], [2], [0], [2]], np.int32)
    histories = np.array([[1, 2] + [0] * 8, [3] + [0] * 9, [4] + [0] * 9, [0] * 10], np.int32)
    for features in (None, requested):
        before, after = (model.score(users, histories, features=features).numpy() for model in (trained, grown))
        np.testing.assert_allclose(after[:, 1:-1], before[:, 1:], rtol=1e-5, atol=1e-6)
        assert np.abs(before[0] - before[3]).max() > 0.1


@pytest.mark.parametrize("features", [[["colour=even"]], [[""]], [[]]])
def test_features_are_refused_by_models_without_features(coloured: Dataset, features: list[list[str]]) -> None:
    recommender = model_class("popularity")().fit(coloured)
    for request in ({}, {"users": ["u00"]}, {"histories": [["i00"]]}):
        with pytest.raises(InputError, match=r"^recommend: this popularity does not read user_features; leave them"):
            recommender.recommend(**request, user_features=features)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"user_features": "colour=even"}, "user_features must be a list with one entry per row, not 'colour=even'"),
        ({"user_features": [{"colour": "even"}]}, "user_features has a dictionary; write the row as strings"),
        ({"user_features": ["colour=even"]}, "user_features must have a list of strings per row, not 'colour=even'"),
        ({"user_features": [["colour=even", 3]]}, "user_features has 3, which is not a string"),
        ({"users": ["a", "b"], "user_features": [[]]}, r"the rows do not match \(2 users, 1 user_features\)"),
        ({"exclude": [], "user_features": [[]]}, r"the rows do not match \(0 exclude, 1 user_features\)"),
    ],
)
def test_invalid_features_are_refused(popular: Recommender, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=f"^recommend: {sentence}"):
        popular.recommend(**options)


def no_fit(*_: Any, **__: Any) -> None:
    raise AssertionError("a fit was started")


@pytest.mark.parametrize(
    ("family", "options", "sentence"),
    [
        ("two_tower", {"segment": "colour"}, "two_tower: segment colour is not one of user_features; add it to them"),
        ("two_tower", {"user_features": "colour", "segment": "col"}, "two_tower: segment col is not one of user_f"),
        ("two_tower", {"user_features": "colour,age"}, "users: there is no feature age; the table has colour"),
        ("popularity", {"segment": "age"}, "users: there is no feature age; the table has colour"),
    ],
)
def test_unknown_columns_are_refused(
    coloured: Dataset, family: str, options: dict[str, str], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_class(family), "_fit", no_fit)
    with pytest.raises(InputError, match=f"^{sentence}"):
        model_class(family)(**options).fit(coloured)
    if options.get("segment") != "colour":
        with pytest.raises(InputError, match=r"segment|need a users table, which the data set does not have"):
            model_class(family)(**options).fit(replace(coloured, users=None))


def test_a_backup_with_other_features_is_refused(coloured: Dataset, tmp_path: Path) -> None:
    options = QUICK | {"epochs": 2, "batch_size": 1024, "user_features": "colour"}
    backup = tmp_path / "fit.npz"
    model_class("two_tower")(**options).fit(coloured, verbose=0, backup=backup)
    others = replace(coloured, users=users_with(["odd", "even"] * 30))
    with pytest.raises(InputError, match="is the backup of a fit with another training data"):
        model_class("two_tower")(**options).fit(others, verbose=0, backup=backup)


def test_features_improve_the_scores_of_cold_users(trained: Recommender, coloured: Dataset) -> None:
    with_features, without = (
        cold_user_scores(model_class("two_tower"), config, coloured)
        for config in (trained.config, replace(trained.config, user_features=(), segment=""))
    )
    for length in (0, 1):
        assert with_features[length]["ndcg@10"] > without[length]["ndcg@10"] + 0.1
    popularity = {}
    for segment in ("", "colour"):
        config = model_class("popularity").config_class(segment=segment)
        popularity[segment] = cold_user_scores(model_class("popularity"), config, coloured)
    assert popularity["colour"][0]["ndcg@10"] > popularity[""][0]["ndcg@10"] + 0.1
    assert with_features[0] == popularity["colour"][0]
    assert without[0] == popularity[""][0]

"""Held-out ratings and like labels."""

import numpy as np
import pandas as pd
import pytest

from tfllmrec.data import Dataset
from tfllmrec.data.rating_splits import held_out_ratings
from tfllmrec.errors import InputError

TABLE = pd.DataFrame(
    [(f"u{user}", f"i{item}", item, user + item / 10) for user in range(4) for item in range(5)],
    columns=["user_id", "item_id", "timestamp", "rating"],
)


@pytest.fixture
def data() -> Dataset:
    return Dataset.from_frames(TABLE)


def test_held_out_ratings_are_targets(data):
    held_out = held_out_ratings(data, 0.25)
    assert held_out.data.item_indices.tolist() == data.item_indices.tolist()
    rows = np.flatnonzero(np.isnan(held_out.data.ratings))
    assert len(rows) == 5
    np.testing.assert_array_equal(held_out.targets.ratings, data.ratings[rows])
    np.testing.assert_array_equal(held_out.targets.items, data.item_indices[rows])
    for number, row in enumerate(rows):
        start = data.histories.offsets[data.user_indices[row]]
        assert held_out.targets.histories.row(number).tolist() == data.item_indices[start:row].tolist()
    assert held_out.data.notes == ("5 ratings held out",)
    assert np.isfinite(data.ratings).all(), "the original data set is unchanged"


def test_only_rated_interactions_are_held_out():
    data = Dataset.from_frames(TABLE.assign(rating=TABLE["rating"].where(TABLE["item_id"] == "i1")))
    held_out = held_out_ratings(data, 0.5)
    assert data.item_vocabulary.ids(held_out.targets.items).tolist() == ["i1", "i1"]


@pytest.mark.parametrize("fraction", [0.0, 0.01, 0.99, 1.0])
def test_fraction_that_leaves_no_ratings_is_refused(data, fraction):
    with pytest.raises(InputError, match="leaves none to train on or none to evaluate on"):
        held_out_ratings(data, fraction)


def test_held_out_ratings_depend_on_the_seed(data):
    first, again, other = (held_out_ratings(data, 0.3, seed=seed).targets.items for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_likes_are_ratings_from_four_or_any_event():
    rated = Dataset.from_frames(TABLE.iloc[:3].assign(rating=[4.0, 3.5, None]))
    np.testing.assert_array_equal(rated.likes(), np.array([1, 0, np.nan], np.float32))
    np.testing.assert_array_equal(rated.likes(3.5), np.array([1, 1, np.nan], np.float32))
    seen = Dataset.from_frames(TABLE.iloc[:3].assign(event=["click", "", "buy"]))
    np.testing.assert_array_equal(seen.likes(), np.array([1, 0, 1], np.float32))
    assert rated.mean_rating == 3.75


def test_missing_ratings_are_refused():
    with pytest.raises(InputError, match="column rating is missing or empty"):
        Dataset.from_frames(TABLE.drop(columns="rating")).likes()
    with pytest.raises(InputError, match="column rating is missing or empty"):
        _ = Dataset.from_frames(TABLE.assign(rating=None)).ratings

"""Ratings kept back: the interactions stay, their ratings are asked for."""

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


def test_what_is_kept_back_is_asked_for(data):
    hidden = held_out_ratings(data, 0.25)
    assert hidden.data.item_indices.tolist() == data.item_indices.tolist()
    gone = np.flatnonzero(np.isnan(hidden.data.ratings))
    assert len(gone) == 5
    np.testing.assert_array_equal(hidden.targets.ratings, data.ratings[gone])
    np.testing.assert_array_equal(hidden.targets.items, data.item_indices[gone])
    for number, place in enumerate(gone):
        start = data.histories.offsets[data.user_indices[place]]
        assert hidden.targets.histories.row(number).tolist() == data.item_indices[start:place].tolist()
    assert hidden.data.notes == ("5 ratings kept back",)
    assert np.isfinite(data.ratings).all(), "the data set given is as it was"


def test_only_what_is_rated_is_kept_back():
    data = Dataset.from_frames(TABLE.assign(rating=TABLE["rating"].where(TABLE["item_id"] == "i1")))
    hidden = held_out_ratings(data, 0.5)
    assert data.item_vocabulary.ids(hidden.targets.items).tolist() == ["i1", "i1"]


@pytest.mark.parametrize("fraction", [0.0, 0.01, 0.99, 1.0])
def test_a_fraction_that_leaves_nothing(data, fraction):
    with pytest.raises(InputError, match="leaves none on one side"):
        held_out_ratings(data, fraction)


def test_the_seed_decides_which(data):
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


def test_nothing_to_like():
    with pytest.raises(InputError, match="column rating is missing or empty"):
        Dataset.from_frames(TABLE.drop(columns="rating")).likes()
    with pytest.raises(InputError, match="column rating is missing or empty"):
        _ = Dataset.from_frames(TABLE.assign(rating=None)).ratings

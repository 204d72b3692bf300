"""New items and new users, as reports have them."""

import pytest

from tfllmrec import Popularity, TwoTower, Word2Vec
from tfllmrec.data import Checkerboard, checkerboard
from tfllmrec.models.base.config import Config
from tfllmrec.training.cold import cold_item_scores, cold_user_scores


@pytest.fixture(scope="module")
def large() -> Checkerboard:
    """Of 300 items 30 are cold, and titles tell them apart."""
    return checkerboard(users=300, items=300)


@pytest.fixture(scope="module")
def config(large: Checkerboard) -> Config:
    return Word2Vec(dim=8, neighbours=False, phrases=False, min_count=1, epochs=40).fit(large.data, verbose=0).config


def test_content_finds_new_items_and_popularity_does_not(large: Checkerboard, config: Config) -> None:
    found = cold_item_scores(Word2Vec, config, large.data)
    assert found["recall@10"] > 1.3 * 10 / 30  # half of the cold items are of one's colour
    assert cold_item_scores(Popularity, Popularity().fit(large.data).config, large.data)["recall@10"] == 0


def test_a_seed_draws_what_is_cold(large: Checkerboard, config: Config) -> None:
    one, again, other = (cold_item_scores(Word2Vec, config, large.data, seed=seed) for seed in (1, 1, 2))
    assert one == again != other


def test_new_users_after_few_items(board: Checkerboard) -> None:
    config = TwoTower(epochs=15, dim=16, learning_rate=0.02, batch_size=64).fit(board.data, verbose=0).config
    found = cold_user_scores(TwoTower, config, board.data)
    assert list(found) == [0, 1, 3]
    popular = cold_user_scores(Popularity, Popularity().fit(board.data).config, board.data)
    assert found[0] == popular[0]  # nothing is known of them
    assert found[3]["ndcg@10"] > found[0]["ndcg@10"]

"""Cold-start evaluation: metrics on new items and new users."""

import pytest

from tfllmrec import Popularity, Word2Vec
from tfllmrec.data import Checkerboard, checkerboard
from tfllmrec.models.base.config import Config
from tfllmrec.training.cold import cold_item_scores, cold_scores, cold_user_scores


@pytest.fixture(scope="module")
def large() -> Checkerboard:
    """A checkerboard with 30 cold items of 300, and titles that tell the colours apart."""
    return checkerboard(users=300, items=300)


@pytest.fixture(scope="module")
def word2vec(large: Checkerboard) -> Word2Vec:
    return Word2Vec(dim=8, neighbours=False, phrases=False, min_count=1, epochs=40).fit(large.data, verbose=0)


@pytest.fixture(scope="module")
def config(word2vec: Word2Vec) -> Config:
    return word2vec.config


@pytest.fixture(scope="module")
def popular(large: Checkerboard) -> Config:
    return Popularity().fit(large.data).config


def test_content_finds_new_items_and_popularity_does_not(large: Checkerboard, config: Config, popular: Config) -> None:
    scores = cold_item_scores(Word2Vec, config, large.data)
    assert scores["recall@10"] > 1.3 * 10 / 30  # half of the cold items have the user's colour
    assert cold_item_scores(Popularity, popular, large.data)["recall@10"] == 0


def test_the_seed_selects_the_cold_items(large: Checkerboard, config: Config) -> None:
    first, repeated, other = (cold_item_scores(Word2Vec, config, large.data, seed=seed) for seed in (1, 1, 2))
    assert first == repeated != other


def test_new_users_after_few_items(large: Checkerboard, config: Config, popular: Config) -> None:
    scores = cold_user_scores(Word2Vec, config, large.data)
    assert list(scores) == [0, 1, 3]
    assert scores[0] == cold_user_scores(Popularity, popular, large.data)[0]  # without a history
    assert scores[3]["ndcg@10"] > scores[0]["ndcg@10"]


def test_both_evaluations_use_the_configuration_of_the_recommender(large: Checkerboard, word2vec: Word2Vec) -> None:
    scores = cold_scores(word2vec, large.data)
    assert list(scores) == ["new items", *(f"new users after {length}" for length in (0, 1, 3))]
    assert scores["new items"] == cold_item_scores(Word2Vec, word2vec.config, large.data)

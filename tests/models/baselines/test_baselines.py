"""The baselines against plain implementations of their definitions."""

from collections import Counter

import numpy as np
import pytest
from small_data import COLD

from tfllmrec import Ease, MarkovChain, Popularity
from tfllmrec.data import Dataset, Histories
from tfllmrec.errors import InputError
from tfllmrec.models.baselines import ease as ease_module
from tfllmrec.models.baselines.markov_chain import count_transitions


def all_users(data: Dataset) -> np.ndarray:
    return np.arange(len(data.user_vocabulary) + 1, dtype=np.int32)


def test_popularity_counts_interactions(data: Dataset) -> None:
    table = Popularity().fit(data).recommend(["unknown"], k=99)
    counts = Counter(data.interactions["item_id"])
    expected = [np.log1p(counts[item]) for item in table["item_id"]]
    np.testing.assert_allclose(table["score"], expected, rtol=1e-6)
    assert counts[COLD] == 0
    assert table["score"].iloc[-1] == 0


def markov_chain(data: Dataset, history: list[int]) -> np.ndarray:
    """Sum the transitions of the last 5 items with weights 0.7^age, plus 1e-6 popularity.

    Transitions at distances 1, 2 and 3 have weights 1, 0.5 and 0.3, divided by 1 + the count of the source item.
    """
    counts = data.item_counts
    scores = 1e-6 * np.log1p(counts)
    for age, source in enumerate(reversed(history[-5:])):
        for user in range(len(data.user_vocabulary) + 1):
            row = data.histories.row(user).tolist()
            for position, item in enumerate(row):
                for distance, weight in ((1, 1.0), (2, 0.5), (3, 0.3)):
                    if item == source and position + distance < len(row):
                        scores[row[position + distance]] += 0.7**age * weight / (1 + counts[source])
    return scores


def test_markov_chain_sums_transitions(data: Dataset) -> None:
    recommender = MarkovChain().fit(data)
    histories = [row.tolist() for row in map(data.histories.row, all_users(data)) if len(row)]
    histories += [[3], [1, 2, 3, 4, 5, 6, 7, 8, 9]]
    recent = Histories.from_rows(histories).most_recent(50)
    all_scores = recommender.score(np.zeros(len(histories), np.int32), recent).numpy()
    for history, scores in zip(histories, all_scores, strict=True):
        np.testing.assert_allclose(scores, markov_chain(data, history), rtol=1e-5, atol=1e-9)


def test_transitions_do_not_cross_users() -> None:
    transitions = count_transitions(Histories.from_rows([[1, 2, 1], [], [3], [2, 3]]), 4, [1.0, 0.5]).toarray()
    np.testing.assert_array_equal(transitions, [[0, 0, 0, 0], [0, 0.5, 1, 0], [0, 1, 0, 1], [0, 0, 0, 0]])


def test_ease_is_the_closed_form(data: Dataset) -> None:
    items = len(data.item_vocabulary)
    seen = np.zeros((len(data.user_vocabulary) + 1, items + 1))
    for user in all_users(data):
        seen[user, data.histories.row(user)] = 1
    inverse = np.linalg.inv(seen.T @ seen + 20 * np.eye(items + 1))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    recommender = Ease(l2=20).fit(data)
    assert recommender.history_length == data.histories.lengths.max()
    known = np.flatnonzero(data.histories.lengths)
    scores = recommender.score(
        known.astype(np.int32), data.histories.take(known).most_recent(recommender.history_length)
    )
    np.testing.assert_allclose(scores, seen[known] @ weights, rtol=1e-4, atol=1e-6)
    assert np.abs(seen @ weights).max() > 0.1


def test_ease_counts_repeated_items_once() -> None:
    once, twice = (
        ease_module.autoencoder_weights(Histories.from_rows(rows), 4, 1.0)
        for rows in ([[1, 2], [2, 3]], [[1, 2, 1, 1], [2, 3, 2]])
    )
    np.testing.assert_array_equal(once, twice)


def test_too_many_items_for_ease_are_refused(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ease_module, "_MAX_ITEMS", len(data.item_vocabulary) - 1)
    with pytest.raises(InputError, match=r"ease: 12 items are too many .* at most 11\b"):
        Ease().fit(data)
    monkeypatch.setattr(ease_module, "_MAX_ITEMS", len(data.item_vocabulary))
    Ease().fit(data)

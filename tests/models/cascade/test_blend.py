"""Weights of several scores: planted ones are found again, and the likelihood is the highest there is."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax

from tfllmrec.errors import InputError
from tfllmrec.models.cascade.blend import learn_weights

LISTS, WIDTH = 4000, 8


def planted(weights: list[float], seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lists whose answers were drawn by a weighted sum of scores; some places are empty."""
    random = np.random.default_rng(seed)
    scores = random.normal(size=(LISTS, WIDTH, len(weights)))
    candidates = np.tile(np.arange(1, WIDTH + 1), (LISTS, 1))
    candidates[:, 1:][random.random((LISTS, WIDTH - 1)) < 0.2] = 0
    logits = np.where(candidates > 0, scores @ weights, -np.inf)
    answers = np.argmax(logits + random.gumbel(size=logits.shape), axis=1) + 1
    return scores, candidates, answers


def likelihood(weights: np.ndarray, scores: np.ndarray, candidates: np.ndarray, answers: np.ndarray) -> float:
    """The mean logarithm of the answers' chances, row by row."""
    found = []
    for row, items, answer in zip(scores, candidates, answers, strict=True):
        if answer in items:
            there = items > 0
            found.append(log_softmax(row[there] @ weights)[items[there].tolist().index(answer)])
    return float(np.mean(found))


@pytest.mark.parametrize("weights", [[2.0, 0.5], [0.3, 0.0, 1.5], [0.7]])
def test_planted_weights_are_found(weights: list[float]) -> None:
    found = learn_weights(*planted(weights))
    assert found.shape == (len(weights),)
    np.testing.assert_allclose(found, weights, atol=0.12)


def test_no_weight_is_below_zero() -> None:
    scores, candidates, answers = planted([1.0, -2.0])
    found = learn_weights(scores, candidates, answers)
    assert found[1] == 0
    assert found[0] > 0.3


def test_what_says_nothing_counts_for_nothing() -> None:
    scores, candidates, answers = planted([1.5])
    noise = np.random.default_rng(1).normal(size=(*scores.shape[:2], 1))
    alike = np.ones_like(noise)
    found = learn_weights(np.concatenate([scores, noise, alike], axis=2), candidates, answers)
    np.testing.assert_allclose(found, [1.5, 0, 0], atol=0.12)


def test_it_is_the_best_there_is() -> None:
    """By another way: gradients that scipy guesses, and the likelihood row by row."""
    scores, candidates, answers = (part[:120] for part in planted([1.2, 0.4], seed=2))
    found = learn_weights(scores, candidates, answers)

    def loss(weights: np.ndarray) -> float:
        return 1e-4 * weights @ weights - likelihood(weights, scores, candidates, answers)

    best = minimize(loss, np.array([0.5, 0.5]), method="Nelder-Mead", options={"xatol": 1e-5, "fatol": 1e-9}).x
    np.testing.assert_allclose(found, best, atol=2e-3)


def test_scores_that_tell_everything_have_a_weight_all_the_same() -> None:
    scores = np.array([[[1.0], [0.0]], [[0.0], [1.0]]])
    [weight] = learn_weights(scores, np.array([[1, 2], [1, 2]]), np.array([1, 2]))
    assert 3 < weight < 20


def test_lists_without_their_answer_and_empty_places_say_nothing() -> None:
    scores, candidates, answers = (part[:300] for part in planted([1.0, 0.5]))
    expected = learn_weights(scores, candidates, answers)
    more = np.random.default_rng(3).normal(size=(50, WIDTH, 2)) * 100
    others = learn_weights(
        np.concatenate([scores, more]),
        np.concatenate([candidates, candidates[:50]]),
        np.concatenate([answers, [99] * 50]),
    )
    np.testing.assert_allclose(others, expected, atol=1e-4)
    wild = np.where((candidates > 0)[..., None], scores, 1e6)
    np.testing.assert_allclose(learn_weights(wild, candidates, answers), expected, atol=1e-4)


def test_no_answer_at_all() -> None:
    with pytest.raises(InputError, match=r"^blend: no answer is among its candidates; retrieve more of them, or give"):
        learn_weights(np.ones((2, 2, 1)), np.array([[1, 0], [2, 3]]), np.array([4, 1]))

"""Learnt weights of scores: planted weights are recovered, and the likelihood is maximal."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax

from tfllmrec.errors import InputError
from tfllmrec.models.cascade.blend import learn_weights

LISTS, WIDTH = 4000, 8


def planted(weights: list[float], seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return lists with targets drawn by a weighted sum of scores; some positions are empty."""
    random = np.random.default_rng(seed)
    scores = random.normal(size=(LISTS, WIDTH, len(weights)))
    candidates = np.tile(np.arange(1, WIDTH + 1), (LISTS, 1))
    candidates[:, 1:][random.random((LISTS, WIDTH - 1)) < 0.2] = 0
    logits = np.where(candidates > 0, scores @ weights, -np.inf)
    targets = np.argmax(logits + random.gumbel(size=logits.shape), axis=1) + 1
    return scores, candidates, targets


def likelihood(weights: np.ndarray, scores: np.ndarray, candidates: np.ndarray, targets: np.ndarray) -> float:
    """Return the mean log-likelihood of the targets."""
    logs = []
    for row, items, target in zip(scores, candidates, targets, strict=True):
        if target in items:
            present = items > 0
            logs.append(log_softmax(row[present] @ weights)[items[present].tolist().index(target)])
    return float(np.mean(logs))


@pytest.mark.parametrize("weights", [[2.0, 0.5], [0.3, 0.0, 1.5], [0.7]])
def test_planted_weights_are_recovered(weights: list[float]) -> None:
    learnt = learn_weights(*planted(weights))
    assert learnt.shape == (len(weights),)
    np.testing.assert_allclose(learnt, weights, atol=0.12)


def test_no_weight_is_below_zero() -> None:
    scores, candidates, targets = planted([1.0, -2.0])
    learnt = learn_weights(scores, candidates, targets)
    assert learnt[1] == 0
    assert learnt[0] > 0.3


def test_uninformative_scores_have_no_weight() -> None:
    scores, candidates, targets = planted([1.5])
    noise = np.random.default_rng(1).normal(size=(*scores.shape[:2], 1))
    alike = np.ones_like(noise)
    learnt = learn_weights(np.concatenate([scores, noise, alike], axis=2), candidates, targets)
    np.testing.assert_allclose(learnt, [1.5, 0, 0], atol=0.12)


def test_the_likelihood_is_maximal() -> None:
    """A search without gradients finds the same weights."""
    scores, candidates, targets = (part[:120] for part in planted([1.2, 0.4], seed=2))
    learnt = learn_weights(scores, candidates, targets)

    def loss(weights: np.ndarray) -> float:
        return 1e-4 * weights @ weights - likelihood(weights, scores, candidates, targets)

    best = minimize(loss, np.array([0.5, 0.5]), method="Nelder-Mead", options={"xatol": 1e-5, "fatol": 1e-9}).x
    np.testing.assert_allclose(learnt, best, atol=2e-3)


def test_weights_of_perfect_scores_are_finite() -> None:
    scores = np.array([[[1.0], [0.0]], [[0.0], [1.0]]])
    [weight] = learn_weights(scores, np.array([[1, 2], [1, 2]]), np.array([1, 2]))
    assert 3 < weight < 20


def test_lists_without_target_and_empty_positions_are_ignored() -> None:
    scores, candidates, targets = (part[:300] for part in planted([1.0, 0.5]))
    expected = learn_weights(scores, candidates, targets)
    more = np.random.default_rng(3).normal(size=(50, WIDTH, 2)) * 100
    others = learn_weights(
        np.concatenate([scores, more]),
        np.concatenate([candidates, candidates[:50]]),
        np.concatenate([targets, [99] * 50]),
    )
    np.testing.assert_allclose(others, expected, atol=1e-4)
    changed = np.where((candidates > 0)[..., None], scores, 1e6)
    np.testing.assert_allclose(learn_weights(changed, candidates, targets), expected, atol=1e-4)


def test_lists_without_any_target_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"^blend: no list of candidates has its target; raise candidates, or give the weights$"
    ):
        learn_weights(np.ones((2, 2, 1)), np.array([[1, 0], [2, 3]]), np.array([4, 1]))

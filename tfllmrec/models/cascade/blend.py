"""How much each of several scores is to count: a conditional logit (McFadden, 1974) of lists of candidates."""

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp

from tfllmrec.errors import InputError


def learn_weights(scores: np.ndarray, candidates: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """The weights, none below 0, whose sum of scores makes the answers likeliest among their candidates.

    Lists without their answer say nothing, and are passed over.

    Args:
        scores: of every model, float [n, N, models].
        candidates: int32 [n, N]; 0 is nothing.
        answers: int32 [n].

    Returns:
        float64 [models].

    Raises:
        InputError: no list has its answer.

    Example:
        >>> scores = np.array([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.5], [0.9, 0.0]]])
        >>> first, second = learn_weights(scores, np.array([[1, 2], [1, 2]]), np.array([1, 1]))
    """
    is_answer = candidates == answers[:, None]
    found = is_answer.any(axis=1)
    if not found.any():
        raise InputError("blend: no answer is among its candidates; retrieve more of them, or give the weights")
    features, there, place = scores[found].astype(np.float64), candidates[found] > 0, is_answer[found].argmax(axis=1)
    spread = features[there].std(axis=0)
    scale = np.where(spread > 1e-9, spread, 1.0)  # so that all weights are of one size for the search
    features, rows = np.where(there[..., None], features, 0) / scale, np.arange(len(features))

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        logits = np.where(there, features @ weights, -np.inf)
        normal = logsumexp(logits, axis=1)
        chances = np.exp(logits - normal[:, None])
        expected = np.einsum("nc,ncm->nm", chances, features)
        value = np.mean(normal - logits[rows, place]) + _RIDGE * weights @ weights
        return value, np.mean(expected - features[rows, place], axis=0) + 2 * _RIDGE * weights

    start = np.ones(features.shape[2])
    result = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(start))
    return result.x / scale


_RIDGE = 1e-4  # so that there is one best answer where a model's scores tell everything, or nothing

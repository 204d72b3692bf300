"""Learn the weights of several scores: a conditional logit (McFadden, 1974) on lists of candidates."""

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp

from tfllmrec.errors import InputError


def learn_weights(scores: np.ndarray, candidates: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the non-negative weights that maximise the likelihood of the targets among their candidates.

    Lists without their target are ignored.

    Args:
        scores: scores of every model, float [n, N, models].
        candidates: item indices, int32 [n, N]; 0 is padding.
        targets: item indices, int32 [n].

    Returns:
        Weights float64 [models].

    Raises:
        InputError: If no list has its target.

    Example:
        >>> scores = np.array([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.5], [0.9, 0.0]]])
        >>> learn_weights(scores, np.array([[1, 2], [1, 2]]), np.array([1, 1])).shape
        (2,)
    """
    is_target = candidates == targets[:, None]
    kept = is_target.any(axis=1)
    if not kept.any():
        raise InputError("blend: no list of candidates has its target; raise candidates, or give the weights")
    features, present, position = scores[kept].astype(np.float64), candidates[kept] > 0, is_target[kept].argmax(axis=1)
    deviations = features[present].std(axis=0)
    scale = np.where(deviations > 1e-9, deviations, 1.0)  # the search is over weights of one magnitude
    features, rows = np.where(present[..., None], features, 0) / scale, np.arange(len(features))

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        logits = np.where(present, features @ weights, -np.inf)
        normal = logsumexp(logits, axis=1)
        probabilities = np.exp(logits - normal[:, None])
        expected = np.einsum("nc,ncm->nm", probabilities, features)
        value = np.mean(normal - logits[rows, position]) + _RIDGE * weights @ weights
        return value, np.mean(expected - features[rows, position], axis=0) + 2 * _RIDGE * weights

    start = np.ones(features.shape[2])
    result = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(start))
    return result.x / scale


_RIDGE = 1e-4  # makes the optimum finite for perfect scores, and unique for constant ones

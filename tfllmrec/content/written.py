"""What users write beside what they do, read in the order of time."""

from typing import NamedTuple

import numpy as np


class Written(NamedTuple):
    """What was known of users by their own texts, at every time.

    Attributes:
        states: means of a user's texts up to each of them, float32 [texts + 1, D]; row 0 is nothing.
        before: the state before every interaction, int32 [interactions].
        newest: the state of every user after all, int32 [users + 1].
    """

    states: np.ndarray
    before: np.ndarray
    newest: np.ndarray


def running_means(vectors: np.ndarray, there: np.ndarray, offsets: np.ndarray) -> Written:
    """The mean of what each user wrote so far; what comes with an interaction is known after it.

    Args:
        vectors: of the texts, in the order of the interactions, float32 [texts, D].
        there: which interactions have a text, bool [interactions]; those of a user stand together, oldest first.
        offsets: where the users' interactions start, and the end, [users + 2]; user 0 is nobody.

    Example:
        >>> running_means(np.array([[1.0], [3.0]]), np.array([True, False, True]), np.array([0, 0, 3])).newest
        array([0, 2], dtype=int32)
    """
    so_far = np.concatenate([[0], np.cumsum(there)])
    begun, ended = so_far[offsets[:-1]], so_far[offsets[1:]]
    user = np.repeat(np.arange(len(begun)), np.diff(offsets))
    sums = np.concatenate([np.zeros((1, vectors.shape[1])), np.cumsum(vectors, axis=0, dtype=np.float64)])
    first = begun[user[there]]
    means = (sums[1:] - sums[first]) / (np.arange(1, len(vectors) + 1) - first)[:, None]
    return Written(
        np.concatenate([sums[:1], means]).astype(np.float32),
        np.where(so_far[:-1] > begun[user], so_far[:-1], 0).astype(np.int32),
        np.where(ended > begun, ended, 0).astype(np.int32),
    )

"""Running means of the vectors of users' texts."""

from typing import NamedTuple

import numpy as np


class UserTextMeans(NamedTuple):
    """Means of the vectors of users' texts at every point of time.

    Attributes:
        means: mean of a user's texts up to each of them, float32 [texts + 1, D]; row 0, for no text, is zero.
        before: row of `means` before every interaction, int32 [interactions].
        latest: row of `means` after all interactions of every user, int32 [users + 1].
    """

    means: np.ndarray
    before: np.ndarray
    latest: np.ndarray


def running_means(vectors: np.ndarray, has_text: np.ndarray, offsets: np.ndarray) -> UserTextMeans:
    """Return the mean of each user's texts so far; the text of an interaction counts after it.

    Args:
        vectors: vectors of the texts in the order of the interactions, float32 [texts, D].
        has_text: mask of the interactions with a text, bool [interactions]; sorted by user and time.
        offsets: first interaction of every user, and the end, [users + 2]; user 0 is the unknown user.

    Example:
        >>> running_means(np.array([[1.0], [3.0]]), np.array([True, False, True]), np.array([0, 0, 3])).latest
        array([0, 2], dtype=int32)
    """
    num_texts = np.concatenate([[0], np.cumsum(has_text)])  # texts before every interaction
    first_text, end_text = num_texts[offsets[:-1]], num_texts[offsets[1:]]
    user = np.repeat(np.arange(len(first_text)), np.diff(offsets))
    sums = np.concatenate([np.zeros((1, vectors.shape[1])), np.cumsum(vectors, axis=0, dtype=np.float64)])
    first = first_text[user[has_text]]
    means = (sums[1:] - sums[first]) / (np.arange(1, len(vectors) + 1) - first)[:, None]
    return UserTextMeans(
        np.concatenate([sums[:1], means]).astype(np.float32),
        np.where(num_texts[:-1] > first_text[user], num_texts[:-1], 0).astype(np.int32),
        np.where(end_text > first_text, end_text, 0).astype(np.int32),
    )

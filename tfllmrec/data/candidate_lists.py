"""Candidate lists: the candidates of a retriever for every target, to be ordered by a ranker."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from tfllmrec.data.batches import epoch_batches
from tfllmrec.data.splits import Targets

if TYPE_CHECKING:
    import tensorflow as tf


@dataclass(frozen=True, eq=False)
class CandidateLists:
    """Targets with candidates; the target item may or may not be among its candidates.

    Attributes:
        targets: users, histories and target items.
        candidates: best first, int32 [n, N]; 0 for padding.
    """

    targets: Targets
    candidates: np.ndarray

    def take(self, rows: np.ndarray) -> Self:
        """Return the given rows, in the given order."""
        return replace(self, targets=self.targets.take(rows), candidates=self.candidates[rows])

    @property
    def has_target(self) -> np.ndarray:
        """Mask of the lists that contain their target item, bool [n]."""
        return (self.candidates == self.targets.items[:, None]).any(axis=1)

    def with_target(self) -> Self:
        """Return the lists that contain their target item."""
        return self.take(np.flatnonzero(self.has_target))

    def batches(
        self, history_length: int, batch_size: int, *, size: int | None = None, seed: int = 0, first_epoch: int = 0
    ) -> "tf.data.Dataset":
        """Return batches to train a ranker on, shuffled differently in every epoch; every list has its target.

        Args:
            history_length: L, the number of most recent items of a history.
            batch_size: lists per batch; the last batch may be smaller.
            size: S, candidates per list: the target and others, resampled in every epoch. None for all, S = N.
            seed: of shuffling and sampling.
            first_epoch: the first epoch to return, from 0.

        Returns:
            Batches of ({"user": int32 [B], "history": int32 [B, L] oldest first, zeros on the right, "candidates":
            int32 [B, S]}, labels float32 [B, S], 1 for the target and 0 for others).
        """
        import tensorflow as tf

        targets, width = self.targets, self.candidates.shape[1]
        size = min(size or width, width)
        columns = {
            "user": tf.constant(targets.users),
            "history": tf.constant(targets.histories.most_recent(history_length)),
            "candidates": tf.constant(self.candidates),
        }
        target_items = tf.constant(targets.items)

        def gather(examples: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
            rows = examples[:, 0]
            features = {name: tf.gather(column, rows) for name, column in columns.items()}
            features["candidates"] = tf.gather(features["candidates"], examples[:, 1:], batch_dims=1)
            labels = features["candidates"] == tf.gather(target_items, rows)[:, None]
            return features, tf.cast(labels, tf.float32)

        def epochs() -> Iterator[np.ndarray]:
            epoch = first_epoch
            while True:
                generator = np.random.default_rng([seed, epoch])
                rows = generator.permutation(len(targets))
                yield np.concatenate([rows[:, None], self._sample_columns(size, generator)[rows]], axis=1)
                epoch += 1

        return epoch_batches(epochs(), (len(targets), 1 + size), batch_size, gather)

    def _sample_columns(self, size: int, generator: np.random.Generator) -> np.ndarray:
        """Sample columns of `candidates` for every list, the target's column first: int64 [n, size]."""
        rows, width = self.candidates.shape
        if size == width:
            return np.tile(np.arange(width), (rows, 1))
        keys = generator.random((rows, width)) + (self.candidates == 0)  # padding last
        keys[self.candidates == self.targets.items[:, None]] = -1
        return np.argsort(keys, axis=1)[:, :size]


def union(parts: Sequence[CandidateLists]) -> CandidateLists:
    """Merge the candidates of several retrievers for the same targets, without duplicates.

    Args:
        parts: lists of the same targets.

    Returns:
        Lists as wide as all parts together; candidates of the first parts come first, and a repeated
        candidate is replaced by 0.
    """
    candidates = np.concatenate([part.candidates for part in parts], axis=1)
    for row in candidates:
        is_first = np.zeros(len(row), bool)
        is_first[np.unique(row, return_index=True)[1]] = True
        row[~is_first] = 0
    return CandidateLists(parts[0].targets, candidates)

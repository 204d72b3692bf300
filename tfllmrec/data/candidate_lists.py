"""Lists of candidates: what a retriever found for a question, to be put in order by a ranker."""

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
    """Questions with candidates for their answer, which may or may not be among them.

    Attributes:
        targets: the questions and their answers.
        candidates: best first, int32 [n, N]; 0 where there are fewer.
    """

    targets: Targets
    candidates: np.ndarray

    def take(self, rows: np.ndarray) -> Self:
        """Some of the questions, in this order."""
        return replace(self, targets=self.targets.take(rows), candidates=self.candidates[rows])

    @property
    def has_target(self) -> np.ndarray:
        """Which questions have their answer among the candidates, bool [n]."""
        return (self.candidates == self.targets.items[:, None]).any(axis=1)

    def with_target(self) -> Self:
        """The questions that have their answer among the candidates."""
        return self.take(np.flatnonzero(self.has_target))

    def batches(
        self, history_length: int, batch_size: int, *, size: int | None = None, seed: int = 0, first_epoch: int = 0
    ) -> "tf.data.Dataset":
        """The lists to train on, which all have their answer, in an order of its own in every epoch.

        Args:
            history_length: L, how many of the newest items of a history are kept.
            batch_size: lists a batch; the last one may be smaller.
            size: candidates of a list, S: in every epoch its answer and others drawn anew; None for all, S = N.
            seed: of the shuffling and of what is drawn.
            first_epoch: which epoch's order comes first, from 0.

        Returns:
            Batches of ({"user": int32 [B], "history": int32 [B, L] oldest first, zeros on the right, "candidates":
            int32 [B, S]}, labels float32 [B, S], 1 for the answer and 0 for others).
        """
        import tensorflow as tf

        targets, width = self.targets, self.candidates.shape[1]
        size = min(size or width, width)
        columns = {
            "user": tf.constant(targets.users),
            "history": tf.constant(targets.histories.most_recent(history_length)),
            "candidates": tf.constant(self.candidates),
        }
        answers = tf.constant(targets.items)

        def gather(examples: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
            rows = examples[:, 0]
            features = {name: tf.gather(column, rows) for name, column in columns.items()}
            features["candidates"] = tf.gather(features["candidates"], examples[:, 1:], batch_dims=1)
            labels = features["candidates"] == tf.gather(answers, rows)[:, None]
            return features, tf.cast(labels, tf.float32)

        def epochs() -> Iterator[np.ndarray]:
            epoch = first_epoch
            while True:
                random = np.random.default_rng([seed, epoch])
                rows = random.permutation(len(targets))
                yield np.concatenate([rows[:, None], self._drawn(size, random)[rows]], axis=1)
                epoch += 1

        return epoch_batches(epochs(), (len(targets), 1 + size), batch_size, gather)

    def _drawn(self, size: int, random: np.random.Generator) -> np.ndarray:
        """Places of that many candidates in every list, its answer's first: int64 [n, size]."""
        rows, width = self.candidates.shape
        if size == width:
            return np.tile(np.arange(width), (rows, 1))
        keys = random.random((rows, width)) + (self.candidates == 0)  # empty places last
        keys[self.candidates == self.targets.items[:, None]] = -1
        return np.argsort(keys, axis=1)[:, :size]


def union(parts: Sequence[CandidateLists]) -> CandidateLists:
    """The candidates of several retrievers for the same questions, each once: int32 [n, N of all together].

    Args:
        parts: lists of the same targets; what the first ones have comes first.
    """
    candidates = np.concatenate([part.candidates for part in parts], axis=1)
    for row in candidates:
        first = np.zeros(len(row), bool)
        first[np.unique(row, return_index=True)[1]] = True
        row[~first] = 0
    return CandidateLists(parts[0].targets, candidates)

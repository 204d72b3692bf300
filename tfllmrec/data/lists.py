"""Lists of candidates: what a retriever found for a question, to be put in order by a ranker."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from tfllmrec.data.batches import batches_of
from tfllmrec.data.splits import Targets

if TYPE_CHECKING:
    import tensorflow as tf


@dataclass(frozen=True, eq=False)
class Lists:
    """Questions with candidates for their answer, which may or may not be among them.

    Attributes:
        targets: the questions and their answers.
        candidates: best first, int32 [n, N]; 0 where there are fewer.
    """

    targets: Targets
    candidates: np.ndarray

    def with_targets(self) -> Self:
        """The same for training: a list without its answer has it in the last place.

        Never to be done to lists that something is chosen or reported by: a retriever does not know the answer.
        """
        candidates, answers = self.candidates.copy(), self.targets.items
        missing = ~(candidates == answers[:, None]).any(axis=1)
        candidates[missing, -1] = answers[missing]
        return replace(self, candidates=candidates)

    def with_drawn(self, items: np.ndarray, count: int, *, seed: int = 0) -> Self:
        """Longer lists, with items drawn at random, so that a ranker meets easy candidates as well.

        Args:
            items: to draw from, int32.
            count: how many for every list; one that is in the list already, in its history, or its answer, becomes 0.
            seed: of the draw.
        """
        rows = len(self.targets)
        drawn = np.random.default_rng(seed).choice(items, (rows, count)).astype(np.int32)
        known = np.concatenate([self.candidates, self.targets.histories.padded(), self.targets.items[:, None]], axis=1)
        for row in range(rows):
            drawn[row, np.isin(drawn[row], known[row])] = 0
        return replace(self, candidates=np.concatenate([self.candidates, drawn], axis=1))

    def batches(
        self, history_length: int, batch_size: int, *, seed: int = 0, first_epoch: int = 0
    ) -> "tf.data.Dataset":
        """The lists to train on, in an order of its own in every epoch.

        Args:
            history_length: L, how many of the newest items of a history are kept.
            batch_size: lists a batch; the last one may be smaller.
            seed: of the shuffling.
            first_epoch: which epoch's order comes first, from 0.

        Returns:
            Batches of ({"user": int32 [B], "history": int32 [B, L] oldest first, zeros on the right, "candidates":
            int32 [B, N]}, labels float32 [B, N], 1 for the answer and 0 for others).
        """
        import tensorflow as tf

        targets = self.targets
        columns = {
            "user": tf.constant(targets.users),
            "history": tf.constant(targets.histories.newest(history_length)),
            "candidates": tf.constant(self.candidates),
        }
        answers = tf.constant(targets.items)

        def gather(rows: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
            features = {name: tf.gather(column, rows) for name, column in columns.items()}
            labels = features["candidates"] == tf.gather(answers, rows)[:, None]
            return features, tf.cast(labels, tf.float32)

        def epochs() -> Iterator[np.ndarray]:
            epoch = first_epoch
            while True:
                yield np.random.default_rng([seed, epoch]).permutation(len(targets))
                epoch += 1

        return batches_of(epochs(), (len(targets),), batch_size, gather)


def union(parts: Sequence[Lists]) -> Lists:
    """The candidates of several retrievers for the same questions, each once: int32 [n, N of all together].

    Args:
        parts: lists of the same targets; what the first ones have comes first.
    """
    candidates = np.concatenate([part.candidates for part in parts], axis=1)
    for row in candidates:
        first = np.zeros(len(row), bool)
        first[np.unique(row, return_index=True)[1]] = True
        row[~first] = 0
    return Lists(parts[0].targets, candidates)

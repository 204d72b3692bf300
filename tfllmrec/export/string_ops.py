"""String operations of a servable: look-ups between strings and indices, stored histories, widths.

All operations are dense, with 0 as padding. Ragged operations contain asserts, and a failed assert in one row would
fail the whole batch.
"""

import numpy as np
import tensorflow as tf

from tfllmrec.data.histories import Histories
from tfllmrec.data.vocabulary import Vocabulary


class Strings(tf.Module):
    """Strings in a variable. As constants in the graph, each would take half a kilobyte of a server's memory.

    Args:
        strings: strings [n].
    """

    def __init__(self, strings: np.ndarray) -> None:
        super().__init__()
        self.values = tf.Variable(tf.constant(strings, tf.string), trainable=False, name="strings")

    def __call__(self, indices: tf.Tensor) -> tf.Tensor:
        """Map indices int32 of any shape to strings of the same shape."""
        return rows(self.values, indices)


class Lookup(tf.Module):
    """Look-up between ids and indices in the graph. "" and unknown ids have index 0.

    Args:
        vocabulary: ids and their indices.

    Attributes:
        size: number of ids.
        ids: maps indices to ids.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.size = len(vocabulary)
        self.ids = Strings(vocabulary.tokens)
        self._table = tf.lookup.StaticHashTable(_FromVariable(self.ids.values), default_value=0)

    def __call__(self, ids: tf.Tensor) -> tf.Tensor:
        """Map strings of any shape to indices int32 of the same shape."""
        return self._table.lookup(ids)


class _FromVariable(tf.lookup.KeyValueTensorInitializer):
    """Initialise a table from a variable, so that ids are stored once; servers restore variables before tables."""

    def __init__(self, keys: tf.Variable) -> None:
        super().__init__(tf.constant([""]), tf.constant([0]))
        self._variable = keys

    def initialize(self, table: tf.lookup.StaticHashTable) -> tf.Operation:
        keys = self._variable.read_value()
        return tf.raw_ops.InitializeTableV2(
            table_handle=table.resource_handle, keys=keys, values=tf.range(tf.shape(keys)[0])
        )


class StoredHistories(tf.Module):
    """Histories by user index at the time of the export, as flat values and row offsets.

    Args:
        histories: [users + 1] rows; row 0, the unknown user's, is empty.
    """

    def __init__(self, histories: Histories) -> None:
        super().__init__()
        values = np.append(histories.values, np.int32(0))  # padding, read beyond the end of a row
        self._values = tf.Variable(values, trainable=False, name="history_values")
        self._offsets = tf.Variable(histories.offsets, trainable=False, name="history_offsets")

    def __call__(self, users: tf.Tensor) -> tf.Tensor:
        """Return the complete histories of users int32 [B], int32 [B, longest of these rows], zeros on the right."""
        starts, ends = rows(self._offsets, users), rows(self._offsets, users + 1)
        longest = tf.reduce_max(tf.concat([ends - starts, [0]], axis=0))
        positions = starts[:, None] + tf.range(longest)
        return rows(self._values, tf.where(positions < ends[:, None], positions, self._values.shape[0] - 1))


def rows(variable: tf.Variable, indices: tf.Tensor) -> tf.Tensor:
    """Gather rows of a variable.

    `tf.gather` of the variable itself would switch it to copy-on-read permanently: every later dense read, such as a
    product with all item vectors, would copy it (39 ms instead of 4).
    """
    return tf.gather(tf.convert_to_tensor(variable), indices)


def known(indices: tf.Tensor, count: int) -> tf.Tensor:
    """Replace indices outside 1..count by 0, because a gather of one would fail the whole batch."""
    return tf.where((indices > 0) & (indices <= count), indices, 0)


def widened(items: tf.Tensor, base: int) -> tf.Tensor:
    """Pad on the right to a width that is a power of `base`, so that a compiled core sees few shapes.

    int32 [B, any] to int32 [B, 1, base, base ** 2, ...].
    """
    width, powers = tf.shape(items)[1], tf.constant(_powers_of(base))
    target = powers[tf.math.count_nonzero(width > powers, dtype=tf.int32)]
    return tf.pad(items, [[0, 0], [0, target - width]])


def _powers_of(base: int) -> list[int]:
    """Return the powers that fit into an int32."""
    return [base**power for power in range(31) if base**power < 2**31]

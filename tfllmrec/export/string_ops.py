"""The host part of a servable: strings to int32 indices and back, around a core that knows no strings.

Everything here is dense arithmetic in which 0 is nothing: no ragged tensors, whose operations bring asserts
along, and an assert would fail a bad row's neighbours in a batch.
"""

import numpy as np
import tensorflow as tf

from tfllmrec.data.histories import Histories
from tfllmrec.data.vocabulary import Vocabulary


class Strings(tf.Module):
    """A list of strings in a variable: as a constant in the graph each would cost a server half a kilobyte.

    Args:
        strings: n of them.
    """

    def __init__(self, strings: np.ndarray) -> None:
        super().__init__()
        self.values = tf.Variable(tf.constant(strings, tf.string), trainable=False, name="strings")

    def __call__(self, indices: tf.Tensor) -> tf.Tensor:
        """int32 of any shape -> string of that shape."""
        return rows(self.values, indices)


class Lookup(tf.Module):
    """A vocabulary as a graph knows it: ids to indices and back. "" and unknown ids are 0.

    Args:
        vocabulary: what to look up.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.size = len(vocabulary)
        self.ids = Strings(vocabulary.tokens)
        self._table = tf.lookup.StaticHashTable(_FromVariable(self.ids.values), default_value=0)

    def __call__(self, ids: tf.Tensor) -> tf.Tensor:
        """String of any shape -> int32 of that shape."""
        return self._table.lookup(ids)


class _FromVariable(tf.lookup.KeyValueTensorInitializer):
    """Fills a table from a variable (servers restore first, then fill tables), so ids are stored once."""

    def __init__(self, keys: tf.Variable) -> None:
        super().__init__(tf.constant([""]), tf.constant([0]))
        self._variable = keys

    def initialize(self, table: tf.lookup.StaticHashTable) -> tf.Operation:
        keys = self._variable.read_value()
        return tf.raw_ops.InitializeTableV2(
            table_handle=table.resource_handle, keys=keys, values=tf.range(tf.shape(keys)[0])
        )


class StoredHistories(tf.Module):
    """Histories by user index, as they were at the export: flat values and the place where each row starts.

    Args:
        histories: [users + 1] rows; row 0, the unknown user's, is empty.
    """

    def __init__(self, histories: Histories) -> None:
        super().__init__()
        values = np.append(histories.values, np.int32(0))  # the last place is the one to read nothing from
        self._values = tf.Variable(values, trainable=False, name="history_values")
        self._offsets = tf.Variable(histories.offsets, trainable=False, name="history_offsets")

    def __call__(self, users: tf.Tensor) -> tf.Tensor:
        """Whole histories: int32 [B] -> int32 [B, longest of these rows], zeros on the right."""
        starts, ends = rows(self._offsets, users), rows(self._offsets, users + 1)
        longest = tf.reduce_max(tf.concat([ends - starts, [0]], axis=0))
        places = starts[:, None] + tf.range(longest)
        return rows(self._values, tf.where(places < ends[:, None], places, self._values.shape[0] - 1))


def rows(variable: tf.Variable, indices: tf.Tensor) -> tf.Tensor:
    """Rows of a variable by index.

    `tf.gather` of the variable itself would switch it to copy-on-read for good: every dense read after that,
    say a matrix product with all item vectors, copies it whole (measured: 39 ms instead of 4).
    """
    return tf.gather(tf.convert_to_tensor(variable), indices)


def known(indices: tf.Tensor, count: int) -> tf.Tensor:
    """Indices outside 1..count become 0: a gather would fail on them, and with it the whole batch."""
    return tf.where((indices > 0) & (indices <= count), indices, 0)


def widened(items: tf.Tensor, base: int) -> tf.Tensor:
    """Zeros added on the right up to a width of a power of `base`, so that a compiled core sees few shapes.

    int32 [B, any] -> int32 [B, 1, base, base ** 2, ...].
    """
    width, powers = tf.shape(items)[1], tf.constant(_powers_of(base))
    wanted = powers[tf.math.count_nonzero(width > powers, dtype=tf.int32)]
    return tf.pad(items, [[0, 0], [0, wanted - width]])


def _powers_of(base: int) -> list[int]:
    """All that an int32 holds."""
    return [base**power for power in range(31) if base**power < 2**31]

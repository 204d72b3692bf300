"""Rows of ids as a batch has them, and its answers beside what the recommender says in Python."""

import numpy as np

LOWEST = np.finfo(np.float32).min


def padded(rows, width=0):
    """Rows of one width, the longest's or more, with "" at the end."""
    width = max([width, *map(len, rows)])
    return [[*row, *[""] * (width - len(row))] for row in rows]


def assert_are_of(table, answers, names, places, rtol=1e-5):
    """Items, titles and scores are those of a table of `recommend`; where it has no more, "" and the lowest score.

    `names` has one for each row, for messages; `places` is how many items an answer has room for.
    """
    assert answers["item_ids"].shape == (len(names), places)
    for row, name in enumerate(names):
        expected = table[table["row"] == row]
        count = len(expected)
        assert answers["item_ids"][row].tolist() == [*expected["item_id"], *[""] * (places - count)], name
        assert answers["titles"][row].tolist() == [*expected["title"], *[""] * (places - count)], name
        np.testing.assert_allclose(answers["scores"][row, :count], expected["score"], rtol, rtol / 10, err_msg=name)
        assert (answers["scores"][row, count:] == LOWEST).all(), name


def assert_same(one, other):
    """Two answers have the same items and scores."""
    assert one["item_ids"].tolist() == other["item_ids"].tolist()
    np.testing.assert_allclose(one["scores"], other["scores"], rtol=1e-5, atol=1e-6)

"""Padded request rows, and assertions on the outputs of signatures that return items."""

import numpy as np

LOWEST = np.finfo(np.float32).min


def padded(rows, width=0):
    """Pad rows with "" on the right to the longest length, or to `width` if that is larger."""
    width = max([width, *map(len, rows)])
    return [[*row, *[""] * (width - len(row))] for row in rows]


def assert_matches_table(outputs, table, cases, top_k, rtol=1e-5):
    """Check that items, titles and scores equal those of `recommend`, followed by "" and the lowest score.

    Args:
        outputs: outputs of the signature by name.
        table: the table of `recommend`.
        cases: names of the rows, for assertion messages.
        top_k: number of items in an output row.
        rtol: relative tolerance of the scores.
    """
    assert outputs["item_ids"].shape == (len(cases), top_k)
    for row, case in enumerate(cases):
        expected = table[table["row"] == row]
        count = len(expected)
        assert outputs["item_ids"][row].tolist() == [*expected["item_id"], *[""] * (top_k - count)], case
        assert outputs["titles"][row].tolist() == [*expected["title"], *[""] * (top_k - count)], case
        np.testing.assert_allclose(outputs["scores"][row, :count], expected["score"], rtol, rtol / 10, err_msg=case)
        assert (outputs["scores"][row, count:] == LOWEST).all(), case


def assert_same_items(actual, expected):
    """Check that two outputs have equal items and scores."""
    assert actual["item_ids"].tolist() == expected["item_ids"].tolist()
    np.testing.assert_allclose(actual["scores"], expected["scores"], rtol=1e-5, atol=1e-6)


def assert_matches_scores(outputs, scores, top_k):
    """Check that item indices and scores are the best of `scores`, with index 0 for items of the lowest score.

    Args:
        outputs: outputs of the signature by name.
        scores: scores of all items, float32 [rows, items + 1].
        top_k: number of results per row.
    """
    order = np.argsort(-scores, axis=1, kind="stable")[:, :top_k]
    best = np.take_along_axis(scores, order, axis=1)
    assert outputs["items"].tolist() == np.where(best == LOWEST, 0, order).tolist()
    np.testing.assert_allclose(outputs["scores"], best, rtol=1e-5, atol=1e-6)

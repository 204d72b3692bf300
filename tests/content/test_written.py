"""What was known of users by their texts: known answers, and the future stays out of it."""

import numpy as np

from tfllmrec.content.written import running_means


def test_means_of_what_was_written_before():
    vectors = np.array([[1.0, 0.0], [3.0, 0.0], [0.0, 8.0]], np.float32)
    there = np.array([True, False, True, False, True, False])
    found = running_means(vectors, there, np.array([0, 0, 4, 4, 6]))  # users 1 and 3; user 2 has nothing
    np.testing.assert_array_equal(found.states, [[0, 0], [1, 0], [2, 0], [0, 8]])
    assert found.before.tolist() == [0, 1, 1, 2, 0, 3], "a text counts after its interaction, and for nobody else"
    assert found.newest.tolist() == [0, 2, 0, 3]
    assert found.states.dtype == np.float32


def test_later_texts_change_nothing_before_them():
    random = np.random.default_rng(0)
    there = random.random(30) < 0.5
    vectors, offsets = random.normal(size=(there.sum(), 3)), np.array([0, 0, 11, 30])
    whole = running_means(vectors, there, offsets)
    for end in range(12, 30):
        part = running_means(vectors[: there[:end].sum()], there[:end], np.array([0, 0, 11, end]))
        np.testing.assert_allclose(part.states[part.before], whole.states[whole.before[:end]], rtol=1e-6)

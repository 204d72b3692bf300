"""Running means of text vectors: known results, no information from the future."""

import numpy as np

from tfllmrec.content.user_text_means import running_means


def test_means_of_earlier_texts():
    vectors = np.array([[1.0, 0.0], [3.0, 0.0], [0.0, 8.0]], np.float32)
    has_text = np.array([True, False, True, False, True, False])
    result = running_means(vectors, has_text, np.array([0, 0, 4, 4, 6]))  # users 1 and 3; user 2 has no interactions
    np.testing.assert_array_equal(result.means, [[0, 0], [1, 0], [2, 0], [0, 8]])
    assert result.before.tolist() == [0, 1, 1, 2, 0, 3], "a text counts after its interaction and for its user only"
    assert result.latest.tolist() == [0, 2, 0, 3]
    assert result.means.dtype == np.float32


def test_later_texts_do_not_change_earlier_means():
    random = np.random.default_rng(0)
    has_text = random.random(30) < 0.5
    vectors, offsets = random.normal(size=(has_text.sum(), 3)), np.array([0, 0, 11, 30])
    whole = running_means(vectors, has_text, offsets)
    for end in range(12, 30):
        part = running_means(vectors[: has_text[:end].sum()], has_text[:end], np.array([0, 0, 11, end]))
        np.testing.assert_allclose(part.means[part.before], whole.means[whole.before[:end]], rtol=1e-6)

"""AUCs against scikit-learn, and label shares against known values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from tfllmrec.data import Histories
from tfllmrec.errors import InputError
from tfllmrec.evaluation.interests import label_aucs, label_shares


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31), rows=st.integers(2, 40), values=st.sampled_from([2, 5, 1000]))
def test_label_aucs_match_scikit_learn(seed, rows, values):
    random = np.random.default_rng(seed)
    scores, labels = random.integers(values, size=(rows, 4)) / values, random.random((rows, 4)) < 0.4
    labels[0], labels[1] = True, False
    expected = [roc_auc_score(labels[:, label], scores[:, label]) for label in range(4)]
    np.testing.assert_allclose(label_aucs(scores, labels, min_positives=1), expected)


def test_rare_labels_have_no_auc():
    labels = np.zeros((30, 3), bool)
    labels[:9, 0], labels[:10, 1], labels[:, 2] = True, True, True
    aucs = label_aucs(np.tile(np.arange(30.0)[::-1, None], 3), labels)
    assert np.isnan(aucs).tolist() == [True, False, True]
    assert aucs[1] == 1.0
    with pytest.raises(InputError, match="no label has at least 31 users"):
        label_aucs(np.zeros((30, 3)), labels, min_positives=31)


def test_label_shares():
    labels = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], bool)
    histories = Histories.from_rows([[1, 2, 3, 1], [], [3]])
    assert label_shares(histories, labels).tolist() == [[0.75, 0.5], [0.0, 0.0], [0.0, 1.0]]

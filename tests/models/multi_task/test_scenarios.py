"""Layers that split histories by scenario, fuse their states and mask the items of other scenarios."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfllmrec.layers.top_items import LOWEST
from tfllmrec.models.multi_task.scenarios import NonEmptyRows, ScenarioFusion, SplitByScenario, StatesAt
from tfllmrec.models.multi_task.scoring_layers import CandidateMask, ScenarioMask

MEMBERS = np.array([[0, 0, 0, 0, 0, 0], [0, 1, 1, 0, 0, 1], [0, 0, 0, 1, 1, 1]], bool)
"""Items 1 and 2 are in the first scenario, 3 and 4 in the second, 5 in both."""
modest = settings(max_examples=30, deadline=None)
HISTORIES = st.lists(st.lists(st.integers(1, 5), max_size=5), min_size=1, max_size=4)


def padded(rows, width=5):
    return np.array([[*row, *[0] * (width - len(row))] for row in rows], np.int32)


@modest
@given(rows=HISTORIES)
def test_histories_are_split_by_scenario(rows):
    histories, lengths = (output.numpy() for output in SplitByScenario.of(MEMBERS)(padded(rows)))
    for number, row in enumerate(rows):
        for scenario in (1, 2):
            own = [item for item in row if MEMBERS[scenario, item]]
            assert histories[number, scenario - 1].tolist() == padded([own])[0].tolist()
            expected = [len([item for item in row[: end + 1] if MEMBERS[scenario, item]]) for end in range(5)]
            assert lengths[number, :, scenario - 1].tolist() == expected


@modest
@given(rows=HISTORIES)
def test_empty_histories_are_not_selected(rows):
    histories = SplitByScenario.of(MEMBERS)(padded(rows))[0]
    selected, positions = NonEmptyRows()(histories)
    histories = histories.numpy()
    for row, scenario in np.argwhere(histories[:, :, 0] > 0):
        assert selected.numpy()[positions[row, scenario]].tolist() == histories[row, scenario].tolist()
    non_empty = int((histories[:, :, 0] > 0).sum())
    assert len(selected) == non_empty + (histories[0, 0, 0] == 0), "the first one is always selected"
    assert positions.numpy().max() < len(selected)


def test_states_at_lengths():
    states = np.arange(2 * 3 * 1, dtype=np.float32).reshape(2, 3, 1)
    gathered = StatesAt()(states, np.array([[1, 0], [0, 1]]), np.array([[3, 1], [2, 0]]))
    assert gathered.numpy()[..., 0].tolist() == [[5.0, 0.0], [1.0, 3.0]]


@pytest.fixture
def states():
    return np.random.default_rng(0).normal(size=(4, 2, 3)).astype(np.float32)


def test_fusion_without_transfer_is_the_own_state(states):
    scenario, lengths = np.array([1, 2, 1, 0], np.int32), np.array([[1, 1], [1, 2], [0, 2], [1, 1]], np.int32)
    fused = ScenarioFusion(transfer=False)(states, lengths, scenario).numpy()
    np.testing.assert_allclose(fused, [states[0, 0], states[1, 1], [0] * 3, [0] * 3], rtol=1e-6)


def test_fusion_adds_states_of_other_scenarios(states):
    fusion, scenario = ScenarioFusion(), np.array([1, 1, 2, 2], np.int32)
    both, own = np.full((4, 2), 2, np.int32), np.array([[1, 0], [1, 0], [0, 1], [0, 1]], np.int32)
    alone, fused = fusion(states, own, scenario).numpy(), fusion(states, both, scenario).numpy()
    np.testing.assert_allclose(alone, [states[0, 0], states[1, 0], states[2, 1], states[3, 1]], rtol=1e-6)
    assert (np.abs(fused - alone).max(axis=1) > 1e-3).all()
    others = fusion(states, 1 - own, scenario).numpy()
    values = fusion.values.kernel.numpy()
    shares = others / (np.stack([states[0, 1], states[1, 1], states[2, 0], states[3, 0]]) @ values)
    np.testing.assert_allclose(shares, shares[:, :1] * np.ones((1, 3)), rtol=1e-4)
    assert ((shares > 0) & (shares < 1)).all(), "part of the attention is on the zero state"


def test_fusion_ignores_states_of_empty_histories(states):
    fusion, scenario, lengths = ScenarioFusion(), np.array([1] * 4, np.int32), np.array([[1, 0]] * 4, np.int32)
    broken = states.copy()
    broken[:, 1] = np.nan
    np.testing.assert_array_equal(fusion(broken, lengths, scenario), fusion(states, lengths, scenario))


@pytest.fixture
def split():
    split = SplitByScenario.of(MEMBERS)
    split(padded([[1]]))  # builds the layer, as in a model
    return split


def test_items_of_other_scenarios_are_masked(split):
    scores = ScenarioMask(split)(np.tile(np.arange(6, dtype=np.float32), (3, 1)), tf.constant([1, 2, 0]))
    expected = [[LOWEST, 1, 2, LOWEST, LOWEST, 5], [LOWEST, LOWEST, LOWEST, 3, 4, 5], [LOWEST] * 6]
    assert scores.numpy().tolist() == expected


def test_candidates_of_other_scenarios_are_masked(split):
    candidates = tf.constant([[5, 3, 1, 0]] * 3)
    values = CandidateMask(split)(tf.cast(candidates, tf.float32), candidates, tf.constant([1, 2, 0]))
    assert values.numpy().tolist() == [[5, LOWEST, 1, LOWEST], [5, 3, LOWEST, LOWEST], [LOWEST] * 4]

"""Histories taken apart by scenario, and fused again."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfllmrec.layers.top_items import LOWEST
from tfllmrec.models.multi_task.scenarios import HistoriesApart, OnlyScenario, RowsThere, ScenarioFusion, StatesAt

MEMBERS = np.array([[0, 0, 0, 0, 0, 0], [0, 1, 1, 0, 0, 1], [0, 0, 0, 1, 1, 1]], bool)
"""Items 1 and 2 in the first scenario, 3 and 4 in the second, 5 in both."""
modest = settings(max_examples=30, deadline=None)
HISTORIES = st.lists(st.lists(st.integers(1, 5), max_size=5), min_size=1, max_size=4)


def padded(rows, width=5):
    return np.array([[*row, *[0] * (width - len(row))] for row in rows], np.int32)


@modest
@given(rows=HISTORIES)
def test_every_scenario_has_its_own_history(rows):
    histories, lengths = (part.numpy() for part in HistoriesApart.of(MEMBERS)(padded(rows)))
    for number, row in enumerate(rows):
        for place in (1, 2):
            own = [item for item in row if MEMBERS[place, item]]
            assert histories[number, place - 1].tolist() == padded([own])[0].tolist()
            so_far = [len([item for item in row[: end + 1] if MEMBERS[place, item]]) for end in range(5)]
            assert lengths[number, :, place - 1].tolist() == so_far


@modest
@given(rows=HISTORIES)
def test_only_histories_with_an_item_are_encoded(rows):
    histories = HistoriesApart.of(MEMBERS)(padded(rows))[0]
    there, places = RowsThere()(histories)
    histories = histories.numpy()
    for row, scenario in np.argwhere(histories[:, :, 0] > 0):
        assert there.numpy()[places[row, scenario]].tolist() == histories[row, scenario].tolist()
    full = int((histories[:, :, 0] > 0).sum())
    assert len(there) == full + (histories[0, 0, 0] == 0), "the first is there in any case"
    assert places.numpy().max() < len(there)


def test_states_after_so_many_items():
    states = np.arange(2 * 3 * 1, dtype=np.float32).reshape(2, 3, 1)
    found = StatesAt()(states, np.array([[1, 0], [0, 1]]), np.array([[3, 1], [2, 0]]))
    assert found.numpy()[..., 0].tolist() == [[5.0, 0.0], [1.0, 3.0]]


@pytest.fixture
def states():
    return np.random.default_rng(0).normal(size=(4, 2, 3)).astype(np.float32)


def test_without_transfer_a_scenario_reads_itself_alone(states):
    scenario, lengths = np.array([1, 2, 1, 0], np.int32), np.array([[1, 1], [1, 2], [0, 2], [1, 1]], np.int32)
    found = ScenarioFusion(transfer=False)(states, lengths, scenario).numpy()
    np.testing.assert_allclose(found, [states[0, 0], states[1, 1], [0] * 3, [0] * 3], rtol=1e-6)


def test_what_was_done_elsewhere_moves_over(states):
    fusion, scenario = ScenarioFusion(), np.array([1, 1, 2, 2], np.int32)
    both, own = np.full((4, 2), 2, np.int32), np.array([[1, 0], [1, 0], [0, 1], [0, 1]], np.int32)
    alone, fused = fusion(states, own, scenario).numpy(), fusion(states, both, scenario).numpy()
    np.testing.assert_allclose(alone, [states[0, 0], states[1, 0], states[2, 1], states[3, 1]], rtol=1e-6)
    assert (np.abs(fused - alone).max(axis=1) > 1e-3).all()
    elsewhere = fusion(states, 1 - own, scenario).numpy()
    values = fusion.values.kernel.numpy()
    moved = np.stack([states[0, 1], states[1, 1], states[2, 0], states[3, 0]]) @ values
    shares = elsewhere / moved
    np.testing.assert_allclose(shares, shares[:, :1] * np.ones((1, 3)), rtol=1e-4)
    assert ((shares > 0) & (shares < 1)).all(), "it may listen to nobody"


def test_what_is_not_there_is_not_read(states):
    fusion, scenario, lengths = ScenarioFusion(), np.array([1] * 4, np.int32), np.array([[1, 0]] * 4, np.int32)
    broken = states.copy()
    broken[:, 1] = np.nan
    np.testing.assert_array_equal(fusion(broken, lengths, scenario), fusion(states, lengths, scenario))


def test_the_scenarios_items_and_no_others():
    apart = HistoriesApart.of(MEMBERS)
    apart(padded([[1]]))  # as in a model, where it is there before
    found = OnlyScenario(apart)(np.tile(np.arange(6, dtype=np.float32), (3, 1)), tf.constant([1, 2, 0]))
    low = LOWEST
    assert found.numpy().tolist() == [[low, 1, 2, low, low, 5], [low, low, low, 3, 4, 5], [low] * 6]

"""Splits of data with scenarios, compared with plain Python."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tfllmrec.data import Dataset
from tfllmrec.data.scenario_splits import leave_one_out_by_scenario, missing_scenario
from tfllmrec.errors import InputError

examples = settings(max_examples=40, deadline=None)
COLUMNS = ["user_id", "item_id", "timestamp", "scenario"]


def data_of(rows):
    return Dataset.from_frames(pd.DataFrame(rows, columns=COLUMNS), positions=True)


def from_strings(**users):
    """Create a data set from {user: {scenario: items in order}}."""
    return data_of(
        [
            (user, item, time, scenario)
            for user, scenarios in users.items()
            for scenario, items in scenarios.items()
            for time, item in enumerate(items)
        ]
    )


def target_rows(data, targets):
    """Return targets as sorted (user, scenario, history, item)."""
    rows = []
    for number in range(len(targets)):
        history = "".join(data.item_vocabulary.ids(targets.histories.row(number)))
        scenario = data.scenarios.names.ids([targets.scenarios[number]])[0]
        user = data.user_vocabulary.ids([targets.users[number]])[0]
        rows.append((user, scenario, history, data.item_vocabulary.ids([targets.items[number]])[0]))
    return sorted(rows)


def test_scenario_names_and_members():
    scenarios = from_strings(u={"sport": "ab", "beauty": "xa"}).scenarios
    assert scenarios.names.tokens.tolist() == ["", "beauty", "sport"]
    assert scenarios.members.astype(int).tolist() == [[0, 0, 0, 0], [0, 1, 0, 1], [0, 1, 1, 0]]
    assert len(scenarios) == 2


@pytest.mark.parametrize("column", [None, ""])
def test_table_without_scenarios(column):
    table = pd.DataFrame([("u", "a", 1, column)], columns=COLUMNS)
    for data in (Dataset.from_frames(table), Dataset.from_frames(table.drop(columns="scenario"))):
        assert data.scenarios is None
        assert data.scenario_indices.tolist() == [0]


def test_part_keeps_the_scenarios_of_the_whole():
    data = from_strings(u={"a": "x", "b": "y"})
    part = data.keep(data.scenario_indices == 2)
    assert part.scenarios is data.scenarios
    assert part.scenario_indices.tolist() == [2]


def test_last_items_of_every_scenario_are_targets():
    data = from_strings(u={"one": "abcd", "two": "wxyz"}, v={"one": "ac", "two": "zyx"})
    split = leave_one_out_by_scenario(data)
    assert target_rows(data, split.validation) == [
        ("u", "one", "wxab", "c"),
        ("u", "two", "abwx", "y"),
        ("v", "two", "acz", "y"),
    ]
    assert target_rows(data, split.test) == [
        ("u", "one", "wxabc", "d"),
        ("u", "two", "abwxy", "z"),
        ("v", "two", "aczy", "x"),
    ]
    assert len(split.train.interactions) == 2 + 2 + 2 + 1
    assert len(split.before_test.interactions) == 3 + 3 + 2 + 2


def test_repeats_are_not_targets():
    split = leave_one_out_by_scenario(from_strings(u={"one": "abcb"}, v={"one": "abc"}))
    assert (len(split.validation), len(split.test)) == (2, 1)
    assert "1 held-out interactions repeat an earlier item" in split.train.notes[-1]


@st.composite
def data_sets(draw):
    row = st.tuples(st.sampled_from("uvw"), st.sampled_from("abcdefgh"), st.integers(0, 6), st.sampled_from(["s", "t"]))
    rows = draw(st.lists(row, min_size=3, max_size=40, unique_by=lambda row: (row[0], row[1])))
    return data_of(rows)


@examples
@given(data=data_sets())
def test_histories_are_the_own_past_and_training_items_of_others(data):
    table = data.interactions
    assume((table.groupby(["user_id", "scenario"]).size() > 2).any())
    split = leave_one_out_by_scenario(data)
    trained = set(zip(split.train.interactions["user_id"], split.train.interactions["item_id"], strict=True))
    for targets in (split.validation, split.test):
        for user, scenario, history, item in target_rows(data, targets):
            rows = table[table["user_id"] == user]
            own = "".join(rows.loc[rows["scenario"] == scenario, "item_id"])
            others = [other for other in rows.loc[rows["scenario"] != scenario, "item_id"] if (user, other) in trained]
            assert history == "".join(others) + own[: own.index(item)]
            assert (user, item) not in trained


def test_one_scenario_of_some_users_is_removed():
    users = {f"u{number}": {"one": "ab", "two": "xyz"} for number in range(6)} | {"v": {"one": "abc"}}
    data = from_strings(**users)
    missing = missing_scenario(data, 0.5, seed=1)
    counts = missing.data.interactions.groupby("user_id")["scenario"].nunique()
    affected = counts.index[counts == 1].drop("v")
    assert len(affected) == 3
    for user, scenario, history, _ in target_rows(data, missing.targets):
        assert user in affected
        assert history == {"one": "xyz", "two": "ab"}[scenario]
    assert len(missing.data.interactions) + len(missing.targets) == len(data.interactions)
    assert "3 users without one of their scenarios" in missing.data.notes[-1]


def test_removed_scenarios_depend_on_the_seed():
    data = from_strings(**{f"u{number}": {"one": "ab", "two": "xyz"} for number in range(9)})
    first, again, other = (missing_scenario(data, seed=seed).targets.users for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_data_that_cannot_be_split_are_refused():
    without = Dataset.from_frames(pd.DataFrame([("u", "a", 1)], columns=COLUMNS[:3]))
    for split in (leave_one_out_by_scenario, missing_scenario):
        with pytest.raises(InputError, match="column scenario is missing"):
            split(without)
    with pytest.raises(InputError, match="no user has three interactions in one scenario"):
        leave_one_out_by_scenario(from_strings(u={"one": "ab", "two": "cd"}))
    with pytest.raises(InputError, match=r"a fraction of 0\.5 of 0 users with two or more scenarios leaves no user"):
        missing_scenario(from_strings(u={"one": "abc"}))

"""Splits of data with scenarios, against the rule spelt out in plain Python."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tfllmrec.data import Dataset
from tfllmrec.data.scenario_splits import leave_one_out_by_scenario, missing_scenario
from tfllmrec.errors import InputError

modest = settings(max_examples=40, deadline=None)
COLUMNS = ["user_id", "item_id", "timestamp", "scenario"]


def data_of(rows):
    return Dataset.from_frames(pd.DataFrame(rows, columns=COLUMNS), positions=True)


def of_strings(**users):
    """{user: {scenario: items in order}}."""
    return data_of(
        [
            (user, item, time, scenario)
            for user, scenarios in users.items()
            for scenario, items in scenarios.items()
            for time, item in enumerate(items)
        ]
    )


def told(data, targets):
    """Targets as (user, scenario, set of what came before from other scenarios, what came in its own, item)."""
    rows = []
    for number in range(len(targets)):
        history = "".join(data.item_vocabulary.ids(targets.histories.row(number)))
        scenario = data.scenarios.names.ids([targets.scenarios[number]])[0]
        user = data.user_vocabulary.ids([targets.users[number]])[0]
        rows.append((user, scenario, history, data.item_vocabulary.ids([targets.items[number]])[0]))
    return sorted(rows)


def test_scenarios_by_name_and_their_items():
    scenarios = of_strings(u={"sport": "ab", "beauty": "xa"}).scenarios
    assert scenarios.names.tokens.tolist() == ["", "beauty", "sport"]
    assert scenarios.members.astype(int).tolist() == [[0, 0, 0, 0], [0, 1, 0, 1], [0, 1, 1, 0]]
    assert len(scenarios) == 2


@pytest.mark.parametrize("column", [None, ""])
def test_a_table_without_scenarios(column):
    table = pd.DataFrame([("u", "a", 1, column)], columns=COLUMNS)
    for data in (Dataset.from_frames(table), Dataset.from_frames(table.drop(columns="scenario"))):
        assert data.scenarios is None
        assert data.scenario_indices.tolist() == [0]


def test_a_part_keeps_the_scenarios_of_the_whole():
    data = of_strings(u={"a": "x", "b": "y"})
    part = data.keep(data.scenario_indices == 2)
    assert part.scenarios is data.scenarios
    assert part.scenario_indices.tolist() == [2]


def test_the_last_of_every_scenario_is_asked_for():
    data = of_strings(u={"one": "abcd", "two": "wxyz"}, v={"one": "ac", "two": "zyx"})
    split = leave_one_out_by_scenario(data)
    assert told(data, split.validation) == [
        ("u", "one", "wxab", "c"),
        ("u", "two", "abwx", "y"),
        ("v", "two", "acz", "y"),
    ]
    assert told(data, split.test) == [("u", "one", "wxabc", "d"), ("u", "two", "abwxy", "z"), ("v", "two", "aczy", "x")]
    assert len(split.train.interactions) == 2 + 2 + 2 + 1
    assert len(split.before_test.interactions) == 3 + 3 + 2 + 2


def test_repeats_are_no_targets():
    split = leave_one_out_by_scenario(of_strings(u={"one": "abcb"}, v={"one": "abc"}))
    assert (len(split.validation), len(split.test)) == (2, 1)
    assert "1 held-out interactions repeat an earlier item" in split.train.notes[-1]


@st.composite
def data_sets(draw):
    row = st.tuples(st.sampled_from("uvw"), st.sampled_from("abcdefgh"), st.integers(0, 6), st.sampled_from(["s", "t"]))
    rows = draw(st.lists(row, min_size=3, max_size=40, unique_by=lambda row: (row[0], row[1])))
    return data_of(rows)


@modest
@given(data=data_sets())
def test_histories_are_the_own_past_and_what_of_others_is_trained_on(data):
    table = data.interactions
    assume((table.groupby(["user_id", "scenario"]).size() > 2).any())
    split = leave_one_out_by_scenario(data)
    trained = set(zip(split.train.interactions["user_id"], split.train.interactions["item_id"], strict=True))
    for targets in (split.validation, split.test):
        for user, scenario, history, item in told(data, targets):
            rows = table[table["user_id"] == user]
            own = "".join(rows.loc[rows["scenario"] == scenario, "item_id"])
            others = [one for one in rows.loc[rows["scenario"] != scenario, "item_id"] if (user, one) in trained]
            assert history == "".join(others) + own[: own.index(item)]
            assert (user, item) not in trained


def test_one_scenario_is_taken_from_some_who_have_two():
    users = {f"u{number}": {"one": "ab", "two": "xyz"} for number in range(6)} | {"v": {"one": "abc"}}
    data = of_strings(**users)
    missing = missing_scenario(data, 0.5, seed=1)
    left = missing.data.interactions.groupby("user_id")["scenario"].nunique()
    robbed = left.index[left == 1].drop("v")
    assert len(robbed) == 3
    for user, scenario, history, _ in told(data, missing.targets):
        assert user in robbed
        assert history == {"one": "xyz", "two": "ab"}[scenario]
    assert len(missing.data.interactions) + len(missing.targets) == len(data.interactions)
    assert "3 users without one of their scenarios" in missing.data.notes[-1]


def test_the_seed_decides_from_whom():
    data = of_strings(**{f"u{number}": {"one": "ab", "two": "xyz"} for number in range(9)})
    first, again, other = (missing_scenario(data, seed=seed).targets.users for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_what_cannot_be_split():
    without = Dataset.from_frames(pd.DataFrame([("u", "a", 1)], columns=COLUMNS[:3]))
    for split in (leave_one_out_by_scenario, missing_scenario):
        with pytest.raises(InputError, match="column scenario is missing"):
            split(without)
    with pytest.raises(InputError, match="nobody has the three interactions"):
        leave_one_out_by_scenario(of_strings(u={"one": "ab", "two": "cd"}))
    with pytest.raises(InputError, match="no user among"):
        missing_scenario(of_strings(u={"one": "abc"}))

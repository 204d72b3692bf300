"""Splits: known answers, and no glimpse of the future."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tfllmrec.data import Dataset, cold_items, cold_users, leave_one_out, load_dataset, temporal_split
from tfllmrec.data.splits import leave_last_out
from tfllmrec.errors import InputError

modest = settings(max_examples=40, deadline=None)


def data_of(histories, **options):
    """A data set from {user: items}, items in order of time 0, 1, ..."""
    rows = [(user, item, time) for user, items in histories.items() for time, item in enumerate(items)]
    return Dataset.from_frames(pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]), **options)


def asked(data, targets):
    """Targets as {user: (history, target)}; every user at most once."""
    users = data.user_vocabulary.ids(targets.users)
    items = data.item_vocabulary.ids(targets.items)
    histories = ["".join(data.item_vocabulary.ids(targets.histories.row(n))) for n in range(len(targets))]
    assert len(set(users)) == len(users) == len(targets)
    return dict(zip(users, zip(histories, items, strict=True), strict=True))


def kept(data):
    return data.interactions.groupby("user_id")["item_id"].agg("".join).to_dict()


@st.composite
def data_sets(draw):
    """Up to 6 users, 6 items, equal times and repeats."""
    row = st.tuples(st.sampled_from("uvwxyz"), st.sampled_from("abcdef"), st.integers(0, 9))
    rows = draw(st.lists(row, min_size=3, max_size=40))
    return Dataset.from_frames(pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]))


def places(data, targets):
    """Where in the table of `data` every target stands: its user's first interaction with the item."""
    table = data.interactions.assign(place=np.arange(len(data.interactions)))
    first = table.drop_duplicates(["user_id", "item_id"]).set_index(["user_id", "item_id"])["place"]
    pairs = zip(data.user_vocabulary.ids(targets.users), data.item_vocabulary.ids(targets.items), strict=True)
    return np.array([first[pair] for pair in pairs], dtype=np.int64)


def check_histories_are_all_and_only_the_past(data, targets):
    for number, place in enumerate(places(data, targets)):
        start = data.histories.offsets[targets.users[number]]
        assert list(targets.histories.row(number)) == list(data.item_indices[start:place])


def check_partition(data, split):
    """Every row is trained on, asked for, or a repeat that the notes count."""
    asked_for = np.concatenate([places(data, split.validation), places(data, split.test)])
    assert len(set(asked_for)) == len(asked_for)
    counted = sum(int(note.split()[0]) for note in split.train.notes if "repeat an earlier item" in note)
    assert len(split.train.interactions) + len(asked_for) + counted == len(data.interactions)
    rows = data.interactions.drop(index=asked_for).value_counts()
    trained = split.train.interactions.value_counts()
    assert (trained <= rows.reindex(trained.index).fillna(0)).all()


def test_leave_one_out():
    data = data_of({"u": "abcd", "v": "ba", "w": "dcb", "x": "a"})
    split = leave_one_out(data)
    assert kept(split.train) == {"u": "ab", "v": "ba", "w": "d", "x": "a"}
    assert asked(data, split.validation) == {"u": ("ab", "c"), "w": ("d", "c")}
    assert asked(data, split.test) == {"u": ("abc", "d"), "w": ("dc", "b")}
    assert split.train.notes == ("2 users with fewer than 3 interactions are only trained on",)


def test_leave_one_out_repeats_are_no_targets():
    data = data_of({"u": "abca", "v": "abac", "w": "aaa", "x": "abc"})
    split = leave_one_out(data)
    assert asked(data, split.validation) == {"u": ("ab", "c"), "x": ("a", "b")}
    assert asked(data, split.test) == {"v": ("aba", "c"), "x": ("ab", "c")}
    assert kept(split.train) == {"u": "ab", "v": "ab", "w": "a", "x": "a"}
    assert split.train.notes == ("4 held-out interactions repeat an earlier item and are no targets",)


def test_leave_one_out_works_on_positions():
    data = data_of({"u": "abc"}, positions=True)
    assert asked(data, leave_one_out(data).test) == {"u": ("ab", "c")}
    assert leave_one_out(data).train.positions


@pytest.mark.parametrize("histories", [{"u": "a", "v": "b"}, {"u": "ab", "v": "b"}])
def test_leave_one_out_needs_three_interactions(histories):
    with pytest.raises(InputError, match="leave-one-out: no user has the three interactions"):
        leave_one_out(data_of(histories))


@modest
@given(data=data_sets())
def test_leave_one_out_never_sees_the_future(data):
    assume(data.histories.lengths.max() >= 3)
    split = leave_one_out(data)
    check_partition(data, split)
    check_histories_are_all_and_only_the_past(data, split.validation)
    check_histories_are_all_and_only_the_past(data, split.test)
    latest = split.train.interactions.groupby("user_id")["timestamp"].max()
    for targets in (split.validation, split.test):
        times = data.interactions["timestamp"].to_numpy()[places(data, targets)]
        assert (times >= latest[data.user_vocabulary.ids(targets.users)].to_numpy()).all()


def test_leave_last_out():
    data = data_of({"u": "abcd", "v": "ba", "w": "d", "x": "aba", "y": "bcc"})
    earlier, last = leave_last_out(data)
    assert kept(earlier) == {"u": "abc", "v": "b", "w": "d", "x": "ab", "y": "bc"}
    assert asked(data, last) == {"u": ("abc", "d"), "v": ("b", "a")}
    assert earlier.notes == ("2 held-out interactions repeat an earlier item and are no targets",)


@pytest.mark.parametrize("histories", [{"u": "a", "v": "b"}, {"u": "a"}])
def test_leave_last_out_needs_two_interactions(histories):
    with pytest.raises(InputError, match=r"^leave-last-out: no user has the two interactions it takes$"):
        leave_last_out(data_of(histories))


@modest
@given(data=data_sets())
def test_leave_last_out_never_sees_the_future(data):
    assume(data.histories.lengths.max() >= 2)
    earlier, last = leave_last_out(data)
    check_histories_are_all_and_only_the_past(data, last)
    assert earlier.item_vocabulary == data.item_vocabulary
    for user in range(1, len(data.user_vocabulary) + 1):
        whole, known = data.histories.row(user).tolist(), earlier.histories.row(user).tolist()
        assert known == (whole[:-1] if len(whole) > 1 else whole)  # so the targets are in none of it
        asked_for = last.items[last.users == user].tolist()
        assert asked_for == (whole[-1:] if len(whole) > 1 and whole[-1] not in known else [])
        assert [last.histories.row(place).tolist() for place in np.flatnonzero(last.users == user)] == (
            [known] if asked_for else []
        )


def test_temporal():
    data = data_of({"u": "abcd", "v": "ba", "w": "dcab"})
    split = temporal_split(data, 2, 3)
    assert kept(split.train) == {"u": "ab", "v": "ba", "w": "dc"}
    assert asked(data, split.validation) == {"u": ("ab", "c"), "w": ("dc", "a")}
    assert asked(data, split.test) == {"u": ("abc", "d"), "w": ("dca", "b")}
    assert split.train.notes == ()


def test_temporal_repeats_are_no_targets():
    data = data_of({"u": "abac", "v": "abca"})
    split = temporal_split(data, 2, 3)
    assert asked(data, split.validation) == {"v": ("ab", "c")}
    assert asked(data, split.test) == {"u": ("aba", "c")}
    assert split.train.notes == ("2 held-out interactions repeat an earlier item and are no targets",)


def test_temporal_refuses_positions():
    with pytest.raises(InputError, match="positions in each user's history and do not compare between users"):
        temporal_split(data_of({"u": "abcd"}, positions=True), 2, 3)


@pytest.mark.parametrize(
    ("validation", "test", "part"),
    [(0, 2, "training"), (2, 2, "validation"), (3, 2, "validation"), (2, 9, "test")],
)
def test_temporal_refuses_an_empty_part(validation, test, part):
    with pytest.raises(InputError, match=f"the {part} part is empty; the times run from 0 to 3"):
        temporal_split(data_of({"u": "abcd"}), validation, test)


@modest
@given(data=data_sets(), moments=st.tuples(st.integers(1, 9), st.integers(1, 9)).map(sorted))
def test_temporal_never_sees_the_future(data, moments):
    try:
        split = temporal_split(data, *moments)
    except InputError:
        assume(False)
    check_partition(data, split)
    assert split.train.interactions["timestamp"].max() < moments[0]
    times = data.interactions["timestamp"].to_numpy()
    validation, test = times[places(data, split.validation)], times[places(data, split.test)]
    assert moments[0] <= validation.min() <= validation.max() < moments[1] <= test.min()
    check_histories_are_all_and_only_the_past(data, split.validation)
    check_histories_are_all_and_only_the_past(data, split.test)


@modest
@given(data=data_sets(), seed=st.integers(0, 9), fraction=st.sampled_from([0.2, 0.5, 0.8]))
def test_cold_items_are_nowhere_but_in_the_targets(data, seed, fraction):
    assume(0 < round(len(data.item_vocabulary) * fraction) < len(data.item_vocabulary))
    cold = cold_items(data, fraction, seed=seed)
    assert len(cold.items) == round(len(data.item_vocabulary) * fraction)
    assert not np.isin(cold.train.item_indices, cold.items).any()
    assert not np.isin(cold.targets.histories.values, cold.items).any()
    is_cold = np.isin(data.item_indices, cold.items)
    pairs = set(zip(data.user_indices[is_cold], data.item_indices[is_cold], strict=True))
    assert sorted(zip(cold.targets.users, cold.targets.items, strict=True)) == sorted(pairs)
    assert len(cold.train.interactions) == len(data.interactions) - is_cold.sum()
    for number, place in enumerate(places(data, cold.targets)):
        past = data.item_indices[data.histories.offsets[cold.targets.users[number]] : place]
        assert list(cold.targets.histories.row(number)) == list(past[~np.isin(past, cold.items)])


def test_cold_items_notes():
    data = data_of({"u": "ab", "v": "ba", "w": "aab"})
    cold = cold_items(data, 0.5, seed=1)
    counts = {"a": "4", "b": "3"}
    chosen = data.item_vocabulary.ids(cold.items)[0]
    repeats = ("1 held-out interactions repeat an earlier item and are no targets",) if chosen == "a" else ()
    assert cold.train.notes == (f"1 cold items ({counts[chosen]} interactions) taken out", *repeats)


@modest
@given(data=data_sets(), seed=st.integers(0, 9))
def test_cold_users_are_not_trained_on(data, seed):
    assume(len(data.user_vocabulary) > 1)
    cold = cold_users(data, 0.5, seed=seed)
    assert len(cold.users) == round(len(data.user_vocabulary) * 0.5)
    assert not np.isin(cold.train.user_indices, cold.users).any()
    assert len(cold.train.interactions) == np.sum(~np.isin(data.user_indices, cold.users))
    assert list(cold.targets) == [0, 1, 3]
    whole = [list(data.histories.row(user)) for user in cold.users]
    asked_for = [items[-1] not in items[:-1] for items in whole]
    expected = [items for items, asked in zip(whole, asked_for, strict=True) if asked]
    assert list(cold.target_users) == list(cold.users[asked_for])
    for length, targets in cold.targets.items():
        assert list(targets.users) == [0] * len(expected)
        assert list(targets.items) == [items[-1] for items in expected]
        rows = [list(targets.histories.row(number)) for number in range(len(targets))]
        assert rows == [items[:-1][len(items) - 1 - min(length, len(items) - 1) :] for items in expected]


def test_cold_users_with_other_history_lengths():
    data = data_of({"u": "abcd", "v": "abcd"})
    cold = cold_users(data, 0.5, history_lengths=[2])
    assert [data.item_vocabulary.ids(row).tolist() for row in cold.targets[2].histories.padded()] == [["b", "c"]]
    assert cold.train.notes == ("1 cold users (4 interactions) taken out",)


@pytest.mark.parametrize("draw", [cold_items, cold_users])
def test_the_seed_decides_who_is_cold(draw):
    data = load_dataset("demo")
    chosen = draw(data).items if draw is cold_items else draw(data).users
    again = draw(data).items if draw is cold_items else draw(data).users
    other = draw(data, seed=1).items if draw is cold_items else draw(data, seed=1).users
    size = len(data.item_vocabulary if draw is cold_items else data.user_vocabulary)
    assert len(chosen) == round(size / 10)
    assert (chosen.min(), chosen.dtype) >= (1, np.int32)
    assert np.array_equal(chosen, again)
    assert not np.array_equal(chosen, other)


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, 0.01, 0.99, float("nan"), float("inf")])
@pytest.mark.parametrize(("draw", "what"), [(cold_items, "items"), (cold_users, "users")])
def test_a_fraction_that_leaves_nothing_is_refused(draw, what, fraction):
    with pytest.raises(InputError, match=f"cold {what}: a fraction of {fraction} of 2 leaves no cold or no warm"):
        draw(data_of({"u": "ab", "v": "ab"}), fraction)

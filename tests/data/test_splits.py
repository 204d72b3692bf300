"""Splits: known results, and no information from the future."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tfllmrec.data import Dataset, checkerboard, cold_items, cold_users, leave_one_out, temporal_split
from tfllmrec.data.splits import leave_last_out
from tfllmrec.errors import InputError

examples = settings(max_examples=40, deadline=None)


def data_of(histories, **options):
    """Create a data set from {user: items} with timestamps 0, 1, ..."""
    rows = [(user, item, time) for user, items in histories.items() for time, item in enumerate(items)]
    return Dataset.from_frames(pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]), **options)


def target_rows(data, targets):
    """Return targets as {user: (history, item)}; every user occurs at most once."""
    users = data.user_vocabulary.ids(targets.users)
    items = data.item_vocabulary.ids(targets.items)
    histories = ["".join(data.item_vocabulary.ids(targets.histories.row(n))) for n in range(len(targets))]
    assert len(set(users)) == len(users) == len(targets)
    return dict(zip(users, zip(histories, items, strict=True), strict=True))


def kept(data):
    return data.interactions.groupby("user_id")["item_id"].agg("".join).to_dict()


@st.composite
def data_sets(draw):
    """Up to 6 users and 6 items, with ties in time and repeats."""
    row = st.tuples(st.sampled_from("uvwxyz"), st.sampled_from("abcdef"), st.integers(0, 9))
    rows = draw(st.lists(row, min_size=3, max_size=40))
    return Dataset.from_frames(pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]))


def row_numbers(data, targets):
    """Return the row of every target in the table: its user's first interaction with the item."""
    table = data.interactions.assign(row=np.arange(len(data.interactions)))
    first = table.drop_duplicates(["user_id", "item_id"]).set_index(["user_id", "item_id"])["row"]
    pairs = zip(data.user_vocabulary.ids(targets.users), data.item_vocabulary.ids(targets.items), strict=True)
    return np.array([first[pair] for pair in pairs], dtype=np.int64)


def check_histories_are_all_and_only_the_past(data, targets):
    for number, row in enumerate(row_numbers(data, targets)):
        start = data.histories.offsets[targets.users[number]]
        assert list(targets.histories.row(number)) == list(data.item_indices[start:row])


def check_partition(data, split):
    """Check that every row is in training, a target, or a repeat that the notes count."""
    targets = np.concatenate([row_numbers(data, split.validation), row_numbers(data, split.test)])
    assert len(set(targets)) == len(targets)
    counted = sum(int(note.split()[0]) for note in split.train.notes if "repeat an earlier item" in note)
    assert len(split.train.interactions) + len(targets) + counted == len(data.interactions)
    rows = data.interactions.drop(index=targets).value_counts()
    trained = split.train.interactions.value_counts()
    assert (trained <= rows.reindex(trained.index).fillna(0)).all()


def test_leave_one_out():
    data = data_of({"u": "abcd", "v": "ba", "w": "dcb", "x": "a"})
    split = leave_one_out(data)
    assert kept(split.train) == {"u": "ab", "v": "ba", "w": "d", "x": "a"}
    assert target_rows(data, split.validation) == {"u": ("ab", "c"), "w": ("d", "c")}
    assert target_rows(data, split.test) == {"u": ("abc", "d"), "w": ("dc", "b")}
    assert split.train.notes == ("2 users with fewer than 3 interactions are used for training only",)


def test_leave_one_out_repeats_are_not_targets():
    data = data_of({"u": "abca", "v": "abac", "w": "aaa", "x": "abc"})
    split = leave_one_out(data)
    assert target_rows(data, split.validation) == {"u": ("ab", "c"), "x": ("a", "b")}
    assert target_rows(data, split.test) == {"v": ("aba", "c"), "x": ("ab", "c")}
    assert kept(split.train) == {"u": "ab", "v": "ab", "w": "a", "x": "a"}
    assert split.train.notes == ("4 held-out interactions repeat an earlier item and are not targets",)


def test_leave_one_out_works_on_positions():
    data = data_of({"u": "abc"}, positions=True)
    assert target_rows(data, leave_one_out(data).test) == {"u": ("ab", "c")}
    assert leave_one_out(data).train.positions


@pytest.mark.parametrize("histories", [{"u": "a", "v": "b"}, {"u": "ab", "v": "b"}])
def test_leave_one_out_needs_three_interactions(histories):
    with pytest.raises(InputError, match="leave-one-out: no user has the three interactions"):
        leave_one_out(data_of(histories))


@examples
@given(data=data_sets())
def test_leave_one_out_never_sees_the_future(data):
    assume(data.histories.lengths.max() >= 3)
    split = leave_one_out(data)
    check_partition(data, split)
    check_histories_are_all_and_only_the_past(data, split.validation)
    check_histories_are_all_and_only_the_past(data, split.test)
    latest = split.train.interactions.groupby("user_id")["timestamp"].max()
    for targets in (split.validation, split.test):
        times = data.interactions["timestamp"].to_numpy()[row_numbers(data, targets)]
        assert (times >= latest[data.user_vocabulary.ids(targets.users)].to_numpy()).all()


def test_leave_last_out():
    data = data_of({"u": "abcd", "v": "ba", "w": "d", "x": "aba", "y": "bcc"})
    earlier, last = leave_last_out(data)
    assert kept(earlier) == {"u": "abc", "v": "b", "w": "d", "x": "ab", "y": "bc"}
    assert target_rows(data, last) == {"u": ("abc", "d"), "v": ("b", "a")}
    assert earlier.notes == ("2 held-out interactions repeat an earlier item and are not targets",)


@pytest.mark.parametrize("histories", [{"u": "a", "v": "b"}, {"u": "a"}])
def test_leave_last_out_needs_two_interactions(histories):
    with pytest.raises(InputError, match=r"^leave-last-out: no user has the two interactions that it needs$"):
        leave_last_out(data_of(histories))


@examples
@given(data=data_sets())
def test_leave_last_out_never_sees_the_future(data):
    assume(data.histories.lengths.max() >= 2)
    earlier, last = leave_last_out(data)
    check_histories_are_all_and_only_the_past(data, last)
    assert earlier.item_vocabulary == data.item_vocabulary
    for user in range(1, len(data.user_vocabulary) + 1):
        whole, known = data.histories.row(user).tolist(), earlier.histories.row(user).tolist()
        assert known == (whole[:-1] if len(whole) > 1 else whole)  # which excludes the targets
        items = last.items[last.users == user].tolist()
        assert items == (whole[-1:] if len(whole) > 1 and whole[-1] not in known else [])
        assert [last.histories.row(row).tolist() for row in np.flatnonzero(last.users == user)] == (
            [known] if items else []
        )


def test_temporal_split():
    data = data_of({"u": "abcd", "v": "ba", "w": "dcab"})
    split = temporal_split(data, 2, 3)
    assert kept(split.train) == {"u": "ab", "v": "ba", "w": "dc"}
    assert target_rows(data, split.validation) == {"u": ("ab", "c"), "w": ("dc", "a")}
    assert target_rows(data, split.test) == {"u": ("abc", "d"), "w": ("dca", "b")}
    assert split.train.notes == ()


def test_temporal_split_repeats_are_not_targets():
    data = data_of({"u": "abac", "v": "abca"})
    split = temporal_split(data, 2, 3)
    assert target_rows(data, split.validation) == {"v": ("ab", "c")}
    assert target_rows(data, split.test) == {"u": ("aba", "c")}
    assert split.train.notes == ("2 held-out interactions repeat an earlier item and are not targets",)


def test_temporal_split_refuses_positions():
    with pytest.raises(InputError, match="positions in each user's history and do not compare between users"):
        temporal_split(data_of({"u": "abcd"}, positions=True), 2, 3)


@pytest.mark.parametrize(
    ("validation", "test", "part"),
    [(0, 2, "training"), (2, 2, "validation"), (3, 2, "validation"), (2, 9, "test")],
)
def test_temporal_split_refuses_an_empty_part(validation, test, part):
    with pytest.raises(InputError, match=f"the {part} part is empty; choose other times between 0 and 3"):
        temporal_split(data_of({"u": "abcd"}), validation, test)


@examples
@given(data=data_sets(), moments=st.tuples(st.integers(1, 9), st.integers(1, 9)).map(sorted))
def test_temporal_split_never_sees_the_future(data, moments):
    try:
        split = temporal_split(data, *moments)
    except InputError:
        assume(False)
    check_partition(data, split)
    assert split.train.interactions["timestamp"].max() < moments[0]
    times = data.interactions["timestamp"].to_numpy()
    validation, test = times[row_numbers(data, split.validation)], times[row_numbers(data, split.test)]
    assert moments[0] <= validation.min() <= validation.max() < moments[1] <= test.min()
    check_histories_are_all_and_only_the_past(data, split.validation)
    check_histories_are_all_and_only_the_past(data, split.test)


@examples
@given(data=data_sets(), seed=st.integers(0, 9), fraction=st.sampled_from([0.2, 0.5, 0.8]))
def test_cold_items_occur_only_as_targets(data, seed, fraction):
    assume(0 < round(len(data.item_vocabulary) * fraction) < len(data.item_vocabulary))
    cold = cold_items(data, fraction, seed=seed)
    assert len(cold.items) == round(len(data.item_vocabulary) * fraction)
    assert not np.isin(cold.train.item_indices, cold.items).any()
    assert not np.isin(cold.targets.histories.values, cold.items).any()
    is_cold = np.isin(data.item_indices, cold.items)
    pairs = set(zip(data.user_indices[is_cold], data.item_indices[is_cold], strict=True))
    assert sorted(zip(cold.targets.users, cold.targets.items, strict=True)) == sorted(pairs)
    assert len(cold.train.interactions) == len(data.interactions) - is_cold.sum()
    for number, row in enumerate(row_numbers(data, cold.targets)):
        past = data.item_indices[data.histories.offsets[cold.targets.users[number]] : row]
        assert list(cold.targets.histories.row(number)) == list(past[~np.isin(past, cold.items)])


def test_cold_items_notes():
    data = data_of({"u": "ab", "v": "ba", "w": "aab"})
    cold = cold_items(data, 0.5, seed=1)
    counts = {"a": "4", "b": "3"}
    chosen = data.item_vocabulary.ids(cold.items)[0]
    repeats = ("1 held-out interactions repeat an earlier item and are not targets",) if chosen == "a" else ()
    assert cold.train.notes == (f"1 cold items ({counts[chosen]} interactions) removed", *repeats)


@examples
@given(data=data_sets(), seed=st.integers(0, 9))
def test_cold_users_are_not_in_training(data, seed):
    assume(len(data.user_vocabulary) > 1)
    cold = cold_users(data, 0.5, seed=seed)
    assert len(cold.users) == round(len(data.user_vocabulary) * 0.5)
    assert not np.isin(cold.train.user_indices, cold.users).any()
    assert len(cold.train.interactions) == np.sum(~np.isin(data.user_indices, cold.users))
    assert list(cold.targets) == [0, 1, 3]
    whole = [list(data.histories.row(user)) for user in cold.users]
    is_target = [items[-1] not in items[:-1] for items in whole]
    expected = [items for items, is_new in zip(whole, is_target, strict=True) if is_new]
    assert list(cold.target_users) == list(cold.users[is_target])
    for length, targets in cold.targets.items():
        assert list(targets.users) == [0] * len(expected)
        assert list(targets.items) == [items[-1] for items in expected]
        rows = [list(targets.histories.row(number)) for number in range(len(targets))]
        assert rows == [items[:-1][len(items) - 1 - min(length, len(items) - 1) :] for items in expected]


def test_cold_users_with_other_history_lengths():
    data = data_of({"u": "abcd", "v": "abcd"})
    cold = cold_users(data, 0.5, history_lengths=[2])
    assert [data.item_vocabulary.ids(row).tolist() for row in cold.targets[2].histories.padded()] == [["b", "c"]]
    assert cold.train.notes == ("1 cold users (4 interactions) removed",)


@pytest.mark.parametrize(("split", "kind"), [(cold_items, "items"), (cold_users, "users")])
def test_cold_split_depends_on_the_seed(split, kind):
    data = checkerboard(users=200, items=50).data
    sampled, again, other = (getattr(split(data, seed=seed), kind) for seed in (0, 0, 1))
    size = len(data.item_vocabulary if kind == "items" else data.user_vocabulary)
    assert len(sampled) == round(size / 10)
    assert sampled.min() >= 1
    assert sampled.dtype == np.int32
    assert np.array_equal(sampled, again)
    assert not np.array_equal(sampled, other)


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, 0.01, 0.99, float("nan"), float("inf")])
@pytest.mark.parametrize(("split", "name"), [(cold_items, "items"), (cold_users, "users")])
def test_fraction_that_leaves_no_part_is_refused(split, name, fraction):
    message = f"cold {name}: a fraction of {fraction} of 2 {name} leaves no cold or no warm {name}"
    with pytest.raises(InputError, match=message):
        split(data_of({"u": "ab", "v": "ab"}), fraction)

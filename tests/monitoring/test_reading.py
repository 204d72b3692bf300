"""Files of served lists: all that was written comes back, and what is broken is told."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tfllmrec.errors import InputError
from tfllmrec.monitoring import read_served
from tfllmrec.serving.recommendation_log import ServedList

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
LISTS = st.lists(TEXTS, max_size=4).flatmap(
    lambda items: st.builds(
        ServedList,
        time=NUMBERS,
        model=TEXTS,
        version=st.integers(0, 2**63 - 1),
        label=TEXTS,
        signature=TEXTS,
        user=TEXTS,
        item_ids=st.just(items),
        scores=st.just([]) | st.lists(NUMBERS, min_size=len(items), max_size=len(items)),
    )
)
FILES = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def written(path, lists):
    path.write_bytes(b"".join(line(one) for one in lists))
    return path


def line(one):
    return f"{one.model_dump_json()}\n".encode()


def rows(served):
    return [ServedList(**row) for row in served.lists.to_dict("records")]


@FILES
@given(st.lists(LISTS, min_size=1, max_size=4))
def test_what_was_written_comes_back_in_the_order_of_time(tmp_path, lists):
    served = read_served([written(tmp_path / "served.jsonl", lists)])
    assert rows(served) == sorted(lists, key=lambda one: one.time)
    assert served.cut_short == 0


@FILES
@given(LISTS, LISTS, st.data())
def test_a_line_that_a_killed_server_left_is_counted(tmp_path, whole, broken, data):
    cut = line(broken)[: data.draw(st.integers(1, len(line(broken)) - 2))]
    path = written(tmp_path / "served.jsonl", [whole])
    path.write_bytes(path.read_bytes() + cut)
    last = read_served([path])
    assert (rows(last), last.cut_short) == ([whole], 1)
    path.write_bytes(path.read_bytes() + b"\n\n" + line(whole))  # a server went on with the file
    between = read_served([path])
    assert (rows(between), between.cut_short) == ([whole, whole], 1)


@FILES
@given(st.lists(LISTS, min_size=1, max_size=3), st.binary(min_size=1, max_size=8), st.data())
def test_any_other_broken_line_is_named(tmp_path, lists, garbage, data):
    place = data.draw(st.integers(0, len(lists)))
    garbage = b"?" + garbage.replace(b"\n", b"?") + b"\n"
    path = tmp_path / "served.jsonl"
    path.write_bytes(b"".join([*map(line, lists[:place]), garbage, *map(line, lists[place:])]))
    with pytest.raises(InputError, match=rf"served.jsonl, line {place + 1} is no served list"):
        read_served([path])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"time": "noon"}, "line 2 .*time: Input should be a valid number"),
        ({"user": None}, "line 2 .*user: Input should be a valid string"),
        ({"version": 1.5}, "line 2 .*version"),
        ({"scores": [1.0, None]}, "line 2 .*scores.1"),
        ({"scores": [1.0]}, "line 2 .*2 items have 1 scores"),
        ({"history": []}, "line 2 .*history: Extra"),
    ],
)
def test_what_is_wrong_with_a_line_is_said(tmp_path, listed, change, message):
    import json

    good = listed("42", 0, ["a", "b"]).model_dump()
    path = tmp_path / "served.jsonl"
    path.write_text("".join(f"{json.dumps(one)}\n" for one in (good, good | change, good)))
    with pytest.raises(InputError, match=message):
        read_served([path])


def test_several_files_and_none(tmp_path, listed):
    old = written(tmp_path / "served.jsonl.1", [listed("42", 1, "ab")])
    new = written(tmp_path / "served.jsonl", [listed("42", 2, "cd")])
    assert read_served([new, old]).lists["item_ids"].tolist() == [["a", "b"], ["c", "d"]]
    new.write_text("")
    with pytest.raises(InputError, match="no served lists in"):
        read_served([new])
    with pytest.raises(InputError, match="nowhere cannot be read: No such file"):
        read_served([tmp_path / "nowhere"])

"""Reader of the recommendation log: round trip, truncated and invalid lines."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tfllmrec.errors import InputError
from tfllmrec.monitoring import read_recommendation_log
from tfllmrec.monitoring.impression import Impression

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
IMPRESSIONS = st.lists(TEXTS, max_size=4).flatmap(
    lambda items: st.builds(
        Impression,
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


def written(path, impressions):
    path.write_bytes(b"".join(map(line_of, impressions)))
    return path


def line_of(impression):
    return f"{impression.model_dump_json()}\n".encode()


def rows(log):
    return [Impression(**row) for row in log.table.to_dict("records")]


@FILES
@given(st.lists(IMPRESSIONS, min_size=1, max_size=4))
def test_impressions_are_read_in_order_of_time(tmp_path, impressions):
    log = read_recommendation_log([written(tmp_path / "served.jsonl", impressions)])
    assert rows(log) == sorted(impressions, key=lambda impression: impression.time)
    assert log.truncated_lines == 0


@FILES
@given(IMPRESSIONS, IMPRESSIONS, st.data())
def test_a_line_truncated_by_a_kill_is_counted(tmp_path, whole, truncated, data):
    part = line_of(truncated)[: data.draw(st.integers(1, len(line_of(truncated)) - 2))]
    path = written(tmp_path / "served.jsonl", [whole])
    path.write_bytes(path.read_bytes() + part)
    at_the_end = read_recommendation_log([path])
    assert (rows(at_the_end), at_the_end.truncated_lines) == ([whole], 1)
    path.write_bytes(path.read_bytes() + b"\n\n" + line_of(whole))  # a restarted server appends to the file
    in_between = read_recommendation_log([path])
    assert (rows(in_between), in_between.truncated_lines) == ([whole, whole], 1)


@FILES
@given(st.lists(IMPRESSIONS, min_size=1, max_size=3), st.binary(min_size=1, max_size=8), st.data())
def test_any_other_invalid_line_is_reported_by_number(tmp_path, impressions, garbage, data):
    position = data.draw(st.integers(0, len(impressions)))
    garbage = b"?" + garbage.replace(b"\n", b"?") + b"\n"
    path = tmp_path / "served.jsonl"
    lines = [line_of(impression) for impression in impressions]
    path.write_bytes(b"".join([*lines[:position], garbage, *lines[position:]]))
    with pytest.raises(InputError, match=rf"served.jsonl, line {position + 1} is not a valid impression"):
        read_recommendation_log([path])


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
def test_the_invalid_field_of_a_line_is_reported(tmp_path, impression, change, message):
    valid = impression("42", 0, ["a", "b"]).model_dump()
    path = tmp_path / "served.jsonl"
    path.write_text("".join(f"{json.dumps(fields)}\n" for fields in (valid, valid | change, valid)))
    with pytest.raises(InputError, match=message):
        read_recommendation_log([path])


def test_several_files_are_read_and_empty_or_missing_files_are_refused(tmp_path, impression):
    old = written(tmp_path / "served.jsonl.1", [impression("42", 1, "ab")])
    new = written(tmp_path / "served.jsonl", [impression("42", 2, "cd")])
    assert read_recommendation_log([new, old]).table["item_ids"].tolist() == [["a", "b"], ["c", "d"]]
    new.write_text("")
    with pytest.raises(InputError, match=r"recommendation log has no impressions: .*served\.jsonl"):
        read_recommendation_log([new])
    with pytest.raises(InputError, match="nowhere cannot be read: No such file"):
        read_recommendation_log([tmp_path / "nowhere"])

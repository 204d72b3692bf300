"""Recommendation log: content, sampling, queue, rotation and failures."""

import json
import threading
import time

import numpy as np
import pytest
from batcher_harness import wait_until
from tensorflow_serving.apis import model_pb2

from tfllmrec.data import pseudonyms
from tfllmrec.errors import InputError
from tfllmrec.monitoring.impression import sampling_position
from tfllmrec.monitoring.log_file import LogFile
from tfllmrec.monitoring.recommendation_log import RecommendationLog

KEY = b"correct horse battery"
SPEC = model_pb2.ModelSpec(name="films", signature_name="retrieve", version={"value": 3})
PSEUDONYM_OF_42 = "tqhybpldhke3urnjxrqxfaumswtqnfzo"
"""Pseudonym of the user 42 with the key of docs/guides/privacy.md."""


@pytest.fixture
def make_log(tmp_path):
    """Return a function that makes a `RecommendationLog`, which is closed at the end."""
    logs = []

    def make(path=tmp_path / "served.jsonl", rate=1.0, key=KEY, **options):
        logs.append(RecommendationLog(path, key, rate, **options))
        return logs[-1]

    yield make
    for log in logs:
        log.close()


def strings(rows):
    return np.array([[item.encode() for item in row] for row in rows], object)


def outputs_of(rows=(("a", "b"),)):
    """Return the outputs of a response with these rows of two items and descending scores."""
    scores = np.arange(2 * len(rows), dtype=np.float32)[::-1].reshape(-1, 2)
    return {"item_ids": strings(rows), "titles": strings(rows), "scores": scores}


def inputs_of(*users):
    return {"user_id": np.array([user.encode() for user in users], object)}


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def counts_of(log):
    return {sample.labels["status"]: sample.value for metric in log.collect() for sample in metric.samples}


def wait_for(log, **counts):
    wait_until(lambda: counts.items() <= counts_of(log).items())


def test_a_line_has_all_fields_of_an_impression(make_log, tmp_path):
    log = make_log()
    log.add(SPEC, "stable", inputs_of("42", "", "用户3"), outputs_of([("a", "b"), ("电影一", ""), ("", "")]))
    log.close()
    first, second, third = lines(tmp_path / "served.jsonl")
    assert abs(first.pop("time") - time.time()) < 3600
    assert first == {
        "model": "films",
        "version": 3,
        "label": "stable",
        "signature": "retrieve",
        "user": PSEUDONYM_OF_42,
        "item_ids": ["a", "b"],
        "scores": [5.0, 4.0],
    }
    assert (second["user"], second["item_ids"], second["scores"]) == ("", ["电影一"], [3.0])
    assert (third["user"], third["item_ids"]) == (pseudonyms(["用户3"], KEY)[0], [])
    assert (tmp_path / "served.jsonl").stat().st_mode & 0o007 == 0
    assert counts_of(log) == {"written": 3, "left_out": 0, "failed": 0, "dropped": 0}


def test_another_key_gives_other_pseudonyms(make_log, tmp_path):
    log = make_log(tmp_path / "other.jsonl", key=b"another horse battery")
    log.add(SPEC, "", inputs_of("42"), outputs_of())
    log.close()
    assert lines(tmp_path / "other.jsonl")[0]["user"] not in ("", PSEUDONYM_OF_42, "42")


def test_outputs_without_lists_of_items_are_not_written(make_log, tmp_path):
    log = make_log()
    for outputs in (
        {"scores": np.ones((1, 2), np.float32)},
        {"item_ids": np.array([b"a"], object)},
        {"item_ids": np.ones((1, 2), np.int32)},
    ):
        log.add(SPEC, "", inputs_of("42"), outputs)
    log.add(SPEC, "", inputs_of("42"), {"item_ids": strings([("a", "b")])})
    log.add(SPEC, "", {"user_id": np.array([42])}, outputs_of())  # a model with another type of user_id
    log.close()
    assert [(line["user"], line["scores"]) for line in lines(tmp_path / "served.jsonl")] == [
        (PSEUDONYM_OF_42, []),
        ("", [1, 0]),
    ]


@pytest.mark.parametrize("named", [True, False])
def test_the_sample_has_the_sampling_rate(make_log, tmp_path, named):
    users = [f"user {number}" if named else "" for number in range(4000)]
    log = make_log(rate=0.2)
    for start in range(0, len(users), 500):
        part = users[start : start + 500]
        log.add(SPEC, "", inputs_of(*part), outputs_of([("a", "b")] * len(part)))
    log.close()
    counts = counts_of(log)
    assert counts["written"] + counts["left_out"] == 4000
    assert abs(counts["written"] - 800) < 4 * np.sqrt(4000 * 0.2 * 0.8)
    written = {line["user"] for line in lines(tmp_path / "served.jsonl")}
    if named:
        assert written == {name for name in pseudonyms(users, KEY) if sampling_position(name) < 0.2}
    else:
        assert written == {""}


def test_sampling_positions_are_uniform(make_log):
    names = pseudonyms([str(number) for number in range(500)], KEY)
    positions = np.array([sampling_position(name) for name in names])
    assert 0 <= positions.min() < 0.02
    assert 0.98 < positions.max() < 1


def test_a_full_queue_drops_lists_and_counts_them(make_log, monkeypatch):
    writes, may_write = threading.Event(), threading.Event()
    append = LogFile.append

    def wait(self, data):
        writes.set()
        assert may_write.wait(60)
        append(self, data)

    monkeypatch.setattr(LogFile, "append", wait)
    log = make_log(max_queued=5)
    log.add(SPEC, "", inputs_of("1", "2"), outputs_of([("a", "b")] * 2))
    assert writes.wait(60)  # the thread is blocked in `wait`
    log.add(SPEC, "", inputs_of("3", "4", "5"), outputs_of([("a", "b")] * 3))
    log.add(SPEC, "", inputs_of("6", "7", "8"), outputs_of([("a", "b")] * 3))
    log.add(SPEC, "", inputs_of("9", "10"), outputs_of([("a", "b")] * 2))
    log.add(SPEC, "", inputs_of(*"1234567"), outputs_of([("a", "b")] * 7))
    assert counts_of(log)["dropped"] == 10
    may_write.set()
    wait_for(log, written=7)
    log.add(SPEC, "", inputs_of("11"), outputs_of())
    log.close()
    assert counts_of(log) == {"written": 8, "left_out": 0, "failed": 0, "dropped": 10}


def test_failed_writes_are_counted_and_logged_once(make_log, tmp_path, caplog):
    full = tmp_path / "full"
    full.symlink_to("/dev/full")
    log = make_log(full)
    for failed in (2, 4):
        log.add(SPEC, "", inputs_of("1", "2"), outputs_of([("a", "b")] * 2))
        wait_for(log, failed=failed)
    full.unlink()
    not_finite = outputs_of()
    not_finite["scores"][:] = np.nan
    log.add(SPEC, "", inputs_of("1"), not_finite)
    log.add(SPEC, "", inputs_of("1"), outputs_of())
    log.close()
    assert counts_of(log) == {"written": 1, "left_out": 0, "failed": 5, "dropped": 0}
    assert len(lines(full)) == 1
    assert [record.message.count("No space left") for record in caplog.records] == [1, 0]


def test_a_file_that_was_moved_away_is_created_again(make_log, tmp_path):
    path = tmp_path / "served.jsonl"
    log = make_log()
    for number, user in enumerate(("1", "2"), 1):
        log.add(SPEC, "", inputs_of(user), outputs_of())
        wait_for(log, written=number)
        path.rename(tmp_path / f"served.jsonl.{number}")
    log.add(SPEC, "", inputs_of("3"), outputs_of())
    log.close()
    files = (tmp_path / "served.jsonl.1", tmp_path / "served.jsonl.2", path)
    assert [line["user"] for file in files for line in lines(file)] == list(pseudonyms("123", KEY))


def test_an_empty_line_follows_an_incomplete_line(make_log, tmp_path):
    path = tmp_path / "served.jsonl"
    path.write_text('{"time": 1')
    log = make_log()
    log.add(SPEC, "", inputs_of("1"), outputs_of())
    log.close()
    broken, empty, line = path.read_text().splitlines()
    assert (broken, empty, json.loads(line)["item_ids"]) == ('{"time": 1', "", ["a", "b"])


@pytest.mark.parametrize(
    ("name", "rate", "message"),
    [("x", 0, "at most 1, not 0$"), ("x", 1.1, "at most 1, not 1.1$"), ("n/x", 1, "No such")],
)
def test_an_invalid_rate_or_file_is_refused(make_log, tmp_path, name, rate, message):
    with pytest.raises(InputError, match=message):
        make_log(tmp_path / name, rate)

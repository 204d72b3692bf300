"""What a server writes down of what it serves: whose lists, which, and what never happens for it."""

import json
import threading
import time
import urllib.request
from types import SimpleNamespace

import numpy as np
import pytest
from tensorflow_serving.apis import model_pb2

from tfllmrec.data import pseudonyms
from tfllmrec.errors import InputError
from tfllmrec.serving.batching_parameters import BatchingParameters
from tfllmrec.serving.configuration import read_config
from tfllmrec.serving.recommendation_log import RecommendationLog, share_of
from tfllmrec.serving.server import ModelServer

KEY = b"correct horse battery"
SPEC = model_pb2.ModelSpec(name="films", signature_name="retrieve", version={"value": 3})
OF_42 = "tqhybpldhke3urnjxrqxfaumswtqnfzo"
"""What docs/guides/privacy.md's key makes of the user 42, in every process."""


@pytest.fixture
def writing(tmp_path):
    """Returns a function that makes a `RecommendationLog`, which is closed at the end."""
    made = []

    def write(path=tmp_path / "served.jsonl", rate=1.0, key=KEY, **options):
        made.append(RecommendationLog(path, key, rate, **options))
        return made[-1]

    yield write
    for one in made:
        one.close()


def strings(rows):
    return np.array([[item.encode() for item in row] for row in rows], object)


def answer(rows=(("a", "b"),), scores=True):
    given = {"item_ids": strings(rows), "titles": strings(rows)}
    return given | (
        {"scores": np.arange(given["item_ids"].size, dtype=np.float32)[::-1].reshape(-1, 2)} if scores else {}
    )


def asked_by(*users):
    return {"user_id": np.array([user.encode() for user in users], object)}


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def counted(served):
    return {sample.labels["status"]: sample.value for metric in served.collect() for sample in metric.samples}


def wait_for(served, **counts):
    deadline = time.monotonic() + 60  # it hangs, then
    while not counts.items() <= counted(served).items():
        assert time.monotonic() < deadline, counted(served)
        time.sleep(0.001)


def test_a_list_with_all_that_is_told_of_it(writing, tmp_path):
    served = writing()
    served.add(SPEC, "stable", asked_by("42", "", "用户3"), answer([("a", "b"), ("电影一", ""), ("", "")]))
    served.close()
    first, second, third = lines(tmp_path / "served.jsonl")
    assert abs(first.pop("time") - time.time()) < 3600
    assert first == {
        "model": "films",
        "version": 3,
        "label": "stable",
        "signature": "retrieve",
        "user": OF_42,
        "item_ids": ["a", "b"],
        "scores": [5.0, 4.0],
    }
    assert (second["user"], second["item_ids"], second["scores"]) == ("", ["电影一"], [3.0])
    assert (third["user"], third["item_ids"]) == (pseudonyms(["用户3"], KEY)[0], [])
    assert (tmp_path / "served.jsonl").stat().st_mode & 0o007 == 0
    assert counted(served) == {"written": 3, "left_out": 0, "failed": 0, "dropped": 0}


def test_another_key_gives_other_pseudonyms(writing, tmp_path):
    other = writing(tmp_path / "other.jsonl", key=b"another horse battery")
    other.add(SPEC, "", asked_by("42"), answer())
    other.close()
    assert lines(tmp_path / "other.jsonl")[0]["user"] not in ("", OF_42, "42")


def test_answers_that_are_no_lists_are_not_written(writing, tmp_path):
    served = writing()
    for outputs in (
        {"scores": np.ones((1, 2), np.float32)},
        {"item_ids": np.array([b"a"], object)},
        {"item_ids": np.ones((1, 2), np.int32)},
    ):
        served.add(SPEC, "", asked_by("42"), outputs)
    served.add(SPEC, "", asked_by("42"), answer(scores=False))
    served.add(SPEC, "", {"user_id": np.array([42])}, answer())  # of a model of somebody else's
    served.close()
    assert [(line["user"], line["scores"]) for line in lines(tmp_path / "served.jsonl")] == [(OF_42, []), ("", [1, 0])]


@pytest.mark.parametrize("named", [True, False])
def test_the_sample_has_the_rate_that_was_asked_for(writing, tmp_path, named):
    users = [f"user {number}" if named else "" for number in range(4000)]
    served = writing(rate=0.2)
    for start in range(0, len(users), 500):
        part = users[start : start + 500]
        served.add(SPEC, "", asked_by(*part), answer([("a", "b")] * len(part)))
    served.close()
    found = counted(served)
    assert found["written"] + found["left_out"] == 4000
    assert abs(found["written"] - 800) < 4 * np.sqrt(4000 * 0.2 * 0.8)
    written = {line["user"] for line in lines(tmp_path / "served.jsonl")}
    if named:
        assert written == {name for name in pseudonyms(users, KEY) if share_of(name) < 0.2}
    else:
        assert written == {""}


def test_a_user_is_in_every_larger_sample(writing):
    names = pseudonyms([str(number) for number in range(500)], KEY)
    shares = np.array([share_of(name) for name in names])
    assert 0 <= shares.min() < 0.02
    assert 0.98 < shares.max() < 1


def test_a_full_queue_blocks_nobody_and_is_counted(writing, monkeypatch):
    writes, may_write = threading.Event(), threading.Event()
    append = RecommendationLog._append

    def wait(self, data):
        writes.set()
        assert may_write.wait(60)
        append(self, data)

    monkeypatch.setattr(RecommendationLog, "_append", wait)
    served = writing(most_waiting=5)
    served.add(SPEC, "", asked_by("1", "2"), answer([("a", "b")] * 2))
    assert writes.wait(60)  # and writes no more until it may
    served.add(SPEC, "", asked_by("3", "4", "5"), answer([("a", "b")] * 3))
    served.add(SPEC, "", asked_by("6", "7", "8"), answer([("a", "b")] * 3))
    served.add(SPEC, "", asked_by("9", "10"), answer([("a", "b")] * 2))
    served.add(SPEC, "", asked_by(*"1234567"), answer([("a", "b")] * 7))
    assert counted(served)["dropped"] == 10
    may_write.set()
    wait_for(served, written=7)
    served.add(SPEC, "", asked_by("11"), answer())
    served.close()
    assert counted(served) == {"written": 8, "left_out": 0, "failed": 0, "dropped": 10}


def test_what_cannot_be_written_is_counted_and_told_once(writing, tmp_path, caplog):
    full = tmp_path / "full"
    full.symlink_to("/dev/full")
    served = writing(full)
    for failed in (2, 4):
        served.add(SPEC, "", asked_by("1", "2"), answer([("a", "b")] * 2))
        wait_for(served, failed=failed)
    full.unlink()
    bad = answer()
    bad["scores"][:] = np.nan
    served.add(SPEC, "", asked_by("1"), bad)
    served.add(SPEC, "", asked_by("1"), answer())
    served.close()
    assert counted(served) == {"written": 1, "left_out": 0, "failed": 5, "dropped": 0}
    assert len(lines(full)) == 1
    assert [record.message.count("No space left") for record in caplog.records] == [1, 0]


def test_a_file_that_was_moved_away_is_made_anew(writing, tmp_path):
    path = tmp_path / "served.jsonl"
    served = writing()
    for number, user in enumerate(("1", "2"), 1):
        served.add(SPEC, "", asked_by(user), answer())
        wait_for(served, written=number)
        path.rename(tmp_path / f"served.jsonl.{number}")
    served.add(SPEC, "", asked_by("3"), answer())
    served.close()
    files = (tmp_path / "served.jsonl.1", tmp_path / "served.jsonl.2", path)
    assert [line["user"] for file in files for line in lines(file)] == list(pseudonyms("123", KEY))


def test_a_line_that_a_killed_server_left_keeps_to_itself(writing, tmp_path):
    path = tmp_path / "served.jsonl"
    path.write_text('{"time": 1')
    served = writing()
    served.add(SPEC, "", asked_by("1"), answer())
    served.close()
    broken, empty, line = path.read_text().splitlines()
    assert (broken, empty, json.loads(line)["item_ids"]) == ('{"time": 1', "", ["a", "b"])


@pytest.mark.parametrize(
    ("name", "rate", "message"), [("x", 0, "sampling rate is 0"), ("x", 1.1, "1.1"), ("n/x", 1, "No such")]
)
def test_what_is_refused_at_the_start(writing, tmp_path, name, rate, message):
    with pytest.raises(InputError, match=message):
        writing(tmp_path / name, rate)


# ---- in a server


@pytest.fixture(scope="module")
def logged(config_file, asking, tmp_path_factory):
    """The films, with batching, asked over both interfaces; what it wrote, and the metrics before its end."""
    path = tmp_path_factory.mktemp("log") / "served.jsonl"
    films = [config for config in read_config(config_file) if config.name == "films"]
    ports = {"port": 0, "rest_api_port": 0, "metrics_path": "/metrics"}
    batching = BatchingParameters(pad_variable_length_inputs=True)
    server = ModelServer(
        films, batching=batching, recommendation_log=RecommendationLog(path, KEY, 1.0), **ports
    ).start()
    try:
        asked = asking(server_process(server))
        inputs = {"history": [[""]] * 3, "exclude_item_ids": [["item1"]] * 3}
        by_grpc = asked.predict(
            spec={"name": "films", "version_label": "stable"}, user_id=["用户3", "", "stranger 7"], **inputs
        )
        rows = [{"user_id": "用户5", "history": [""], "exclude_item_ids": [""]}]
        by_rest = asked.http(
            "/v1/models/films/versions/2:predict", {"signature_name": "retrieve", "instances": rows * 2}
        )
        asked.predict("embed_items", item_ids=["item7"])
        similar = asked.predict("similar_items", item_id=["item7"], exclude_item_ids=[[""]])
        with urllib.request.urlopen(f"{server.rest_url}/metrics", timeout=60) as answer:
            metrics = answer.read().decode()
    finally:
        server.stop()
    return SimpleNamespace(
        path=path, by_grpc=by_grpc, by_rest=by_rest[1]["predictions"], similar=similar, metrics=metrics
    )


def server_process(server):
    return SimpleNamespace(grpc_address=server.grpc_address, rest_url=server.rest_url)


def test_both_interfaces_are_written_down_row_by_row(logged):
    found = lines(logged.path)
    name = {user: pseudonyms([user], KEY)[0] for user in ("用户3", "用户5", "stranger 7")}
    assert [(one["version"], one["label"], one["signature"], one["user"]) for one in found] == [
        (1, "stable", "retrieve", name["用户3"]),
        (1, "stable", "retrieve", ""),
        (1, "stable", "retrieve", name["stranger 7"]),
        (2, "", "retrieve", name["用户5"]),
        (2, "", "retrieve", name["用户5"]),
        (2, "", "similar_items", ""),
    ]
    for line, items, scores in zip(found, logged.by_grpc["item_ids"], logged.by_grpc["scores"], strict=False):
        assert line["item_ids"] == [item.decode() for item in items if item]
        np.testing.assert_allclose(line["scores"], scores[: len(line["scores"])], rtol=1e-6)
    for line, row in zip(found[3:5], logged.by_rest, strict=True):
        assert line["item_ids"] == [item for item in row["item_ids"] if item]
        np.testing.assert_allclose(line["scores"], row["scores"][: len(line["scores"])], rtol=1e-6)
    assert found[5]["item_ids"] == [item.decode() for item in logged.similar["item_ids"][0] if item]


def test_no_user_id_is_written(logged):
    text = logged.path.read_text(encoding="utf-8")
    assert not [secret for secret in ("用户", "stranger", KEY.decode()) if secret in text]


def test_prometheus_is_told(logged):
    assert ":tfllmrec:serving:served_list_count" in logged.metrics
    assert 'served_list_count{status="dropped"} 0.0' in logged.metrics


def test_the_flags(run, models, key_file, tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(
        "tfllmrec.serving.serve.serve", lambda configs, **options: given.append(options["recommendation_log"])
    )
    path = tmp_path / "served.jsonl"
    flags = [
        "--recommendation_log_file",
        path,
        "--recommendation_log_key_file",
        key_file,
        "--recommendation_log_sampling_rate",
        1,
    ]
    assert run("serve", models.folder / "films", *flags) == (0, "", "")
    assert run("serve", models.folder / "films") == (0, "", "")
    served, nothing = given
    served.add(SPEC, "", asked_by("42"), answer())
    served.close()
    assert (nothing, lines(path)[0]["user"]) == (None, OF_42)
    status, _, told = run("serve", models.folder / "films", *flags[2:])
    assert (status, "needs --recommendation_log_file" in told) == (2, True)


@pytest.mark.usefixtures("no_key_around")
def test_there_is_no_log_without_a_key(run, models, tmp_path):
    status, _, told = run("serve", models.folder / "films", "--recommendation_log_file", tmp_path / "served.jsonl")
    assert (status, "pseudonyms need a key" in told) == (2, True)

"""How batches wait and run: errors, keys, order, threads, closing."""

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import grpc
import numpy as np
import pytest
from made_up_batches import NEVER, PATIENCE, got, refusal

from tfllmrec.serving import batching
from tfllmrec.serving.batching import Batcher
from tfllmrec.serving.batching_parameters import BatchingParameters
from tfllmrec_client.status import RequestError


@pytest.mark.parametrize("error", [RuntimeError("broken"), RequestError(grpc.StatusCode.ABORTED, "no")])
def test_an_error_reaches_all_callers_and_the_batcher_goes_on(desk, error):
    def run(inputs):
        if len(inputs["x"]) > 1:
            raise error
        return inputs

    one = desk(max_batch_size=4)
    answers = one.together({"run": run, "x": [1]}, {"x": [2]})
    assert [it.exception(PATIENCE) for it in answers] == [error, error]
    assert got(one.ask(run=run, x=[3])) == {"x": [3]}


@pytest.mark.parametrize("rows", [0, 1, 4])
def test_outputs_that_are_not_row_for_row_are_an_error_rather_than_cut(desk, rows):
    # batching_session.cc of TF Serving: "0th dimension does not equal the sum of the 0th dimension sizes of the input"
    answers = desk(max_batch_size=4).together({"run": lambda _: {"x": np.arange(rows)}, "x": [1]}, {"x": [2, 3]})
    assert [refusal(it) for it in answers] == ["FAILED_PRECONDITION"] * 2


def test_different_keys_share_no_batch_and_the_first_run_of_a_key_stays(desk):
    ten, twenty = ({"run": lambda it, n=n: {"x": it["x"] + n}} for n in (10, 20))
    requests = {"key": "a", **ten, "x": [1]}, {"key": "b", **twenty, "x": [2]}, {"key": "a", **twenty, "x": [3, 4]}
    assert [got(it)["x"] for it in desk(max_batch_size=8).together(*requests)] == [[11], [22], [13, 14]]


def test_the_batch_that_was_opened_first_runs_first(desk):
    requests = [{"key": key, "x": [number] * 2} for number, key in enumerate("abcab")]
    one = desk(max_batch_size=2)
    for answer in one.together(*requests):
        answer.result(PATIENCE)
    assert [ran["x"][0] for ran in one.ran] == [0, 1, 2, 3, 4]


def test_batches_run_at_the_same_time(desk):
    both = threading.Barrier(2)
    one = desk(2, max_batch_size=1)
    answers = [one.ask(run=lambda it: both.wait(PATIENCE) < 2 and it, x=[row]) for row in (1, 2)]
    assert [got(it) for it in answers] == [{"x": [1]}, {"x": [2]}]


def test_a_batch_waits_until_it_is_full_or_another_stands_behind_it(desk):
    one = desk(max_batch_size=4, batch_timeout_micros=NEVER)
    first = one.ask(x=[1, 1, 1])
    assert got(one.ask(key="another", x=[9] * 4)) == {"x": [18] * 4}
    assert not first.done()
    second = one.ask(x=[2, 2])
    assert got(first) == {"x": [2] * 3}
    assert not second.done()
    assert got(one.ask(x=[3, 3])) == {"x": [6] * 2}
    assert got(second) == {"x": [4] * 2}
    assert [ran["x"] for ran in one.ran] == [[9] * 4, [1] * 3, [2, 2, 3, 3]]


def test_a_batch_waits_from_its_first_request_on(desk, monkeypatch):
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(batching, "time", SimpleNamespace(monotonic=lambda: now.seconds))
    one = desk(max_batch_size=4, batch_timeout_micros=NEVER)
    first = one.ask(x=[1])
    for now.seconds in (1800.0, 3599.0):
        assert got(one.ask(key="full", x=[9] * 4))  # comes after the first, and runs before it
    second = one.ask(x=[2])
    assert not first.done()
    now.seconds = 3600.0
    assert got(one.ask(key="full", x=[8] * 4))
    assert (got(first), got(second)) == ({"x": [2]}, {"x": [4]})
    assert [ran["x"] for ran in one.ran] == [[9] * 4, [9] * 4, [1, 2], [8] * 4]


def test_closing_answers_what_is_queued(desk):
    one = desk(max_batch_size=4, batch_timeout_micros=NEVER)
    one.hold()
    answers = [one.ask(x=[1]), one.ask(x=[2]), one.ask(key="another", x=[3])]
    one.close()
    assert [got(it)["x"] for it in answers] == [[2], [4], [6]]
    assert sorted(ran["x"] for ran in one.ran) == [[1, 2], [3]]


@pytest.mark.parametrize("threads", [1, 3])
def test_many_requests_at_once_get_their_own_rows(threads):
    random = np.random.default_rng(threads)
    rows, widths = random.integers(1, 9, 200), random.integers(1, 5, 200)
    options = {"max_batch_size": 8, "max_enqueued_batches": 1000, "batch_timeout_micros": 500}
    filling = {"allowed_batch_sizes": (2, 4, 8), "pad_variable_length_inputs": True}
    batcher = Batcher(BatchingParameters(num_batch_threads=threads, **options, **filling))
    ran = []

    def run(inputs):
        ran.append(len(inputs["n"]))
        return {"n": inputs["n"], "sums": inputs["x"].sum(axis=1), "x": inputs["x"]}

    def ask(number):
        ids = number * 100 + np.arange(rows[number])
        x = np.repeat(ids[:, None], widths[number], axis=1)
        x[0, 0] = -number  # what shorter rows are filled with
        found = batcher.run(number % 2, run, {"n": ids, "x": x})
        assert found["n"].tolist() == ids.tolist()
        assert found["x"][:, : widths[number]].tolist() == x.tolist()
        assert (found["x"][:, widths[number] :] == -number).all()
        assert found["sums"].tolist() == found["x"].sum(axis=1).tolist()
        return len(ids)

    with ThreadPoolExecutor(16) as callers:
        assert list(callers.map(ask, range(200), timeout=PATIENCE)) == rows.tolist()
    batcher.close()
    assert set(ran) <= {2, 4, 8}
    assert sum(ran) >= rows.sum()

"""Queues of the batcher: errors, keys, order, timeouts, threads and closing."""

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import grpc
import numpy as np
import pytest
from batcher_harness import NEVER, TIMEOUT, code_of, outputs_of

from tfllmrec.serving import batching
from tfllmrec.serving.batching import Batcher
from tfllmrec.serving.batching_parameters import BatchingParameters
from tfllmrec_client.status import RequestError


@pytest.mark.parametrize("error", [RuntimeError("broken"), RequestError(grpc.StatusCode.ABORTED, "no")])
def test_an_error_reaches_all_callers_and_the_batcher_continues(make_harness, error):
    def run(inputs, deadline):
        if len(inputs["x"]) > 1:
            raise error
        return inputs

    harness = make_harness(max_batch_size=4)
    futures = harness.submit_together({"run": run, "x": [1]}, {"x": [2]})
    assert [future.exception(TIMEOUT) for future in futures] == [error, error]
    assert outputs_of(harness.submit(run=run, x=[3])) == {"x": [3]}


@pytest.mark.parametrize("rows", [0, 1, 4])
def test_outputs_with_other_rows_than_the_batch_are_an_error(make_harness, rows):
    # batching_session.cc of TF Serving: "0th dimension does not equal the sum of the 0th dimension sizes of the input"
    futures = make_harness(max_batch_size=4).submit_together(
        {"run": lambda *_: {"x": np.arange(rows)}, "x": [1]}, {"x": [2, 3]}
    )
    assert [code_of(future) for future in futures] == ["FAILED_PRECONDITION"] * 2


def test_different_keys_share_no_batch_and_a_key_keeps_its_first_function(make_harness):
    ten, twenty = ({"run": lambda inputs, _, n=n: {"x": inputs["x"] + n}} for n in (10, 20))
    requests = {"key": "a", **ten, "x": [1]}, {"key": "b", **twenty, "x": [2]}, {"key": "a", **twenty, "x": [3, 4]}
    assert [outputs_of(future)["x"] for future in make_harness(max_batch_size=8).submit_together(*requests)] == [
        [11],
        [22],
        [13, 14],
    ]


def test_the_batch_that_was_opened_first_runs_first(make_harness):
    requests = [{"key": key, "x": [number] * 2} for number, key in enumerate("abcab")]
    harness = make_harness(max_batch_size=2)
    for future in harness.submit_together(*requests):
        future.result(TIMEOUT)
    assert [batch["x"][0] for batch in harness.batches] == [0, 1, 2, 3, 4]


def test_batches_run_at_the_same_time(make_harness):
    barrier = threading.Barrier(2)
    harness = make_harness(2, max_batch_size=1)
    futures = [harness.submit(run=lambda inputs, _: barrier.wait(TIMEOUT) < 2 and inputs, x=[row]) for row in (1, 2)]
    assert [outputs_of(future) for future in futures] == [{"x": [1]}, {"x": [2]}]


def test_a_batch_waits_until_it_is_full_or_another_batch_follows_it(make_harness):
    harness = make_harness(max_batch_size=4, batch_timeout_micros=NEVER)
    first = harness.submit(x=[1, 1, 1])
    assert outputs_of(harness.submit(key="another", x=[9] * 4)) == {"x": [18] * 4}
    assert not first.done()
    second = harness.submit(x=[2, 2])
    assert outputs_of(first) == {"x": [2] * 3}
    assert not second.done()
    assert outputs_of(harness.submit(x=[3, 3])) == {"x": [6] * 2}
    assert outputs_of(second) == {"x": [4] * 2}
    assert [batch["x"] for batch in harness.batches] == [[9] * 4, [1] * 3, [2, 2, 3, 3]]


def test_the_timeout_of_a_batch_starts_with_its_first_request(make_harness, monkeypatch):
    clock = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(batching, "time", SimpleNamespace(monotonic=lambda: clock.seconds))
    harness = make_harness(max_batch_size=4, batch_timeout_micros=NEVER)
    first = harness.submit(x=[1])
    for clock.seconds in (1800.0, 3599.0):
        assert outputs_of(harness.submit(key="full", x=[9] * 4))  # queued after the first request, and runs before it
    second = harness.submit(x=[2])
    assert not first.done()
    clock.seconds = 3600.0
    assert outputs_of(harness.submit(key="full", x=[8] * 4))
    assert (outputs_of(first), outputs_of(second)) == ({"x": [2]}, {"x": [4]})
    assert [batch["x"] for batch in harness.batches] == [[9] * 4, [9] * 4, [1, 2], [8] * 4]


def test_closing_runs_the_queued_requests(make_harness):
    harness = make_harness(max_batch_size=4, batch_timeout_micros=NEVER)
    harness.block_thread()
    futures = [harness.submit(x=[1]), harness.submit(x=[2]), harness.submit(key="another", x=[3])]
    harness.close()
    assert [outputs_of(future)["x"] for future in futures] == [[2], [4], [6]]
    assert sorted(batch["x"] for batch in harness.batches) == [[1, 2], [3]]


@pytest.mark.parametrize("threads", [1, 3])
def test_many_concurrent_requests_get_their_own_rows(threads):
    random = np.random.default_rng(threads)
    rows, widths = random.integers(1, 9, 200), random.integers(1, 5, 200)
    limits = {"max_batch_size": 8, "max_enqueued_batches": 1000, "batch_timeout_micros": 500}
    padding = {"allowed_batch_sizes": (2, 4, 8), "pad_variable_length_inputs": True}
    batcher = Batcher(BatchingParameters(num_batch_threads=threads, **limits, **padding))
    batch_sizes = []

    def run(inputs, deadline):
        batch_sizes.append(len(inputs["n"]))
        return {"n": inputs["n"], "sums": inputs["x"].sum(axis=1), "x": inputs["x"]}

    def request(number):
        ids = number * 100 + np.arange(rows[number])
        x = np.repeat(ids[:, None], widths[number], axis=1)
        x[0, 0] = -number  # the padding of shorter rows
        outputs = batcher.run(number % 2, run, {"n": ids, "x": x})
        assert outputs["n"].tolist() == ids.tolist()
        assert outputs["x"][:, : widths[number]].tolist() == x.tolist()
        assert (outputs["x"][:, widths[number] :] == -number).all()
        assert outputs["sums"].tolist() == outputs["x"].sum(axis=1).tolist()
        return len(ids)

    with ThreadPoolExecutor(16) as callers:
        assert list(callers.map(request, range(200), timeout=TIMEOUT)) == rows.tolist()
    batcher.close()
    assert set(batch_sizes) <= {2, 4, 8}
    assert sum(batch_sizes) >= rows.sum()

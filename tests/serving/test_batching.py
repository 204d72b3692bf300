"""Batches made of requests that wait together; a batch thread that is held busy makes the others wait."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace

import grpc
import numpy as np
import pytest

from tfllmrec.serving import batching
from tfllmrec.serving.batching import Batcher
from tfllmrec.serving.batching_parameters import BatchingParameters
from tfllmrec_client.status import RequestError

NEVER = 3600 * 10**6
"""Microseconds after which a batch runs although it is not full: no test takes so long."""
PATIENCE = 10
"""Seconds after which something hangs; nothing here measures time."""
ASKED = threading.local()
SPLIT = {"enable_large_batch_splitting": True, "max_execution_batch_size": 2}


class Desk:
    """A batcher asked from threads of their own; `ran` is what it ran."""

    def __init__(self, threads, **parameters):
        self.parameters = BatchingParameters(num_batch_threads=threads, **parameters)
        self.batcher, self.ran = Batcher(self.parameters), []
        self.held, self.released = threading.Event(), threading.Event()

    def run(self, inputs):
        """The inputs, and twice "x"."""
        self.ran.append({name: array.tolist() for name, array in inputs.items()})
        return {**inputs, "x": inputs["x"] * 2} if "x" in inputs else inputs

    def ask(self, *, key="key", run=None, **inputs):
        """The future answer to a request that stands in its queue or has been refused."""
        answer, queued = Future(), threading.Event()
        arrays = {name: np.array(rows) for name, rows in inputs.items()}

        def call():
            ASKED.queued = queued
            try:
                answer.set_result(self.batcher.run(key, run or self.run, arrays))
            except Exception as error:
                answer.set_exception(error)
            queued.set()

        threading.Thread(target=call, daemon=True).start()
        assert queued.wait(PATIENCE)
        return answer

    def hold(self):
        """Keep the one batch thread busy until `released` is set."""

        def busy(inputs):
            self.held.set()
            assert self.released.wait(PATIENCE)
            return inputs

        answer = self.ask(key="held", run=busy, x=np.zeros(self.parameters.largest_execution))
        assert not answer.done(), answer.exception()
        assert self.held.wait(PATIENCE)

    def together(self, *requests):
        """The future answers to requests that waited together."""
        self.hold()
        answers = [self.ask(**request) for request in requests]
        self.released.set()
        return answers

    def close(self):
        self.released.set()
        closing = threading.Thread(target=self.batcher.close, daemon=True)
        closing.start()
        closing.join(PATIENCE)
        assert not closing.is_alive()


@pytest.fixture
def desk(monkeypatch):
    """Makes desks, with one batch thread unless told otherwise."""
    made, enqueue = [], Batcher._enqueue

    def noticed(*arguments):  # in the caller's thread, which holds the lock until all of its request is in the queue
        task = enqueue(*arguments)
        ASKED.queued.set()
        return task

    def make(threads=1, **parameters):
        made.append(Desk(threads, **parameters))
        return made[-1]

    monkeypatch.setattr(Batcher, "_enqueue", noticed)
    yield make
    for one in made:
        one.close()


def got(answer):
    return {name: array.tolist() for name, array in answer.result(PATIENCE).items()}


def refusal(answer):
    error = answer.exception(PATIENCE)
    assert isinstance(error, RequestError), error or got(answer)
    return error.code.name


def test_waiting_requests_run_together_and_get_their_own_rows(desk):
    one = desk(max_batch_size=8)
    answers = one.together({"x": [1]}, {"x": [2, 3]}, {"x": [4]}, {"x": [5, 6, 7]})
    assert [got(it)["x"] for it in answers] == [[2], [4, 6], [8], [10, 12, 14]]
    assert one.ran == [{"x": [1, 2, 3, 4, 5, 6, 7]}]


def test_a_batch_takes_no_more_than_fit_in_it(desk):
    one = desk(max_batch_size=4)
    answers = one.together({"x": [1, 2]}, {"x": [3, 4]}, {"x": [5, 6, 7]}, {"x": [8, 9]}, {"x": [10]})
    assert [got(it)["x"] for it in answers] == [[2, 4], [6, 8], [10, 12, 14], [16, 18], [20]]
    assert [ran["x"] for ran in one.ran] == [[1, 2, 3, 4], [5, 6, 7], [8, 9, 10]]


def test_a_batch_is_filled_up_with_the_first_row_of_its_last_request(desk):
    one = desk(max_batch_size=8, allowed_batch_sizes=(2, 6, 8))
    assert got(one.ask(x=[7])) == {"x": [14]}
    answers = one.together({"n": [1], "s": [[b"a"]]}, {"n": [2, 3], "s": [[b"b"], [b"c"]]})
    assert [got(it) for it in answers] == [{"n": [1], "s": [[b"a"]]}, {"n": [2, 3], "s": [[b"b"], [b"c"]]}]
    strings = [[b"a"], [b"b"], [b"c"], [b"b"], [b"b"], [b"b"]]
    assert one.ran == [{"x": [7, 7]}, {"n": [1, 2, 3, 2, 2, 2], "s": strings}]


def test_shorter_rows_are_filled_with_the_first_element_of_their_tensor(desk):
    one = desk(max_batch_size=6, allowed_batch_sizes=(6,), pad_variable_length_inputs=True)
    answers = one.together({"x": [[9], [8]]}, {"x": [[1, 2, 3]]}, {"x": [[4, 5], [6, 7]]})
    assert [got(it)["x"] for it in answers] == [[[18] * 3, [16, 18, 18]], [[2, 4, 6]], [[8, 10, 8], [12, 14, 8]]]
    assert one.ran == [{"x": [[9, 9, 9], [8, 9, 9], [1, 2, 3], [4, 5, 4], [6, 7, 4], [4, 5, 4]]}]


def test_every_dimension_is_filled(desk):
    one = desk(max_batch_size=4, pad_variable_length_inputs=True)
    for answer in one.together({"s": [[[b"a"], [b"b"]]]}, {"s": [[[b"c", b"d"]]]}):
        answer.result(PATIENCE)
    assert one.ran == [{"s": [[[b"a", b"a"], [b"b", b"a"]], [[b"c", b"d"], [b"c", b"c"]]]}]


@pytest.mark.parametrize(
    ("pad", "other", "code"), [(False, [[1, 2]], "FAILED_PRECONDITION"), (True, [[]], "INVALID_ARGUMENT")]
)
def test_shapes_that_cannot_be_joined_fail_for_everybody(desk, pad, other, code):
    one = desk(max_batch_size=4, pad_variable_length_inputs=pad)
    answers = one.together({"history": [[1]]}, {"history": other}, {"history": [[1]]})
    assert [refusal(it) for it in answers] == [code] * 3
    assert all("history" in str(it.exception()) for it in answers)
    assert got(one.ask(history=[[5]])) == {"history": [[5]]}


@pytest.mark.parametrize("pad", [False, True])
def test_empty_inputs_join_each_other(desk, pad):
    one = desk(max_batch_size=4, pad_variable_length_inputs=pad)
    requests = {"history": [[]], "n": [1]}, {"history": [[], []], "n": [2, 3]}
    assert [got(it) for it in one.together(*requests)] == list(requests)
    assert len(one.ran) == 1


def test_a_request_that_fits_in_no_batch(desk):
    one = desk(max_batch_size=3)
    assert got(one.ask(x=[1, 2, 3])) == {"x": [2, 4, 6]}
    assert refusal(one.ask(x=[1, 2, 3, 4])) == "INVALID_ARGUMENT"
    assert refusal(one.ask(x=[1], y=[1, 2])) == "INVALID_ARGUMENT"
    assert len(one.ran) == 1


def test_a_full_queue(desk):
    one = desk(max_batch_size=2, max_enqueued_batches=2)
    one.hold()
    answers = [one.ask(x=[1, 1]), one.ask(x=[2])]
    assert refusal(one.ask(x=[3, 3])) == "UNAVAILABLE"
    answers += [one.ask(x=[4]), one.ask(key="another", x=[5, 5])]  # there is room in the last batch, and elsewhere
    assert refusal(one.ask(x=[6])) == "UNAVAILABLE"
    one.released.set()
    assert [got(it)["x"] for it in answers] == [[2, 2], [4], [8], [10, 10]]
    assert sorted(ran["x"] for ran in one.ran) == [[1, 1], [2, 4], [5, 5]]


def test_pieces_of_a_large_request_keep_their_order(desk):
    done = [threading.Event() for _ in range(3)]

    def run(inputs):
        piece = int(inputs["x"][0]) // 2
        assert piece == 2 or done[piece + 1].wait(PATIENCE)  # the last is the first to end
        done[piece].set()
        return {"x": inputs["x"], "rows": np.full(len(inputs["x"]), len(inputs["x"]))}

    assert got(desk(3, **SPLIT).ask(run=run, x=[0, 1, 2, 3, 4])) == {"x": [0, 1, 2, 3, 4], "rows": [2, 2, 2, 2, 1]}


def test_max_batch_size_is_the_most_rows_of_a_request_whether_it_is_cut_or_not(desk):
    # shared_batch_scheduler.h of TensorFlow: "Task size is larger than maximum input batch size", before it splits
    one = desk(max_batch_size=4, **SPLIT)
    assert got(one.ask(x=[1, 2, 3, 4])) == {"x": [2, 4, 6, 8]}
    assert one.ran == [{"x": [1, 2]}, {"x": [3, 4]}]
    assert refusal(one.ask(x=[1, 2, 3, 4, 5])) == "INVALID_ARGUMENT"


def test_nothing_of_a_large_request_runs_where_the_queue_has_no_room_for_all_of_it(desk):
    one = desk(max_enqueued_batches=2, **SPLIT)
    one.hold()
    assert refusal(one.ask(x=[1, 2, 3, 4, 5, 6])) == "UNAVAILABLE"
    one.released.set()
    assert got(one.ask(x=[7, 7])) == {"x": [14, 14]}
    assert one.ran == [{"x": [7, 7]}]


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

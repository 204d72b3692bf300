"""Batches of requests that are queued together: rows, padding, limits and splitting."""

import threading

import numpy as np
import pytest
from batcher_harness import SPLIT, TIMEOUT, code_of, outputs_of


def test_queued_requests_run_together_and_get_their_own_rows(make_harness):
    harness = make_harness(max_batch_size=8)
    futures = harness.submit_together({"x": [1]}, {"x": [2, 3]}, {"x": [4]}, {"x": [5, 6, 7]})
    assert [outputs_of(future)["x"] for future in futures] == [[2], [4, 6], [8], [10, 12, 14]]
    assert harness.batches == [{"x": [1, 2, 3, 4, 5, 6, 7]}]


def test_a_batch_is_not_larger_than_max_batch_size(make_harness):
    harness = make_harness(max_batch_size=4)
    futures = harness.submit_together({"x": [1, 2]}, {"x": [3, 4]}, {"x": [5, 6, 7]}, {"x": [8, 9]}, {"x": [10]})
    assert [outputs_of(future)["x"] for future in futures] == [[2, 4], [6, 8], [10, 12, 14], [16, 18], [20]]
    assert [batch["x"] for batch in harness.batches] == [[1, 2, 3, 4], [5, 6, 7], [8, 9, 10]]


def test_padding_rows_repeat_the_first_row_of_the_last_request(make_harness):
    harness = make_harness(max_batch_size=8, allowed_batch_sizes=(2, 6, 8))
    assert outputs_of(harness.submit(x=[7])) == {"x": [14]}
    futures = harness.submit_together({"n": [1], "s": [[b"a"]]}, {"n": [2, 3], "s": [[b"b"], [b"c"]]})
    assert [outputs_of(future) for future in futures] == [
        {"n": [1], "s": [[b"a"]]},
        {"n": [2, 3], "s": [[b"b"], [b"c"]]},
    ]
    strings = [[b"a"], [b"b"], [b"c"], [b"b"], [b"b"], [b"b"]]
    assert harness.batches == [{"x": [7, 7]}, {"n": [1, 2, 3, 2, 2, 2], "s": strings}]


def test_shorter_rows_are_padded_with_the_first_element_of_their_tensor(make_harness):
    harness = make_harness(max_batch_size=6, allowed_batch_sizes=(6,), pad_variable_length_inputs=True)
    futures = harness.submit_together({"x": [[9], [8]]}, {"x": [[1, 2, 3]]}, {"x": [[4, 5], [6, 7]]})
    assert [outputs_of(future)["x"] for future in futures] == [
        [[18] * 3, [16, 18, 18]],
        [[2, 4, 6]],
        [[8, 10, 8], [12, 14, 8]],
    ]
    assert harness.batches == [{"x": [[9, 9, 9], [8, 9, 9], [1, 2, 3], [4, 5, 4], [6, 7, 4], [4, 5, 4]]}]


def test_every_dimension_is_padded(make_harness):
    harness = make_harness(max_batch_size=4, pad_variable_length_inputs=True)
    for future in harness.submit_together({"s": [[[b"a"], [b"b"]]]}, {"s": [[[b"c", b"d"]]]}):
        future.result(TIMEOUT)
    assert harness.batches == [{"s": [[[b"a", b"a"], [b"b", b"a"]], [[b"c", b"d"], [b"c", b"c"]]]}]


@pytest.mark.parametrize(
    ("pad", "other", "code"), [(False, [[1, 2]], "FAILED_PRECONDITION"), (True, [[]], "INVALID_ARGUMENT")]
)
def test_incompatible_shapes_fail_all_requests_of_the_batch(make_harness, pad, other, code):
    harness = make_harness(max_batch_size=4, pad_variable_length_inputs=pad)
    futures = harness.submit_together({"history": [[1]]}, {"history": other}, {"history": [[1]]})
    assert [code_of(future) for future in futures] == [code] * 3
    assert all("history" in str(future.exception()) for future in futures)
    assert outputs_of(harness.submit(history=[[5]])) == {"history": [[5]]}


@pytest.mark.parametrize("pad", [False, True])
def test_empty_inputs_share_a_batch(make_harness, pad):
    harness = make_harness(max_batch_size=4, pad_variable_length_inputs=pad)
    requests = {"history": [[]], "n": [1]}, {"history": [[], []], "n": [2, 3]}
    assert [outputs_of(future) for future in harness.submit_together(*requests)] == list(requests)
    assert len(harness.batches) == 1


def test_an_invalid_number_of_rows_is_refused(make_harness):
    harness = make_harness(max_batch_size=3)
    assert outputs_of(harness.submit(x=[1, 2, 3])) == {"x": [2, 4, 6]}
    assert code_of(harness.submit(x=[1, 2, 3, 4])) == "INVALID_ARGUMENT"
    assert code_of(harness.submit(x=[1], y=[1, 2])) == "INVALID_ARGUMENT"
    assert len(harness.batches) == 1


def test_a_full_queue_refuses_requests(make_harness):
    harness = make_harness(max_batch_size=2, max_enqueued_batches=2)
    harness.block_thread()
    futures = [harness.submit(x=[1, 1]), harness.submit(x=[2])]
    assert code_of(harness.submit(x=[3, 3])) == "UNAVAILABLE"
    futures.append(harness.submit(x=[4]))  # fits in the last batch
    futures.append(harness.submit(key="another", x=[5, 5]))  # has another queue
    assert code_of(harness.submit(x=[6])) == "UNAVAILABLE"
    harness.released.set()
    assert [outputs_of(future)["x"] for future in futures] == [[2, 2], [4], [8], [10, 10]]
    assert sorted(batch["x"] for batch in harness.batches) == [[1, 1], [2, 4], [5, 5]]


def test_pieces_of_a_large_request_keep_their_order(make_harness):
    done = [threading.Event() for _ in range(3)]

    def run(inputs, deadline):
        piece = int(inputs["x"][0]) // 2
        assert piece == 2 or done[piece + 1].wait(TIMEOUT)  # the pieces end in reverse order
        done[piece].set()
        return {"x": inputs["x"], "rows": np.full(len(inputs["x"]), len(inputs["x"]))}

    assert outputs_of(make_harness(3, **SPLIT).submit(run=run, x=[0, 1, 2, 3, 4])) == {
        "x": [0, 1, 2, 3, 4],
        "rows": [2, 2, 2, 2, 1],
    }


def test_max_batch_size_limits_requests_with_and_without_splitting(make_harness):
    # shared_batch_scheduler.h of TensorFlow: "Task size is larger than maximum input batch size", before it splits
    harness = make_harness(max_batch_size=4, **SPLIT)
    assert outputs_of(harness.submit(x=[1, 2, 3, 4])) == {"x": [2, 4, 6, 8]}
    assert harness.batches == [{"x": [1, 2]}, {"x": [3, 4]}]
    assert code_of(harness.submit(x=[1, 2, 3, 4, 5])) == "INVALID_ARGUMENT"


def test_no_piece_of_a_large_request_runs_unless_all_pieces_fit_in_the_queue(make_harness):
    harness = make_harness(max_enqueued_batches=2, **SPLIT)
    harness.block_thread()
    assert code_of(harness.submit(x=[1, 2, 3, 4, 5, 6])) == "UNAVAILABLE"
    harness.released.set()
    assert outputs_of(harness.submit(x=[7, 7])) == {"x": [14, 14]}
    assert harness.batches == [{"x": [7, 7]}]

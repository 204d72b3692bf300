"""Batches made of requests that wait together."""

import threading

import numpy as np
import pytest
from made_up_batches import PATIENCE, SPLIT, got, refusal


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

"""Dynamic batching: concurrent requests have the results that they have alone."""

from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
from film_requests import PREDICT
from small_data import EVERYTHING, GREEDY, ITEMS

from tfllmrec.serving import Client

USERS = ["", "unknown", GREEDY, EVERYTHING, *(f"用户{number}" for number in range(18))]
THREADS = 32


@pytest.fixture(scope="module")
def random():
    return np.random.default_rng(7)


def random_request(random):
    """Return 1 to 3 rows of users, histories of 0 to 12 items, and 0 to 3 excluded items."""
    rows = random.integers(1, 4)
    ids = [*ITEMS, "unheard of", ""]
    return (
        random.choice(USERS, rows).tolist(),
        [random.choice(ids, random.integers(0, 13)).tolist() for _ in range(rows)],
        [random.choice(ids, random.integers(0, 4)).tolist() for _ in range(rows)],
    )


def inputs_of(users, histories, exclude):
    """Return the inputs of `retrieve`."""
    return {"user_id": users, "history": padded(histories), "exclude_item_ids": padded(exclude)}


def padded(rows):
    """Pad rows as the client does: "" comes first, because a batching server pads with the first element."""
    width = max(map(len, rows))
    return [["", *row, *[""] * (width - len(row))] for row in rows]


def call_concurrently(calls):
    """Call functions in many threads; return their results or gRPC errors."""

    def result_of(call):
        try:
            return call()
        except grpc.RpcError as error:
            return error

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(result_of, calls))


def assert_results(results, scores, expected):
    """Check rows of item ids and scores against the scores of all items. Almost equal scores may be swapped."""
    assert len(results) == len(expected)
    for items, row_scores, item_scores in zip(results, scores, expected, strict=True):
        items = [item for item in items if item]
        best = sorted(item_scores.values(), reverse=True)[:10]
        assert len(set(items)) == len(items) == len(best)
        assert set(items) <= item_scores.keys()
        np.testing.assert_allclose(row_scores[: len(best)], best, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose([item_scores[item] for item in items], best, rtol=1e-5, atol=1e-5)


def assert_outputs(outputs, expected):
    """Check the outputs of `retrieve` against the scores of all items."""
    assert not isinstance(outputs, grpc.RpcError), outputs
    ids = [[item.decode() for item in row] for row in outputs["item_ids"]]
    assert_results(ids, outputs["scores"], expected)
    titles = [[title.decode() for title in row] for row in outputs["titles"]]
    assert titles == [[f"Title of {item}" if item else "" for item in row] for row in ids]


def test_concurrent_ragged_requests(batching_server, models, random):
    requests = [random_request(random) for _ in range(300)]
    assert len({len(history) for _, histories, _ in requests for history in histories}) == 13
    results = call_concurrently([lambda row=row: batching_server.predict(**inputs_of(*row)) for row in requests])
    for outputs, (users, histories, exclude) in zip(results, requests, strict=True):
        assert_outputs(outputs, models.all_scores(users, histories, exclude=exclude))


def test_concurrent_calls_of_a_client(batching_server, models, random):
    requests = [random_request(random) for _ in range(100)]
    with Client(batching_server.process.grpc_address, "films", timeout=60) as client:
        calls = [lambda row=row: client.recommend(row[0], row[1], exclude=row[2]) for row in requests]
        results = call_concurrently(calls)
    for rows, (users, histories, exclude) in zip(results, requests, strict=True):
        ids, scores = ([[getattr(item, name) for item in row] for row in rows] for name in ("item_id", "score"))
        assert_results(ids, scores, models.all_scores(users, histories, exclude=exclude))


def invalid_requests():
    """Return the expected code, signature and inputs of each invalid request."""
    valid = {"user_id": ["用户3"], "history": [["", "item1"]], "exclude_item_ids": [["", "item2"]]}
    return [
        (grpc.StatusCode.INVALID_ARGUMENT, "retrieve", valid | {"user_id": ["a", "b"]}),
        (grpc.StatusCode.INVALID_ARGUMENT, "retrieve", valid | {"history": [["", "item1"]] * 3}),
        (grpc.StatusCode.INVALID_ARGUMENT, "retrieve", valid | {"history": ["item1"]}),
        (grpc.StatusCode.INVALID_ARGUMENT, "retrieve", valid | {"user_id": np.ones(1, np.float32)}),
        (grpc.StatusCode.INVALID_ARGUMENT, "retrieve", valid | {"more": ["a"]}),
        (grpc.StatusCode.INVALID_ARGUMENT, "retrieve", {"user_id": ["用户3"]}),
        (grpc.StatusCode.INVALID_ARGUMENT, "retrieve", valid | {"user_id": np.array("用户3", object)}),
        (grpc.StatusCode.FAILED_PRECONDITION, "retrieved", valid),
    ]


def test_invalid_requests_do_not_affect_valid_ones(batching_server, models, random):
    requests = [random_request(random) for _ in range(160)]
    invalid = [invalid_requests()[position % len(invalid_requests())] for position in range(len(requests))]
    calls = []
    for request, (_, signature, inputs) in zip(requests, invalid, strict=True):
        calls.append(lambda request=request: batching_server.predict(**inputs_of(*request)))
        calls.append(lambda signature=signature, inputs=inputs: batching_server.predict(signature, **inputs))
    results = call_concurrently(calls)
    for outputs, (users, histories, exclude) in zip(results[::2], requests, strict=True):
        assert_outputs(outputs, models.all_scores(users, histories, exclude=exclude))
    assert [error.code() for error in results[1::2]] == [code for code, _, _ in invalid]


def test_concurrent_requests_of_all_signatures(batching_server, models, random):
    def texts(*shape):
        return random.choice([*(item.encode() for item in ITEMS), b"unheard of"], shape).astype(object)

    def numbers(*shape):
        return random.integers(0, 13, shape).astype(np.int32)

    calls = []
    for _ in range(40):
        rows, width = random.integers(1, 4), random.integers(1, 5)
        first = np.full((rows, 1), b"", object)
        zero = np.zeros((rows, 1), np.int32)
        users = np.array([user.encode() for user in random.choice(USERS, rows)], object)
        history = np.hstack([first, texts(rows, width)])
        exclude = np.hstack([zero, numbers(rows, width)])
        calls += [
            ("retrieve", {"user_id": users, "history": history, "exclude_item_ids": first}),
            ("serving_default", {"user_id": users, "history": history, "exclude_item_ids": first}),
            ("retrieve_ids", {"user": numbers(rows), "history": numbers(rows, 4), "exclude": exclude}),
            ("embed_query", {"user_id": users, "history": history}),
            ("embed_items", {"item_ids": texts(rows)}),
            ("similar_items", {"item_id": texts(rows), "exclude_item_ids": np.hstack([first, texts(rows, width)])}),
        ]
    results = call_concurrently([lambda call=call: batching_server.predict(call[0], **call[1]) for call in calls])
    for outputs, (signature, inputs) in zip(results, calls, strict=True):
        assert not isinstance(outputs, grpc.RpcError), outputs
        expected = models.in_process["films", 2].run(signature, inputs)
        assert outputs.keys() == expected.keys()
        for name, values in expected.items():
            assert outputs[name].shape == values.shape
            if values.dtype == np.float32:
                np.testing.assert_allclose(outputs[name], values, rtol=1e-5, atol=1e-5, err_msg=signature)


@pytest.mark.parametrize("rows", [8, 9, 300])
def test_a_request_larger_than_a_batch_is_refused(batching_server, models, rows):
    users, histories, exclude = ["用户3"] * rows, [["item1"]] * rows, [["item2"]] * rows
    inputs = inputs_of(users, histories, exclude)
    if rows > 8:
        with pytest.raises(grpc.RpcError) as error:
            batching_server.predict(**inputs)
        assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert str(rows) in error.value.details()
        assert "8" in error.value.details()
    else:
        assert_outputs(batching_server.predict(**inputs), models.all_scores(users, histories, exclude=exclude))


@pytest.mark.parametrize("output_filter", [["titles"], ["scores"]])
def test_an_output_filter_and_an_empty_batch_are_supported(batching_server, output_filter):
    empty = np.empty((0, 1), object)
    outputs = batching_server.predict(user_id=np.empty(0, object), history=empty, exclude_item_ids=empty)
    assert {name: values.shape for name, values in outputs.items()} == dict.fromkeys(outputs, (0, 10))
    inputs = {"user_id": ["用户3"], "history": [["item1"]], "exclude_item_ids": [[""]]}
    assert batching_server.predict(output_filter=output_filter, **inputs).keys() == set(output_filter)


def test_concurrent_requests_over_rest(batching_server, models, random):
    requests = [random_request(random) for _ in range(60)]

    def post(request):
        columns = inputs_of(*request)
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        return batching_server.http(PREDICT, {"instances": rows})

    responses = call_concurrently([lambda request=request: post(request) for request in requests])
    for (status, content), (users, histories, exclude) in zip(responses, requests, strict=True):
        assert status == 200, content
        ids, scores = ([row[name] for row in content["predictions"]] for name in ("item_ids", "scores"))
        assert_results(ids, scores, models.all_scores(users, histories, exclude=exclude))

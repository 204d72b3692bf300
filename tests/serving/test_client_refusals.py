"""Errors of the clients: invalid arguments, requests that a server refuses, and servers that do not respond."""

import socket
from functools import partial

import grpc
import pytest

from tfllmrec_client import InputError, RequestError


@pytest.fixture
def client(connect):
    return connect()


def test_k_beyond_the_export_is_refused_with_both_numbers(client):
    for call in (lambda: client.recommend(["用户3"], k=11), lambda: client.similar_items(["item1"], k=11)):
        with pytest.raises(RequestError, match=r"\b11\b.*\b10\b") as error:
            call()
        assert error.value.code is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("k", [0, -1])
def test_k_below_one_is_refused(client, k):
    for call in (lambda: client.recommend(["用户3"], k=k), lambda: client.similar_items(["item1"], k=k)):
        with pytest.raises(InputError, match=f"k is {k}"):
            call()


@pytest.mark.parametrize(
    "arguments",
    [
        {"users": "用户3"},
        {"histories": "item1"},
        {"histories": ["item1"]},
        {"users": ["用户3"], "exclude": ["item1"]},
        {"users": ["用户3"], "exclude": "item1"},
        {"users": ["用户3"], "histories": [["item1"], ["item2"]]},
        {"users": ["用户3", "用户4"], "exclude": [["item1"]]},
        {},
        {"exclude": [["item1"]]},
    ],
)
def test_invalid_arguments_have_the_error_of_the_recommender(client, models, assert_same_error, arguments):
    assert_same_error(client.recommend, models.recommenders["films", 2].recommend, arguments)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"items": "item1"}, "items must be a list with one entry per row, not 'item1'"),
        ({"items": None}, "items must be a list with one entry per row, not None"),
        ({"items": ["item1", 2]}, "items has 2, which is not a string; ids and texts must be strings"),
        ({"items": ["item1"], "exclude": "item2"}, "exclude must be a list with one entry per row, not 'item2'"),
        ({"items": ["item1"], "exclude": ["item2"]}, "exclude must have a list of strings per row, not 'item2'"),
        ({"items": ["a", "b"], "exclude": [["c"]] * 3}, "the rows do not match (2 items, 3 exclude)"),
    ],
)
def test_invalid_arguments_of_similar_items_are_refused(client, arguments, sentence):
    with pytest.raises(InputError) as error:
        client.similar_items(**arguments)
    assert str(error.value) == f"similar_items: {sentence}"


@pytest.mark.parametrize(
    ("options", "code", "word"),
    [
        ({"model": "filmz"}, grpc.StatusCode.NOT_FOUND, "filmz"),
        ({"version": 7}, grpc.StatusCode.NOT_FOUND, "7"),
        ({"label": "beta"}, grpc.StatusCode.INVALID_ARGUMENT, "beta"),
    ],
)
def test_an_unknown_model_version_or_label_is_refused(connect, options, code, word):
    client = connect(**options)
    predict = partial(client.predict, "embed_items", {"item_ids": ["a"]})
    for call in (lambda: client.recommend([""]), client.status, predict):
        with pytest.raises(RequestError, match=word) as error:
            call()
        assert error.value.code is code
        assert len(str(error.value).splitlines()) == 1


def test_a_client_without_a_model_name_is_refused(connect):
    client = connect(model="")
    with pytest.raises(RequestError, match=r"ModelSpec has no name specified\."):
        client.recommend([""])
    with pytest.raises(RequestError, match="Could not find any versions of model"):
        client.status()


def test_a_version_and_a_label_together_are_refused(connect):
    with pytest.raises(InputError, match="not both"):
        connect(version=1, label="stable")


def test_a_request_that_exceeds_the_timeout_fails(connect):
    many = ["item1"] * 20_000  # gRPC rounds a timeout this short up, and one row might arrive in time
    for client, options in ((connect(timeout=1e-6), {}), (connect(), {"timeout": 1e-6})):
        with pytest.raises(RequestError, match="1e-06 s") as error:
            client.recommend(many, **options)
        assert error.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert client.server in str(error.value)
        assert len(client.recommend(["item1"], timeout=60)) == 1


def test_a_silent_server_exceeds_the_timeout(client_class):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with (
            client_class(address, "films", timeout=0.2) as client,
            pytest.raises(RequestError, match=address) as error,
        ):
            client.recommend(["item1"])
    assert error.value.code is grpc.StatusCode.DEADLINE_EXCEEDED


def test_an_address_without_a_server_is_unavailable(client_class, unserved_address):
    with client_class(unserved_address, "films", timeout=60) as client:
        for call in (lambda: client.recommend([""]), client.status):
            with pytest.raises(RequestError, match=unserved_address) as error:
                call()
            assert error.value.code is grpc.StatusCode.UNAVAILABLE
            assert len(str(error.value).splitlines()) == 1


def test_the_rest_port_is_refused(client_class, server):
    address = server.url.removeprefix("http://")
    with client_class(address, "films", timeout=60) as client, pytest.raises(RequestError, match=address) as error:
        client.recommend([""])
    assert error.value.code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNIMPLEMENTED)
    assert "port" in str(error.value)
    assert len(str(error.value).splitlines()) == 1

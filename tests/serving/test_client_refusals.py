"""What the clients refuse, what a server refuses them, and what they say where no answer comes."""

import socket

import grpc
import numpy as np
import pytest

from tfllmrec_client import InputError, RequestError


@pytest.fixture
def client(connect):
    return connect()


def test_k_beyond_the_export_says_both_numbers(client):
    for ask in (lambda: client.recommend(["用户3"], k=11), lambda: client.similar_items(["item1"], k=11)):
        with pytest.raises(RequestError, match=r"\b11\b.*\b10\b") as refusal:
            ask()
        assert refusal.value.code is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("k", [0, -1])
def test_k_below_one(client, k):
    for ask in (lambda: client.recommend(["用户3"], k=k), lambda: client.similar_items(["item1"], k=k)):
        with pytest.raises(InputError, match=f"k is {k}"):
            ask()


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
def test_questions_that_are_none(client, models, assert_same_error, arguments):
    assert_same_error(client.recommend, models.recommenders["films", 2].recommend, arguments)


@pytest.mark.parametrize("arguments", [("item1",), (["item1"],), (["item1", "item2"],)])
def test_similar_items_that_are_no_question(client, arguments):
    with pytest.raises(InputError):
        client.similar_items(*arguments, exclude="item2")
    with pytest.raises(InputError):
        client.similar_items(*arguments, exclude=[["item2"]] * 3)


@pytest.mark.parametrize(
    ("options", "code", "word"),
    [
        ({"model": "filmz"}, grpc.StatusCode.NOT_FOUND, "filmz"),
        ({"version": 7}, grpc.StatusCode.NOT_FOUND, "7"),
        ({"label": "beta"}, grpc.StatusCode.INVALID_ARGUMENT, "beta"),
        ({"model": ""}, grpc.StatusCode.INVALID_ARGUMENT, "model"),
    ],
)
def test_models_that_are_not_there(connect, options, code, word):
    asked = connect(**options)
    for ask in (lambda: asked.recommend([""]), asked.status, lambda: asked.predict("embed_items", {"item_ids": ["a"]})):
        with pytest.raises(RequestError, match=word) as refusal:
            ask()
        assert refusal.value.code is code
        assert len(str(refusal.value).splitlines()) == 1


@pytest.mark.parametrize(
    "inputs",
    [
        {"item_ids": [["a"], ["b", "c"]]},
        {"item_ids": [1]},
        {"item_ids": [1.5]},
        {"item_ids": np.array([1j])},
        {"items": ["a"]},
        {},
    ],
)
def test_inputs_that_do_not_fit(client, inputs):
    with pytest.raises(InputError) as refusal:
        client.predict("embed_items", inputs)
    assert len(str(refusal.value).splitlines()) == 1


def test_a_version_or_a_label_not_both(connect):
    with pytest.raises(InputError, match="not both"):
        connect(version=1, label="stable")


def test_an_answer_that_takes_too_long(connect):
    many = ["item1"] * 20_000  # gRPC rounds such a time-out up, and one row might arrive in time
    for client, options in ((connect(timeout=1e-6), {}), (connect(), {"timeout": 1e-6})):
        with pytest.raises(RequestError, match="1e-06 s") as refusal:
            client.recommend(many, **options)
        assert refusal.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert client.server in str(refusal.value)
        assert len(client.recommend(many, timeout=60)) == len(many)


def test_a_server_that_says_nothing(client_class):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with (
            client_class(address, "films", timeout=0.2) as client,
            pytest.raises(RequestError, match=address) as refusal,
        ):
            client.recommend(["item1"])
    assert refusal.value.code is grpc.StatusCode.DEADLINE_EXCEEDED


def test_no_server(client_class, unserved_address):
    with client_class(unserved_address, "films", timeout=60) as client:
        for ask in (lambda: client.recommend([""]), client.status):
            with pytest.raises(RequestError, match=unserved_address) as refusal:
                ask()
            assert refusal.value.code is grpc.StatusCode.UNAVAILABLE
            assert len(str(refusal.value).splitlines()) == 1


def test_the_port_of_rest(client_class, server):
    address = server.url.removeprefix("http://")
    with client_class(address, "films", timeout=60) as client, pytest.raises(RequestError, match=address) as refusal:
        client.recommend([""])
    assert refusal.value.code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNIMPLEMENTED)
    assert "port" in str(refusal.value)
    assert len(str(refusal.value).splitlines()) == 1

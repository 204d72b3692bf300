"""Many requests of one client at a time: threads that share a `Client`, coroutines that share an `AsyncClient`."""

import asyncio
import inspect
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from clients import assert_same_items
from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

from tfllmrec_client import AsyncClient, Client, RequestError

HISTORIES = [["item1", "电影一"], [], ["🎬🍿", "a b|c", 'say "hi"'], ["unheard of"]]
USERS = ["用户3", "nobody", "", "用户5"] * 16


@pytest.fixture
def questions(models):
    """Users with histories, and what the recommender says to each."""
    asked = [(user, HISTORIES[place % 3]) for place, user in enumerate(USERS)]
    users, histories = map(list, zip(*asked, strict=True))
    return asked, models.recommended(users, histories)


class Meeting(model_service_pb2_grpc.ModelServiceServicer):
    """Answers nobody until so many have asked; says when a request was given up."""

    def __init__(self, count):
        self.everybody = threading.Barrier(count)
        self.asked, self.given_up = threading.Event(), threading.Event()

    def GetModelStatus(self, request, context):  # noqa: N802
        context.add_callback(lambda: None if context.is_active() else self.given_up.set())
        self.asked.set()
        self.everybody.wait(60)
        return get_model_status_pb2.GetModelStatusResponse()


@pytest.fixture
def meet():
    """Starts a server where so many meet: the service and its address."""
    started = []

    def meet(count):
        service, server = Meeting(count), grpc.server(ThreadPoolExecutor(count))
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(service, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        started.append((service, server))
        return service, f"127.0.0.1:{port}"

    yield meet
    for service, server in started:
        service.everybody.abort()
        server.stop(None)


def test_threads_share_a_client(server, questions):
    asked, expected = questions
    with Client(server.process.grpc_address, "films", timeout=60) as client, ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda one: client.recommend([one[0]], [one[1]])[0], asked))
    assert_same_items(found, expected)


def test_coroutines_share_a_client(server, questions):
    asked, expected = questions

    async def ask():
        async with AsyncClient(server.process.grpc_address, "films", timeout=60) as client:
            return await asyncio.gather(*(client.recommend([user], [history]) for user, history in asked))

    assert_same_items([rows[0] for rows in asyncio.run(ask())], expected)


def test_coroutines_are_in_flight_together(meet):
    _, address = meet(5)

    async def ask():
        async with AsyncClient(address, "films", timeout=60) as client:
            return await asyncio.gather(*(client.status() for _ in range(5)))

    assert asyncio.run(ask()) == [{}] * 5


def test_one_that_fails_leaves_the_others(server, models):
    async def ask():
        async with AsyncClient(server.process.grpc_address, "films", timeout=60) as client:
            calls = (
                client.recommend(["用户3"]),
                client.recommend(["用户3"], k=11),
                client.predict("no such signature", {}),
            )
            return await asyncio.gather(*calls, return_exceptions=True)

    found, *refused = asyncio.run(ask())
    assert_same_items(found, models.recommended(["用户3"]))
    assert [type(error) for error in refused] == [RequestError] * 2
    assert [error.code for error in refused] == [
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.FAILED_PRECONDITION,
    ]


def test_a_task_that_is_cancelled_gives_its_request_up(meet):
    service, address = meet(2)

    async def ask():
        async with AsyncClient(address, "films", timeout=60) as client:
            task = asyncio.create_task(client.status())
            await asyncio.to_thread(service.asked.wait, 60)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return await asyncio.to_thread(service.given_up.wait, 60)

    assert asyncio.run(ask())


@pytest.mark.parametrize("name", [name for name in vars(Client) if not name.startswith("_")])
def test_both_clients_take_the_same(name):
    plain, awaited = getattr(Client, name), getattr(AsyncClient, name)
    assert inspect.iscoroutinefunction(awaited)
    assert inspect.signature(plain) == inspect.signature(awaited)

"""Concurrent requests: threads that share a `Client`, coroutines that share an `AsyncClient`."""

import asyncio
import copy
import inspect
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from clients import assert_same_items
from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

from tfllmrec_client import AsyncClient, Client, InputError, RequestError

HISTORIES = [["item1", "电影一"], [], ["🎬🍿", "a b|c", 'say "hi"'], ["unheard of"]]
USERS = ["用户3", "unknown", "", "用户5"] * 16


@pytest.fixture
def requests(models):
    """Users with histories, and the items that the recommender returns for each."""
    requests = [(user, HISTORIES[position % 3]) for position, user in enumerate(USERS)]
    users, histories = map(list, zip(*requests, strict=True))
    return requests, models.recommended(users, histories)


class WaitingService(model_service_pb2_grpc.ModelServiceServicer):
    """A service that responds when a number of requests run; it records that a request was cancelled."""

    def __init__(self, count):
        self.barrier = threading.Barrier(count)
        self.received, self.cancelled = threading.Event(), threading.Event()

    def GetModelStatus(self, request, context):  # noqa: N802
        context.add_callback(lambda: None if context.is_active() else self.cancelled.set())
        self.received.set()
        self.barrier.wait(60)
        return get_model_status_pb2.GetModelStatusResponse()


@pytest.fixture
def start_waiting():
    """Return a function that starts a server and returns its `WaitingService` and its address."""
    started = []

    def start(count):
        service, server = WaitingService(count), grpc.server(ThreadPoolExecutor(count))
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(service, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        started.append((service, server))
        return service, f"127.0.0.1:{port}"

    yield start
    for service, server in started:
        service.barrier.abort()
        server.stop(None)


def test_threads_share_a_client(server, requests):
    requests, expected = requests
    with Client(server.process.grpc_address, "films", timeout=60) as client, ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda request: client.recommend([request[0]], [request[1]])[0], requests))
    assert_same_items(results, expected)


def test_coroutines_share_a_client(server, requests):
    requests, expected = requests

    async def run():
        async with AsyncClient(server.process.grpc_address, "films", timeout=60) as client:
            return await asyncio.gather(*(client.recommend([user], [history]) for user, history in requests))

    assert_same_items([rows[0] for rows in asyncio.run(run())], expected)


def test_requests_of_coroutines_run_concurrently(start_waiting):
    _, address = start_waiting(5)

    async def run():
        async with AsyncClient(address, "films", timeout=60) as client:
            return await asyncio.gather(*(client.status() for _ in range(5)))

    assert asyncio.run(run()) == [{}] * 5


def test_a_client_that_is_made_before_its_loop_is_used_in_several_loops(server, models):
    client, expected = AsyncClient(server.process.grpc_address, "films", timeout=60), models.recommended(["用户3"])
    for _ in range(2):
        assert_same_items(asyncio.run(client.recommend(["用户3"])), expected)
    with ThreadPoolExecutor(4) as pool:
        for results in pool.map(lambda _: asyncio.run(client.recommend(["用户3"])), range(8)):
            assert_same_items(results, expected)
    assert len(client._channels) <= 4  # those of closed loops are forgotten
    asyncio.run(client.close())


def test_loops_keep_their_channels_while_others_run(server, models):
    """A call in a second loop does not break calls of the first."""
    client, expected = AsyncClient(server.process.grpc_address, "films", timeout=60), models.recommended(["用户3"])
    with asyncio.Runner() as first, asyncio.Runner() as second:
        for loop in (first, second, first, second):
            assert_same_items(loop.run(client.recommend(["用户3"])), expected)
        assert len(client._channels) == 2
        first.run(client.close())


def test_a_closed_client_is_refused(client_class, server):
    client = client_class(server.process.grpc_address, "films", timeout=60)
    client.status()
    for _ in range(2):  # closing again has no effect
        client.close()
    with pytest.raises(InputError, match=f"^client: the connection to {client.server} is closed; create another"):
        client.recommend(["用户3"])


@pytest.mark.parametrize("call", [pickle.dumps, copy.copy, copy.deepcopy])
@pytest.mark.parametrize("cls", [Client, AsyncClient])
def test_a_connection_is_not_pickled(cls, call, unserved_address):
    with pytest.raises(InputError, match=r"^client: a connection cannot be pickled or copied; create"):
        call(cls(unserved_address, "films"))


def test_failed_requests_do_not_affect_others(server, models):
    async def run():
        async with AsyncClient(server.process.grpc_address, "films", timeout=60) as client:
            calls = (
                client.recommend(["用户3"]),
                client.recommend(["用户3"], k=11),
                client.predict("no such signature", {}),
            )
            return await asyncio.gather(*calls, return_exceptions=True)

    results, *errors = asyncio.run(run())
    assert_same_items(results, models.recommended(["用户3"]))
    assert [type(error) for error in errors] == [RequestError] * 2
    assert [error.code for error in errors] == [
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.FAILED_PRECONDITION,
    ]


def test_cancelling_a_task_cancels_its_request(start_waiting):
    service, address = start_waiting(2)

    async def run():
        async with AsyncClient(address, "films", timeout=60) as client:
            task = asyncio.create_task(client.status())
            await asyncio.to_thread(service.received.wait, 60)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return await asyncio.to_thread(service.cancelled.wait, 60)

    assert asyncio.run(run())


@pytest.mark.parametrize("name", [name for name in vars(Client) if not name.startswith("_")])
def test_methods_of_both_clients_have_the_same_signature_and_documentation(name):
    blocking, awaitable = getattr(Client, name), getattr(AsyncClient, name)
    assert inspect.iscoroutinefunction(awaitable)
    assert inspect.signature(blocking) == inspect.signature(awaitable)
    assert blocking.__doc__ == awaitable.__doc__

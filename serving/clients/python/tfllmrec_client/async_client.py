"""Client for asyncio."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import grpc

from tfllmrec_client.client import Client
from tfllmrec_client.connection import Connection
from tfllmrec_client.rpc import Result, Rpc

Parameters = ParamSpec("Parameters")
Returned = TypeVar("Returned")


def _awaitable(
    method: Callable[Concatenate[Client, Parameters], Returned],
) -> Callable[Concatenate["AsyncClient", Parameters], Coroutine[Any, Any, Returned]]:
    """Turn a method of `Client` into a coroutine function with the same parameters and documentation.

    The methods of `Client` return what `_call` returns, which is a coroutine in an `AsyncClient`.
    """
    call: Callable[..., Any] = method

    @wraps(method)
    async def awaitable(self: "AsyncClient", /, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Returned:
        result: Returned = await call(self, *args, **kwargs)
        return result

    return awaitable


class AsyncClient(Connection):
    """Client for asyncio: it has the methods of `Client`, and each is awaited.

    Arguments, results and errors are those of `Client`. It may be created before an event loop runs, and used in
    several loops, one after the other or in threads: the first call in a loop opens a channel for it. If there are
    several servers, creating the client resolves their names, which blocks.

    Example:
        >>> async with AsyncClient("localhost:8500", "films") as client:
        ...     films, similar = await asyncio.gather(client.recommend(["42"]), client.similar_items(["260"]))
    """

    _transport = grpc.aio

    recommend = _awaitable(Client.recommend)
    next_items = _awaitable(Client.next_items)
    similar_items = _awaitable(Client.similar_items)
    rank = _awaitable(Client.rank)
    rank_texts = _awaitable(Client.rank_texts)
    interests = _awaitable(Client.interests)
    embed_queries = _awaitable(Client.embed_queries)
    embed_items = _awaitable(Client.embed_items)
    predict = _awaitable(Client.predict)
    status = _awaitable(Client.status)

    async def close(self) -> None:
        """Close the connection."""
        self._closed = True
        channel = self._channels.pop(asyncio.get_running_loop(), None)
        self._channels.clear()  # gRPC closes the channels of other loops with their last reference
        if channel is not None:
            await channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def _call(self, rpc: Rpc[Result], timeout: float | None) -> Result:
        channel = self._channel(self._running_loop())
        try:
            return rpc.parse(await channel.send(rpc, self._seconds(timeout)))
        except grpc.RpcError as error:
            raise self._request_error(error, timeout) from error

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        """Return the running loop, and forget the channels of closed loops."""
        for loop in list(self._channels):
            if loop is not None and loop.is_closed():
                self._channels.pop(loop, None)
        return asyncio.get_running_loop()

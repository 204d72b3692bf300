"""The client for programs that run on asyncio: as `Client`, and every call is awaited."""

from collections.abc import Sequence
from typing import Any, Self

import grpc
import numpy as np

from tfllmrec_client.calls import Answer, Call
from tfllmrec_client.connection import Connection
from tfllmrec_client.responses import RecommendedItem


class AsyncClient(Connection):
    """Asks one model of a model server over gRPC; arguments, answers and errors are those of `Client`.

    It is made in the event loop that uses it. Names of several servers are looked up meanwhile, which blocks.

    Example:
        >>> async with AsyncClient("localhost:8500", "films") as client:
        ...     films, near = await asyncio.gather(client.recommend(["42"]), client.similar_items(["260"]))
    """

    _transport = grpc.aio

    async def recommend(
        self,
        users: Sequence[str] | None = None,
        histories: Sequence[Sequence[str]] | None = None,
        k: int = 10,
        *,
        exclude: Sequence[Sequence[str]] | None = None,
        user_features: Sequence[Sequence[str]] | None = None,
        scenarios: Sequence[str] | None = None,
        timeout: float | None = None,
    ) -> list[list[RecommendedItem]]:
        """The k best items a row; see `Client.recommend`."""
        call = self._calls.recommend(users, histories, k, exclude, user_features, scenarios)
        return await self._ask(call, timeout)

    async def next_items(
        self,
        histories: Sequence[Sequence[str]],
        k: int = 10,
        *,
        exclude: Sequence[Sequence[str]] | None = None,
        timeout: float | None = None,
    ) -> list[list[RecommendedItem]]:
        """The k best items to follow each history; see `Client.next_items`."""
        return await self._ask(self._calls.next_items(histories, k, exclude), timeout)

    async def similar_items(
        self,
        items: Sequence[str],
        k: int = 10,
        *,
        exclude: Sequence[Sequence[str]] | None = None,
        timeout: float | None = None,
    ) -> list[list[RecommendedItem]]:
        """The k items nearest to each item; see `Client.similar_items`."""
        return await self._ask(self._calls.similar_items(items, k, exclude), timeout)

    async def rank(
        self,
        candidates: Sequence[Sequence[str]],
        users: Sequence[str] | None = None,
        histories: Sequence[Sequence[str]] | None = None,
        *,
        scenarios: Sequence[str] | None = None,
        timeout: float | None = None,
    ) -> list[list[float]]:
        """Scores of candidates; see `Client.rank`."""
        return await self._ask(self._calls.rank(candidates, users, histories, scenarios), timeout)

    async def rank_texts(
        self,
        candidates: Sequence[Sequence[str]],
        histories: Sequence[Sequence[str]],
        *,
        timeout: float | None = None,
    ) -> list[list[float]]:
        """Scores of raw texts; see `Client.rank_texts`."""
        return await self._ask(self._calls.rank_texts(candidates, histories), timeout)

    async def interests(
        self,
        users: Sequence[str] | None = None,
        histories: Sequence[Sequence[str]] | None = None,
        *,
        scenarios: Sequence[str] | None = None,
        texts: Sequence[Sequence[str]] | None = None,
        timeout: float | None = None,
    ) -> list[list[tuple[str, float]]]:
        """Labels and chances, the strongest first; see `Client.interests`."""
        return await self._ask(self._calls.interests(users, histories, scenarios, texts), timeout)

    async def predict(self, signature: str, /, timeout: float | None = None, **inputs: Any) -> dict[str, np.ndarray]:
        """The outputs of any signature by name; see `Client.predict`."""
        return await self._ask(self._calls.predict(signature, inputs), timeout)

    async def status(self, timeout: float | None = None) -> dict[int, str]:
        """The state of every version of the model; see `Client.status`."""
        return await self._ask(self._calls.status(), timeout)

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def _ask(self, call: Call[Answer], timeout: float | None) -> Answer:
        try:
            return call.read(await self._send(call, timeout))
        except grpc.RpcError as error:
            raise self._refusal(error, timeout) from error

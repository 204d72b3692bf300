"""Both clients behind one face, so that one test asks either, and how answers are compared."""

import asyncio

import numpy as np

from tfllmrec_client import AsyncClient, Client, ScoredItem


class BlockingAsyncClient:
    """An `AsyncClient` that is asked as a `Client` is: each call runs the loop until its answer is there."""

    _loop = asyncio.Runner()

    def __init__(self, *arguments, **options):
        async def make():
            return AsyncClient(*arguments, **options)

        self._client = self._loop.run(make())

    def __getattr__(self, name):
        found = getattr(self._client, name)
        return (lambda *asked, **options: self._loop.run(found(*asked, **options))) if callable(found) else found

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


CLIENTS = {"Client": Client, "AsyncClient": BlockingAsyncClient}


def assert_same_items(found, expected):
    """Rows of places, the scores as near as float32 sums are."""
    assert len(found) == len(expected)
    for places, wanted in zip(found, expected, strict=True):
        assert all(isinstance(place, ScoredItem) for place in places)
        assert [place[:2] for place in places] == [place[:2] for place in wanted]
        np.testing.assert_allclose([place[2] for place in places], [place[2] for place in wanted], 1e-4, 1e-5)

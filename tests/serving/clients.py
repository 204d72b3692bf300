"""Run a test with either client, and compare its items."""

import asyncio

import numpy as np

from tfllmrec_client import AsyncClient, Client, ScoredItem


class BlockingAsyncClient:
    """An `AsyncClient` with the interface of a `Client`: each call runs the event loop until it returns."""

    _loop = asyncio.Runner()

    def __init__(self, *arguments, **options):
        self._client = AsyncClient(*arguments, **options)

    def __getattr__(self, name):
        value = getattr(self._client, name)
        if not callable(value):
            return value
        return lambda *arguments, **options: self._loop.run(value(*arguments, **options))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


CLIENTS = {"Client": Client, "AsyncClient": BlockingAsyncClient}


def assert_same_items(results, expected):
    """Check that rows have the same ids and titles, and scores within the error of float32 sums."""
    assert len(results) == len(expected)
    for items, expected_items in zip(results, expected, strict=True):
        assert all(isinstance(item, ScoredItem) for item in items)
        assert [item[:2] for item in items] == [item[:2] for item in expected_items]
        np.testing.assert_allclose([item[2] for item in items], [item[2] for item in expected_items], 1e-4, 1e-5)

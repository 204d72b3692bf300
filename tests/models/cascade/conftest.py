"""A retriever that the tests of the cascade share."""

from collections.abc import Callable
from typing import Any

import pytest

from tfllmrec import Recommender
from tfllmrec.data import Split


@pytest.fixture(scope="module")
def chain(make: Callable[..., Any], split: Split) -> Recommender:
    """A retriever that reads more of a history than the other parts."""
    return make("markov_chain", history_length=6).fit(split.train)

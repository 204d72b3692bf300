"""Impressions and interactions made by hand."""

import pandas as pd
import pytest

from tfllmrec.data import pseudonyms
from tfllmrec.monitoring import Impressions
from tfllmrec.monitoring.impression import Impression

KEY = b"correct horse battery"
DAY = 86_400.0


@pytest.fixture
def impression():
    """Makes an impression: (user, day, items, label="stable", scores=None, version=None, **others)."""

    def make(user, day, items, label="stable", scores=None, version=None, **others):
        return Impression(
            **{"time": day * DAY, "model": "films", "signature": "retrieve"} | others,
            version=version or {"stable": 1, "canary": 2, "": 3}[label],
            label=label,
            user=pseudonyms([user], KEY)[0] if user else "",
            item_ids=list(items),
            scores=[float(-position) for position in range(len(items))] if scores is None else scores,
        )

    return make


@pytest.fixture
def log_of():
    """Makes `Impressions` of single impressions, ordered by time."""

    def make(impressions):
        table = pd.DataFrame([dict(impression) for impression in impressions], columns=list(Impression.model_fields))
        return Impressions(table.sort_values("time", kind="stable", ignore_index=True), 0)

    return make


@pytest.fixture
def interactions_of():
    """Makes a table of interactions: (user, item, day) each."""

    def make(*rows):
        table = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
        return table.assign(timestamp=table["timestamp"] * DAY)

    return make

"""Synthetic data set for the export and serving tests, with Chinese characters, emoji and quotes in ids."""

import numpy as np
import pandas as pd

from tfllmrec.data import Dataset

ITEMS = ["电影一", "🎬🍿", "a b|c", 'say "hi"', *(f"item{number}" for number in range(8))]
GREEDY = "🙂贪心"
"""A user with interactions with all items but the last two. The user "everything" has interactions with all items."""


def made_data() -> Dataset:
    """Return a data set of 12 items and 20 users: 18 with 2 to 7 items each, `GREEDY` and "everything"."""
    random = np.random.default_rng(1)
    histories = {f"用户{number}": random.choice(ITEMS, size=number % 6 + 2, replace=False) for number in range(18)}
    histories |= {GREEDY: ITEMS[:-2], "everything": ITEMS}
    rows = [(user, item, time) for user, history in histories.items() for time, item in enumerate(history)]
    items = pd.DataFrame({"item_id": ITEMS, "title": [f"Title of {item}" for item in ITEMS]})
    return Dataset.from_frames(pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]), items)

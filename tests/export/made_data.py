"""The data set the export tests are fitted on: ids in Chinese, emoji and quotes, users from new to sated."""

import numpy as np
import pandas as pd

from tfllmrec.data import Dataset

ITEMS = ["电影一", "🎬🍿", "a b|c", 'say "hi"', *(f"item{number}" for number in range(8))]
GREEDY = "🙂贪心"
"""A user who has had all items but the last two; the user "everything" has had those as well."""


def made_data() -> Dataset:
    """18 users with 2 to 7 of 12 items, and the two above."""
    random = np.random.default_rng(1)
    wanted = {f"用户{number}": random.choice(ITEMS, size=number % 6 + 2, replace=False) for number in range(18)}
    wanted |= {GREEDY: ITEMS[:-2], "everything": ITEMS}
    rows = [(user, item, time) for user, items in wanted.items() for time, item in enumerate(items)]
    items = pd.DataFrame({"item_id": ITEMS, "title": [f"Title of {item}" for item in ITEMS]})
    return Dataset.from_frames(pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]), items)

"""The data set that most suites share: ids in Chinese, emoji and quotes, users with few, many and all items."""

import numpy as np
import pandas as pd

from tfllmrec.data import Dataset

ITEMS = ["电影一", "🎬🍿", "a b|c", 'say "hi"', *(f"item{number}" for number in range(8))]
COLD = ITEMS[-1]
"""An item without interactions."""
GREEDY = "🙂贪心"
"""A user with interactions with all items but the last two."""
EVERYTHING = "everything"
"""A user with interactions with all items but `COLD`."""
NEWCOMER = "newcomer"
"""A user without interactions."""
SCENARIOS = ["书", "films"]


def small_data() -> Dataset:
    """Return the training part of a data set of 12 items and 22 users.

    There are 18 users with 2 to 7 items each, one with an emoji of several code points, `GREEDY`, `EVERYTHING` and
    `NEWCOMER`. The first items are the most popular ones.
    """
    random = np.random.default_rng(1)
    weights = np.linspace(3, 1, len(ITEMS) - 1)
    sizes = {f"用户{number}": number % 6 + 2 for number in range(18)} | {"👨‍🍳": 5}
    histories = {
        user: random.choice(ITEMS[:-1], size, replace=False, p=weights / weights.sum()) for user, size in sizes.items()
    }
    histories |= {GREEDY: ITEMS[:-2], EVERYTHING: ITEMS[:-1], NEWCOMER: [COLD]}
    rows = [(user, item, time) for user, items in histories.items() for time, item in enumerate(items)]
    items = pd.DataFrame({"item_id": ITEMS, "title": [f"Title of {item}" for item in ITEMS]})
    data = Dataset.from_frames(pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]), items)
    return data.keep((data.interactions["user_id"] != NEWCOMER).to_numpy())


def small_scenarios() -> Dataset:
    """Return `small_data` in two scenarios that share an item, with ratings, categories, and texts of some users."""
    data, other = small_data(), dict(zip(SCENARIOS, SCENARIOS[::-1], strict=True))
    table = data.interactions.assign(scenario=[SCENARIOS[number % 2] for number in data.item_indices])
    shared = table[table["item_id"] == "item1"]
    table = pd.concat([table, shared.assign(scenario=shared["scenario"].map(other))])
    table["rating"] = 1.0 + np.arange(len(table)) % 5
    table["text"] = ["film 电影" if number % 3 == 0 else "" for number in range(len(table))]
    items = data.items.assign(categories=[("odd", "even|偶")[number % 2] for number in range(len(data.items))])
    return Dataset.from_frames(table, items)

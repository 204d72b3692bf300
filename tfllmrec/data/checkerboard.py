"""Synthetic data set with one correct recommendation per user, for tests and first steps."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tfllmrec.data.dataset import Dataset
from tfllmrec.errors import InputError


@dataclass(frozen=True, eq=False)
class Checkerboard:
    """Checkerboard data and the correct recommendation for every user.

    Attributes:
        data: even users with even items, odd users with odd items.
        answers: for each user_id the item_id of the user's colour that is missing from the user's history.
    """

    data: Dataset
    answers: dict[str, str]


def checkerboard(users: int = 40, items: int = 20, seed: int = 0) -> Checkerboard:
    """Create data in which even users like even items, odd users like odd items, and each user lacks one item.

    With seen items filtered, the missing item is the only correct recommendation. A model that ignores the user cannot
    find it: every item is missing equally often, so all items are equally popular. The order of a user's items is
    random and carries no information. Titles and categories name the colour.

    Args:
        users: number of users, a multiple of `items`.
        items: number of items, even and at least 8, so that every user has the three interactions that leave-one-out
            needs.
        seed: of the order and of the missing items.

    Raises:
        InputError: If `users` or `items` is invalid.

    Example:
        >>> board = checkerboard(users=8, items=8)
        >>> board.data.summary()
        {'interactions': 24, 'users': 8, 'items': 8}
        >>> sorted(board.answers.values())
        ['i0', 'i1', 'i2', 'i3', 'i4', 'i5', 'i6', 'i7']
    """
    if items < 8 or items % 2 or users < items or users % items:
        raise InputError(
            f"checkerboard: {users} users and {items} items do not make a balanced board; give an even number of at "
            "least 8 items and a multiple of it as users"
        )
    generator = np.random.default_rng(seed)
    user_ids, item_ids = _ids("u", users), _ids("i", items)
    rows: list[tuple[str, str, int]] = []
    answers = {}
    for colour in (0, 1):
        missing_items = generator.permutation(np.tile(np.arange(colour, items, 2), users // items))
        for user, missing in zip(range(colour, users, 2), missing_items, strict=True):
            answers[user_ids[user]] = item_ids[missing]
            order = [item for item in generator.permutation(np.arange(colour, items, 2)) if item != missing]
            rows += [(user_ids[user], item_ids[item], step * users + user) for step, item in enumerate(order)]
    colours = [("even", "odd")[item % 2] for item in range(items)]
    table = pd.DataFrame(
        {
            "item_id": item_ids,
            "title": [f"{colour} item {item}" for item, colour in enumerate(colours)],
            "categories": colours,
        }
    )
    interactions = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    return Checkerboard(Dataset.from_frames(interactions, table), answers)


def _ids(letter: str, count: int) -> list[str]:
    """Return zero-padded ids, which sort as their numbers do."""
    width = len(str(count - 1))
    return [f"{letter}{number:0{width}d}" for number in range(count)]

"""A made data set whose one right answer is known, for tests and first steps."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tfllmrec.data.dataset import Dataset
from tfllmrec.errors import InputError


@dataclass(frozen=True, eq=False)
class Checkerboard:
    """The data, and for every user the one item to recommend.

    Attributes:
        data: even users with even items, odd users with odd items.
        answers: user_id to the item_id of the user's colour that the user lacks.
    """

    data: Dataset
    answers: dict[str, str]


def checkerboard(users: int = 40, items: int = 20, seed: int = 0) -> Checkerboard:
    """Even users like even items, odd users odd ones, and every user has had all of their colour but one.

    With seen items filtered the item left out is the only right recommendation. Who ignores the users cannot
    know it: every item is left out equally often, so all are equally popular. The order of a user's items is
    random, so it tells nothing either. Titles and categories name the colour.

    Args:
        users: a multiple of `items`.
        items: even, at least 8 (three interactions a user, which leave-one-out needs).
        seed: of the order and of who lacks what.

    Raises:
        InputError: `users` or `items` is not as above.

    Example:
        >>> board = checkerboard(users=8, items=8)
        >>> board.data.summary()
        {'interactions': 24, 'users': 8, 'items': 8}
        >>> sorted(board.answers.values())
        ['i0', 'i1', 'i2', 'i3', 'i4', 'i5', 'i6', 'i7']
    """
    if items < 8 or items % 2 or users < items or users % items:
        raise InputError(
            f"checkerboard: {users} users and {items} items make no balanced board; take an even number of "
            "at least 8 items and a multiple of it as users"
        )
    random = np.random.default_rng(seed)
    user_ids, item_ids = _names("u", users), _names("i", items)
    rows: list[tuple[str, str, int]] = []
    answers = {}
    for colour in (0, 1):
        missing = random.permutation(np.tile(np.arange(colour, items, 2), users // items))
        for user, left_out in zip(range(colour, users, 2), missing, strict=True):
            answers[user_ids[user]] = item_ids[left_out]
            order = [item for item in random.permutation(np.arange(colour, items, 2)) if item != left_out]
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


def _names(letter: str, count: int) -> list[str]:
    """Ids that sort as their numbers do."""
    width = len(str(count - 1))
    return [f"{letter}{number:0{width}d}" for number in range(count)]

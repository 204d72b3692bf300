"""Checkerboard data: exactly one correct recommendation per user."""

import pytest

from tfllmrec.data import checkerboard, leave_one_out
from tfllmrec.errors import InputError


@pytest.fixture(scope="module")
def board():
    return checkerboard()


def test_each_user_lacks_exactly_one_item_of_their_colour(board):
    assert len(board.answers) == 40
    for user, rows in board.data.interactions.groupby("user_id"):
        colour = {
            item for item in board.data.item_vocabulary.ids(range(1, 21)) if int(item[1:]) % 2 == int(user[1:]) % 2
        }
        assert len(rows) == 9
        assert colour - set(rows["item_id"]) == {board.answers[user]}


def test_all_items_are_equally_popular(board):
    assert set(board.data.item_counts[1:]) == {18}
    assert set(board.answers.values()) == set(board.data.item_vocabulary.tokens[1:])


def test_times_increase_and_orders_differ(board):
    table = board.data.interactions
    assert table["timestamp"].is_unique
    assert table.groupby("user_id")["timestamp"].is_monotonic_increasing.all()
    orders = table.groupby("user_id")["item_id"].agg(tuple)
    assert orders.nunique() == 40
    assert any(list(order) != sorted(order) for order in orders)


def test_data_depend_on_the_seed(board):
    assert checkerboard().answers == board.answers
    assert checkerboard().data.interactions.equals(board.data.interactions)
    assert checkerboard(seed=1).answers != board.answers


def test_smallest_board_can_be_split():
    assert len(leave_one_out(checkerboard(8, 8).data).test) == 8


def test_titles_and_categories_name_the_colour(board):
    items = board.data.items.set_index("item_id")
    assert items.loc["i03"].to_dict() == {"title": "odd item 3", "categories": "odd"}


@pytest.mark.parametrize(("users", "items"), [(40, 19), (30, 20), (10, 20), (8, 6), (0, 8), (0, 0)])
def test_unbalanced_sizes_are_refused(users, items):
    with pytest.raises(InputError, match=f"{users} users and {items} items do not make a balanced board"):
        checkerboard(users, items)

"""Requests for the model `films`, used by several test modules over gRPC and REST."""

from small_data import GREEDY, ITEMS

VALID = {"user_id": ["用户3", ""], "history": [["item1"], [""]], "exclude_item_ids": [["item2"], ["电影一"]]}
INPUTS = {
    "serving_default": VALID,
    "retrieve": VALID,
    "retrieve_ids": {"user": [1, 0], "history": [[3, 5, 0, 0], [0] * 4], "exclude": [[2, 3], [1, 0]]},
    "embed_query": {"user_id": VALID["user_id"], "history": VALID["history"]},
    "embed_items": {"item_ids": ["电影一", "unheard of", "item7"]},
    "similar_items": {"item_id": ["电影一", "🎬🍿"], "exclude_item_ids": [["item7"], [""]]},
}
PREDICT = "/v1/models/films:predict"
ROWS = [
    {"user_id": "用户3", "history": ["item1", "电影一"], "exclude_item_ids": ["item2"]},
    {"user_id": "", "history": ['say "hi"', ""], "exclude_item_ids": ["🎬🍿"]},
    {"user_id": "unknown", "history": ["", ""], "exclude_item_ids": [""]},
    {"user_id": GREEDY, "history": ["", ""], "exclude_item_ids": ["item7"]},
]
COLUMNS = {name: [row[name] for row in ROWS] for name in ROWS[0]}
CASES = {
    "retrieve": COLUMNS,
    "retrieve_ids": {"user": [1, 0], "history": [[3, 5, 0, 0], [0] * 4], "exclude": [[2, 3], [1, 0]]},
    "embed_query": {name: COLUMNS[name] for name in ("user_id", "history")},
    "embed_items": {"item_ids": ["电影一", "unheard of", "item7"]},
    "similar_items": {"item_id": ITEMS, "exclude_item_ids": [["item7"]] * len(ITEMS)},
}


def assert_error(response, code, *words):
    """Check the status of a REST response, and that its error is one line with all words."""
    status, body = response
    assert status == code, body
    assert body.keys() == {"error"}
    assert body["error"].strip()
    assert len(body["error"].splitlines()) == 1, body
    assert not [word for word in words if word not in body["error"]], body

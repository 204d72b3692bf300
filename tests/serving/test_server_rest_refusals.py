"""Requests that the REST interface refuses, with a status and one line of JSON."""

from urllib.parse import quote

import pytest
from film_requests import CASES, COLUMNS, PREDICT, ROWS, assert_error

ROW = ROWS[0]
FIRST = {name: values[:1] for name, values in COLUMNS.items()}
BODIES = {
    "empty": b"",
    "not JSON": b"user_id=1",
    "incomplete JSON": b'{"instances": [',
    "not UTF-8": b"\xff\xfe\xfd",
    "a list": [ROW],
    "a string": "instances",
    "a number": 7,
    "null": None,
    "neither": {"signature_name": "retrieve"},
    "both": {"instances": [ROW], "inputs": FIRST},
    "both, one of them null": {"instances": [ROW], "inputs": None},
    "no rows": {"instances": []},
    "an object for rows": {"instances": ROW},
    "null for rows": {"instances": None},
    "null for columns": {"inputs": None},
    "rows for columns": {"inputs": [ROW]},
    "bare values for three inputs": {"instances": ["用户3"]},
    "a bare tensor for three inputs": {"inputs": ["用户3"]},
    "ragged rows": {"instances": [ROW, ROW | {"history": ["item1"]}]},
    "ragged columns": {"inputs": COLUMNS | {"history": [["a"], ["a", "b"], [], ["a"]]}},
    "a string before a list": {"inputs": FIRST | {"history": [["a", ["b"]]]}},
    "a list before a string": {"inputs": FIRST | {"history": [[["b"], "a"]]}},
    "a number for a string": {"instances": [ROW | {"user_id": 3}]},
    "true for a string": {"instances": [ROW | {"user_id": True}]},
    "null for a string": {"instances": [ROW | {"user_id": None}]},
    "an object for a string": {"instances": [ROW | {"user_id": {"id": "3"}}]},
    "a string for a list": {"instances": [ROW | {"history": "item1"}]},
    "a list for a string": {"instances": [ROW | {"user_id": ["用户3"]}]},
    "invalid base64": {"instances": [ROW | {"user_id": {"b64": "!"}}]},
    "a missing key": {"instances": [{name: ROW[name] for name in ("user_id", "history")}]},
    "a missing column": {"inputs": {name: FIRST[name] for name in ("user_id", "history")}},
    "an extra key": {"instances": [ROW | {"k": 10}]},
    "an extra column": {"inputs": FIRST | {"k": [10]}},
    "an extra key in the second row": {"instances": [ROW, ROW | {"k": 10}]},
    "a string as the second row": {"instances": [ROW, "row"]},
    "unequal columns": {"inputs": FIRST | {"user_id": ["a", "b"]}},
    "unknown signature": {"signature_name": "retrieved", "instances": [ROW]},
    "a number for a signature": {"signature_name": 1, "instances": [ROW]},
    "null for a signature": {"signature_name": None, "instances": [ROW]},
    "a lone surrogate": b'{"instances": [{"user_id": "\\ud800", "history": ["a"], "exclude_item_ids": [""]}]}',
    "a lone surrogate in a list": b'{"instances": [{"user_id": "", "history": ["\\udfff"], "exclude_item_ids": [""]}]}',
    "a lone surrogate as a key": b'{"inputs": {"\\ud800": ["a"]}}',
    "a lone surrogate as a signature": b'{"signature_name": "\\ud800", "inputs": {}}',
    "deep lists": b"[" * 100_000,
    "closed deep lists": b"[" * 100_000 + b"]" * 100_000,
    "deep lists as rows": b'{"instances": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep objects": b'{"instances": ' + b'{"a":' * 100_000,
    "many dimensions": b'{"instances": ' + b"[" * 500 + b"]" * 500 + b"}",
    "many dimensions of one input": b'{"signature_name": "embed_items", "inputs": ' + b"[" * 50 + b"]" * 50 + b"}",
    "a fraction for an index": {
        "signature_name": "retrieve_ids",
        "inputs": CASES["retrieve_ids"] | {"user": [1.5, 2]},
    },
    "true for an index": {"signature_name": "retrieve_ids", "inputs": CASES["retrieve_ids"] | {"user": [True, 2]}},
    "a number beyond int32": {"signature_name": "retrieve_ids", "inputs": CASES["retrieve_ids"] | {"user": [2**31, 2]}},
    "a number beyond 64 bits": {
        "signature_name": "retrieve_ids",
        "inputs": CASES["retrieve_ids"] | {"user": [10**40, 2]},
    },
    "a number of 5000 digits": b'{"inputs": ' + b"9" * 5000 + b"}",
    "not a number": b'{"signature_name": "retrieve_ids", "inputs": {"user": [NaN], "history": [[0,0,0,0]], '
    b'"exclude": [[0]]}}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_invalid_bodies_are_refused(server, assert_serves, body):
    body = b"null" if body is None else body
    assert_error(server.http(PREDICT, body), 400)
    assert_serves()


@pytest.mark.parametrize("key", ["a\nb", "🎬", "\0", "\r\n\r\n"])
def test_an_error_with_a_quoted_name_is_one_line(server, key):
    assert_error(server.http(PREDICT, {"inputs": {key: ["a"]}}), 400)
    assert_error(server.http(PREDICT, {"signature_name": key, "instances": [ROW]}), 400)
    assert_error(server.http(f"/v1/models/{quote(key, safe='')}:predict", {"instances": [ROW]}), 404)


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("POST", "/v1/models/filmz:predict", 404),
        ("POST", "/v1/models/Films:predict", 404),
        ("POST", "/v1/models/films/versions/3:predict", 404),
        ("POST", "/v1/models/films/versions/0:predict", 404),
        ("POST", f"/v1/models/films/versions/{2**63 - 1}:predict", 404),
        ("POST", f"/v1/models/films/versions/{2**63}:predict", 400),
        ("POST", f"/v1/models/films/versions/{'9' * 5000}:predict", 400),
        ("POST", "/v1/models/films/versions/-1:predict", 400),
        ("POST", "/v1/models/films/versions/one:predict", 400),
        ("POST", "/v1/models/films/versions/:predict", 400),
        ("POST", "/v1/models/films/labels/beta:predict", 400),
        ("POST", "/v1/models/films/labels/Stable:predict", 400),
        ("POST", "/v1/models/films/labels/:predict", 400),
        ("POST", "/v1/models/films/versions/1/labels/stable:predict", 400),
        ("POST", "/v1/models/broken:predict", 404),
        ("POST", "/v1/models/:predict", 400),
        ("POST", "/v1/models/films", 400),
        ("POST", "/v1/models/films/metadata", 400),
        ("POST", "/v1/models/films:recommend", 400),
        ("POST", "/v1/models/films:PREDICT", 400),
        ("POST", "/v1/models/films:Predict", 400),
        ("POST", "/v1/models/films/versions/%D9%A1:predict", 400),
        ("POST", "/v1/models/films:predict/", 400),
        ("POST", "/nonsense", 404),
        ("GET", "/v1/models/films:predict", 400),
        ("PUT", "/v1/models/films:predict", 400),
        ("DELETE", "/v1/models/films", 400),
        ("GET", "/v1/models/filmz", 404),
        ("GET", "/v1/models/filmz/metadata", 404),
        ("GET", "/v1/models/films/versions/3", 404),
        ("GET", "/v1/models/films/versions/3/metadata", 404),
        ("GET", "/v1/models/films/labels/beta", 400),
        ("GET", "/v1/models/films/labels/beta/metadata", 400),
        ("GET", "/v1/models/broken/metadata", 404),
        ("GET", "/v1/models/films/metadata/", 400),
        ("GET", "/v1/models/films/", 400),
        ("GET", "/v1/models/", 400),
        ("GET", "/v1/models", 400),
        ("GET", "/v1/nonsense", 400),
        ("GET", "/nonsense", 404),
        ("GET", "/", 404),
        ("GET", "/v2/models/films", 404),
        ("GET", "/v1/models/%F0%9F%8E%AC", 404),
        ("GET", "/v1/models/%FF%FE", 404),
        ("GET", "/v1/models/%00", 404),
    ],
)
def test_unknown_paths_are_refused(server, assert_serves, method, path, code):
    body = {"instances": [ROW]} if method in ("POST", "PUT") else None
    assert_error(server.http(path, body, method), code)
    assert_serves()


def test_a_refusal_does_not_show_python_values(server):
    assert "None" not in server.http("/v1/models/broken:predict", {"instances": [ROW]})[1]["error"]


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("filmz", "Servable not found for request: Latest(filmz)"),
        ("films/versions/7", "Servable not found for request: Specific(films, 7)"),
        ("films/labels/beta", "Unrecognized servable version label: beta"),
    ],
)
def test_a_refusal_lists_no_other_models(server, path, sentence):
    assert server.http(f"/v1/models/{path}:predict", {"instances": [ROW]})[1] == {"error": sentence}

"""JSON bodies: maximum depth, and time to refuse malformed bodies."""

import json

import pytest

from tfllmrec.serving.json_bodies import read_object
from tfllmrec_client.status import RequestError

MAX_DEPTH = 100


def nested(depth, inside="1"):
    return ('{"a": ' + "[" * (depth - 1) + inside + "]" * (depth - 1) + "}").encode()


@pytest.mark.parametrize("text", ["[" * 300, '\\"[[' * 200, "]" * 300, "\\\\" * 3, "[\\\\"])
def test_brackets_in_strings_do_not_count_as_depth(text):
    body = f'{{"a": ["{text}", "{text}"], "b": {json.dumps([[1]] * 200)}}}'.encode()
    assert read_object(body) == json.loads(body)


def test_the_depth_is_limited():
    assert read_object(nested(MAX_DEPTH)) == json.loads(nested(MAX_DEPTH))
    with pytest.raises(RequestError, match="deeper than 100"):
        read_object(nested(MAX_DEPTH + 1))


@pytest.mark.parametrize(
    "body", [b"[" * 10**6, b'{"a":' * 10**6, b'["\\"' * 10**5, b'{"a": "' + b"\\" * 10**6, b'"' * 10**6]
)
def test_a_body_without_end_is_refused_quickly(body):
    with pytest.raises(RequestError, match="the body is"):
        read_object(body)

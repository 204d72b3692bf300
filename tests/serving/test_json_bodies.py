"""What a body of JSON may be."""

import json

import pytest

from tfllmrec.serving.json_bodies import read_object
from tfllmrec_client.status import RequestError

DEEPEST = 100


def nested(depth, inside="1"):
    return ('{"a": ' + "[" * (depth - 1) + inside + "]" * (depth - 1) + "}").encode()


@pytest.mark.parametrize("text", ["[" * 300, '\\"[[' * 200, "]" * 300, "\\\\" * 3, "[\\\\"])
def test_brackets_in_strings_are_no_depth(text):
    body = f'{{"a": ["{text}", "{text}"], "b": {json.dumps([[1]] * 200)}}}'.encode()
    assert read_object(body) == json.loads(body)


def test_as_deep_as_may_be():
    assert read_object(nested(DEEPEST)) == json.loads(nested(DEEPEST))
    with pytest.raises(RequestError, match="deeper than 100"):
        read_object(nested(DEEPEST + 1))


@pytest.mark.parametrize(
    "body", [b"[" * 10**6, b'{"a":' * 10**6, b'["\\"' * 10**5, b'{"a": "' + b"\\" * 10**6, b'"' * 10**6]
)
def test_what_has_no_end_is_refused_in_no_time(body):
    with pytest.raises(RequestError, match="the body is"):
        read_object(body)

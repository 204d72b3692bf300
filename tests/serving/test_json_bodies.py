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
    with pytest.raises(RequestError, match=r"^JSON Parse error: "):
        read_object(body)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "The document is empty"),
        (b"{", "Expecting property name enclosed in double quotes"),
        (b'{"a": 1,}', ""),
        (b'{"a": 01}', "Expecting ',' delimiter"),
        (b'{"a": "\n"}', "Invalid control character"),
        (b"// comment\n{}", "Expecting value"),
        (b"{} more", "Extra data"),
        (b'{"a": "\xff"}', "'utf-8' codec can't decode"),
        ('{"a": 1}'.encode("utf-16"), "'utf-8' codec can't decode"),
        ('{"a": 1}'.encode("utf-16-le"), ""),
        (b'{"a": 1, "a": 1}', "key 'a' occurs twice"),
        (b'{"instances": [{"a": 1, "b": 2, "b": 3}]}', "key 'b' occurs twice"),
        (b'{"a": "\\ud800"}', "'utf-8' codec can't encode"),
        (b'{"a": ["x\\uDFFFy"]}', "'utf-8' codec can't encode"),
        (b'{"\\uD83D": 1}', "'utf-8' codec can't encode"),
        (b'{"a": "\\uDE00\\uD83D"}', "'utf-8' codec can't encode"),
        (b'{"a": ' + b"9" * 5000 + b"}", "Exceeds the limit"),
    ],
)
def test_a_body_that_is_not_json_is_refused(body, sentence):
    with pytest.raises(RequestError, match=f"^JSON Parse error: {sentence}"):
        read_object(body)


@pytest.mark.parametrize("text", ["[1, 2.5]", '"instances"', "7", "null", "true", "NaN"])
def test_a_body_that_is_not_an_object_is_refused(text):
    with pytest.raises(RequestError) as error:
        read_object(text.encode())
    assert str(error.value) == f"JSON Value: {text} Is not object"


def test_a_long_body_is_quoted_in_part():
    body = json.dumps([0] * 10**6)
    with pytest.raises(RequestError) as error:
        read_object(body.encode())
    assert str(error.value) == f"JSON Value: {body[:256]} Is not object".replace("  ", " ")


@pytest.mark.parametrize("body", [b'\xef\xbb\xbf{"a": 1}', b' \t\r\n{"a": 1}\n', b'{"a": 1}'])
def test_a_byte_order_mark_and_spaces_are_ignored(body):
    assert read_object(body) == {"a": 1}


def test_escaped_surrogate_pairs_are_characters():
    assert read_object(b'{"a": "\\ud83d\\ude00", "b": "\\\\ud83d"}') == {"a": "\U0001f600", "b": "\\ud83d"}

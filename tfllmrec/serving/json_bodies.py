"""The body of a REST request: a JSON object, not nested deeper than any tensor."""

import json
import re
from typing import Any

import numpy as np

from tfllmrec_client.status import invalid

_DEEPEST = 100
"""NumPy's arrays have at most 64 dimensions."""
_STRINGS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_STEPS = np.zeros(256, np.int8)
_STEPS[list(b"[{")], _STEPS[list(b"]}")] = 1, -1


def read_object(body: bytes) -> dict[str, Any]:
    """The object in a body.

    It is looked at before it is parsed, for a parser in the deepest recursion that is allowed leaves nothing to
    whatever Python has to tidy up in that moment.

    Raises:
        RequestError: INVALID_ARGUMENT, the body is no JSON, no object or too deep.
    """
    if _depth(body) > _DEEPEST:
        raise invalid(f"the body is nested deeper than {_DEEPEST} brackets: no tensor has so many dimensions")
    try:
        request = json.loads(body)
    except ValueError as error:  # UnicodeDecodeError is a ValueError
        raise invalid(f"the body is no JSON: {error}") from error
    if not isinstance(request, dict):
        raise invalid("the body must be a JSON object with 'instances', 'inputs' or 'examples'")
    return request


def _depth(body: bytes) -> int:
    """How many brackets stand open at most, strings left out."""
    if body.count(b"[") + body.count(b"{") <= _DEEPEST:
        return 0
    marks = np.frombuffer(_STRINGS.sub(b"", body), np.uint8)
    return int(np.cumsum(_STEPS[marks], dtype=np.int32).max(initial=0))

"""Request bodies of the REST interface: a JSON object of limited depth."""

import json
import re
from typing import Any

import numpy as np

from tfllmrec_client.status import invalid

_MAX_DEPTH = 100
"""NumPy arrays have at most 64 dimensions."""
_STRINGS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_DEPTH_STEPS = np.zeros(256, np.int8)
_DEPTH_STEPS[list(b"[{")], _DEPTH_STEPS[list(b"]}")] = 1, -1


def read_object(body: bytes) -> dict[str, Any]:
    """Parse the JSON object in a body.

    The depth is checked before parsing: at the recursion limit, the parser would leave no stack to finalizers that
    Python may run at that moment.

    Raises:
        RequestError: INVALID_ARGUMENT, if the body is not JSON, not an object, or nested too deeply.
    """
    if _depth(body) > _MAX_DEPTH:
        raise invalid(f"the body is nested deeper than {_MAX_DEPTH} brackets, beyond the dimensions of any tensor")
    try:
        request = json.loads(body)
    except ValueError as error:  # UnicodeDecodeError is a ValueError
        raise invalid(f"the body is not valid JSON: {error}") from error
    if not isinstance(request, dict):
        raise invalid("the body must be a JSON object with 'instances', 'inputs' or 'examples'")
    return request


def _depth(body: bytes) -> int:
    """Return the maximum number of open brackets outside strings."""
    if body.count(b"[") + body.count(b"{") <= _MAX_DEPTH:
        return 0
    characters = np.frombuffer(_STRINGS.sub(b"", body), np.uint8)
    return int(np.cumsum(_DEPTH_STEPS[characters], dtype=np.int32).max(initial=0))

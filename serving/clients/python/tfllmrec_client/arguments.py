"""Checks of single arguments: a sentence with the call, the argument, and what to pass."""

import math
from numbers import Integral, Real
from typing import Any

from tfllmrec_client.errors import InputError
from tfllmrec_client.lists import in_one_line


def require_type(call: str, name: str, value: object, kind: type | tuple[type, ...], advice: str) -> None:
    """Check the type of an argument.

    Args:
        call: the function that was called.
        name: the argument.
        value: its value.
        kind: the types that it may have. True and False are not numbers; name `bool` to allow them.
        advice: what to pass, such as "pass a whole number".

    Raises:
        InputError: If the value has another type.
    """
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        is_scalar = value is None or isinstance(value, str | bytes | bool | Real)
        shown = in_one_line(value) if is_scalar else f"of type {type(value).__name__}"
        raise InputError(f"{call}: {name} is {shown}; {advice}")


def positive_integer(call: str, name: str, value: Any) -> int:
    """Return a whole number of any integer type, which is at least 1.

    Raises:
        InputError: If the value is not a whole number, or below 1.
    """
    require_type(call, name, value, Integral, "pass a whole number")
    if value < 1:
        raise InputError(f"{call}: {name} is {value}, and must be at least 1")
    return int(value)


def seconds(call: str, name: str, value: Any) -> float:
    """Return a number of seconds above 0.

    Raises:
        InputError: If the value is not a number, not above 0, or not finite.
    """
    advice = "pass a number of seconds above 0"
    require_type(call, name, value, Real, advice)
    if not 0 < value < math.inf:
        raise InputError(f"{call}: {name} is {value}; {advice}")
    return float(value)

"""Lists of anything that can be iterated, also once: generators, arrays and columns of tables."""

from collections.abc import Iterable, Mapping
from typing import Any

_TO_LIST = ("tolist", "to_pylist", "to_list", "as_py")
"""Methods that return Python's own objects: of NumPy and pandas, PyArrow's arrays, Polars, and PyArrow's scalars."""


def elements_of(value: Any) -> Iterable[Any] | None:
    """Return the elements of an iterable, with those of arrays and columns as Python's own objects.

    Returns:
        An iterable, or None for strings, mappings, tables, sets, which have no order, and other values.
    """
    if is_table(value):
        return None
    convert = next((getattr(value, name) for name in _TO_LIST if hasattr(value, name)), None)
    elements = value if convert is None else convert()
    is_list = isinstance(elements, Iterable) and not isinstance(elements, str | bytes | Mapping | set | frozenset)
    return elements if is_list else None


def is_table(value: Any) -> bool:
    """Return whether a value is a table, which would be iterated by the names of its columns."""
    return hasattr(type(value), "columns")


def nested_lists(value: Any) -> Any:
    """Return iterables in iterables as lists in lists, and anything else unchanged."""
    elements = elements_of(value)
    return value if elements is None else [nested_lists(element) for element in elements]


def in_one_line(value: Any) -> str:
    """Return the beginning of a value's representation for a message."""
    return " ".join(repr(value).split())[:99]

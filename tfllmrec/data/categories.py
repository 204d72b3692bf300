"""Categories of items: labels separated by `|`, from text, lists or JSON."""

import json
import re
from collections.abc import Iterable, Mapping, Set
from typing import Any

import numpy as np
import pandas as pd

from tfllmrec.data.text_columns import read_texts, text_of
from tfllmrec.errors import InputError

SEPARATOR = "|"
_QUOTED = r"'[^'\\]*'|\"[^\"\\]*\""
_PRINTED_LIST = re.compile(rf"\[\s*(?:{_QUOTED})(?:[,\s]+(?:{_QUOTED}))*\s*\]")
"""A list as Python and NumPy print it, which CSV writers do; NumPy writes no commas."""


def read_categories(values: pd.Series, name: str) -> pd.Series:
    """Return the categories of items as text such as "Drama|War".

    Args:
        values: text, text of lists (JSON, or as Python and NumPy print them), or lists, tuples, sets or arrays of
            labels.
        name: table and column, for messages, such as "items: column categories".

    Returns:
        Strings, objects [n]; "" for missing values and empty lists.

    Raises:
        InputError: If a label in a list contains the separator, or is not text or a number.

    Example:
        >>> list(read_categories(pd.Series([["Drama", "War"], '["War"]', None]), "column"))
        ['Drama|War', 'War', '']
    """
    return read_labels(values.astype(object).map(_parsed, na_action="ignore"), name)


def read_labels(values: pd.Series, name: str) -> pd.Series:
    """Return text, numbers and lists of labels as text, without parsing lists in text; see `read_categories`."""
    return read_texts(values.astype(object).map(lambda value: _joined(value, name), na_action="ignore"), name)


def _parsed(value: Any) -> Any:
    """Return a list in text as a list, other values unchanged."""
    if not isinstance(value, str) or not value.lstrip().startswith("["):
        return value
    if _PRINTED_LIST.fullmatch(value.strip()):
        return [label[1:-1] for label in re.findall(_QUOTED, value)]
    try:
        return json.loads(value)
    except ValueError:
        return value  # text with brackets


def _joined(value: Any, name: str) -> Any:
    """Join lists of labels; return other values unchanged."""
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        return value
    labels = [_label(label, name) for label in _ordered(value) if not _is_missing(label)]
    with_separator = [label for label in labels if SEPARATOR in label]
    if with_separator:
        raise InputError(f"{name} has a label {with_separator[0]!r} with the separator {SEPARATOR}: rename the label")
    return SEPARATOR.join(label for label in labels if label)


def _ordered(labels: Iterable[Any]) -> Iterable[Any]:
    return sorted(labels, key=str) if isinstance(labels, Set) else labels


def _is_missing(label: Any) -> bool:
    return label is None or label is pd.NA or (isinstance(label, float | np.floating) and np.isnan(label))


def _label(label: Any, name: str) -> str:
    try:
        return text_of(label).strip()
    except ValueError as error:
        raise InputError(f"{name} has the label {label!r:.60}, {error}") from error

"""Checks of the arguments of a recommender's calls."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from tfllmrec.arguments import require_type
from tfllmrec.data.splits import Targets
from tfllmrec.errors import InputError


def require_targets(call: str, name: str, value: Any) -> None:
    """Require targets."""
    require_type(call, name, value, Targets, "pass Targets, such as split.validation or split.test")


def callbacks_of(call: str, value: Any) -> tuple[Any, ...]:
    """Return callbacks of Keras, from any iterable; None stands for none."""
    import keras

    advice = "pass a list of Keras callbacks"
    require_type(call, "callbacks", value, (Iterable, type(None)), advice)
    callbacks = () if value is None else tuple(value)
    for callback in callbacks:
        require_type(call, "an entry of callbacks", callback, keras.callbacks.Callback, advice)
    return callbacks


def verbosity(call: str, value: Any) -> int | str:
    """Return the verbosity of Keras `fit`."""
    advice = "pass 'auto', 0, 1 or 2"
    require_type(call, "verbose", value, (str, int, bool), advice)
    if value not in ("auto", 0, 1, 2):
        raise InputError(f"{call}: verbose is {value!r}; {advice}")
    return value


def index_array(call: str, name: str, value: Any, *, axes: int, lowest: int, highest: int) -> np.ndarray:
    """Return indices as an array.

    Args:
        call: the function that was called.
        name: the argument.
        value: indices on this number of axes.
        axes: number of axes.
        lowest: lowest possible index.
        highest: highest possible index.

    Raises:
        InputError: If the values are not whole numbers, or out of range.
    """
    advice = "look ids up with fitted_data.users and fitted_data.items"
    wrong = InputError(f"{call}: {name} must be an array of indices of rank {axes}; {advice}")
    try:
        indices = np.asarray(value)
    except ValueError as error:  # rows of different lengths
        raise wrong from error
    if indices.ndim != axes or (indices.dtype.kind not in "iu" and indices.size):
        raise wrong
    outside = indices[(indices < lowest) | (indices > highest)]
    if len(outside):
        raise InputError(f"{call}: {name} has {outside[0]}, which is not an index; they are {lowest} to {highest:,}")
    return indices

"""Checks of arguments that are data sets."""

from typing import Any

from tfllmrec.arguments import require_type
from tfllmrec.data.dataset import Dataset


def require_dataset(call: str, name: str, value: Any) -> None:
    """Require a data set.

    Raises:
        InputError: If the value is another object.
    """
    require_type(call, name, value, Dataset, "pass a Dataset, such as split.train or Dataset.from_frames(table)")

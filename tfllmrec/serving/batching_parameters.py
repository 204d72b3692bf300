"""How batches are made: the text file that `--batching_parameters_file` names."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfllmrec.errors import InputError
from tfllmrec.serving.text_files import read_message
from tfllmrec_client.messages import declare

MESSAGE = declare(
    "batching",  # tensorflow-serving-api does not ship it
    {
        "BatchingParameters": {
            "max_batch_size": (1, "Int64Value"),
            "batch_timeout_micros": (2, "Int64Value"),
            "max_enqueued_batches": (3, "Int64Value"),
            "num_batch_threads": (4, "Int64Value"),
            "thread_pool_name": (5, "StringValue"),
            "allowed_batch_sizes": (6, "repeated int64"),
            "pad_variable_length_inputs": (7, "bool"),
            "enable_large_batch_splitting": (8, "BoolValue"),
            "max_execution_batch_size": (9, "Int64Value"),
        }
    },
)["BatchingParameters"]


@dataclass(frozen=True)
class BatchingParameters:
    """TF Serving's `BatchingParameters`, with its defaults.

    Args:
        max_batch_size: the most rows of a request, and of a batch unless those are cut smaller.
        batch_timeout_micros: how long a batch may wait for more requests, from its first one on.
        max_enqueued_batches: batches that may wait in a queue; a request beyond them is turned down.
        num_batch_threads: batches that run at the same time.
        allowed_batch_sizes: sizes that a batch is filled up to, ascending; the last is the largest a batch has.
        pad_variable_length_inputs: requests of different widths can share a batch.
        enable_large_batch_splitting: requests with more rows than max_execution_batch_size are cut.
        max_execution_batch_size: the most rows of a batch then; by default max_batch_size.

    Raises:
        InputError: a number that makes no sense, or allowed sizes that do not end where they must.
    """

    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int = os.cpu_count() or 1
    allowed_batch_sizes: tuple[int, ...] = ()
    pad_variable_length_inputs: bool = False
    enable_large_batch_splitting: bool = False
    max_execution_batch_size: int | None = None

    def __post_init__(self) -> None:
        least = {"max_batch_size": 1, "batch_timeout_micros": 0, "max_enqueued_batches": 1, "num_batch_threads": 1}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise InputError(f"batching: {name} is {getattr(self, name)}, and must be at least {low}")
        if not 1 <= self.largest_execution <= self.max_batch_size:
            raise InputError(
                f"batching: max_execution_batch_size is {self.largest_execution}, and must be 1 to max_batch_size"
            )
        sizes = self.allowed_batch_sizes
        if sizes and (list(sizes) != sorted(set(sizes)) or sizes[0] < 1 or sizes[-1] != self.largest_execution):
            raise InputError(
                f"batching: allowed_batch_sizes are {list(sizes)}, and must rise and end at {self.largest_execution}, "
                "the largest batch"
            )

    @classmethod
    def from_file(cls, path: Path) -> "BatchingParameters":
        """Read the text form of TF Serving's message.

        Raises:
            InputError: no such file, or one that is no such text.
        """
        message = read_message(path, MESSAGE, "batching parameters")
        values = {descriptor.name: value for descriptor, value in message.ListFields()}
        values.pop("thread_pool_name", None)  # a name in TF Serving's own logs
        return cls(**{name: _plain(value) for name, value in values.items()})

    @property
    def largest_execution(self) -> int:
        """Rows of the largest batch that is run."""
        if self.enable_large_batch_splitting and self.max_execution_batch_size is not None:
            return self.max_execution_batch_size
        return self.max_batch_size

    def allowed_size(self, rows: int) -> int:
        """The size a batch of so many rows is filled up to."""
        return next((size for size in self.allowed_batch_sizes if size >= rows), rows)


def _plain(value: Any) -> Any:
    """Wrapped values without their wrapping, repeated ones as a tuple."""
    if hasattr(value, "value"):
        return value.value
    return value if isinstance(value, bool) else tuple(value)

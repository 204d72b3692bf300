"""Parameters of dynamic batching: the file of `--batching_parameters_file`."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfllmrec.errors import InputError
from tfllmrec.serving.config_files import MESSAGES, read_message


@dataclass(frozen=True)
class BatchingParameters:
    """TF Serving's `BatchingParameters` with its default values.

    Args:
        max_batch_size: maximum number of rows of a request, and of a batch unless large batches are split.
        batch_timeout_micros: time that a batch waits for more requests, from its first request on.
        max_enqueued_batches: maximum number of batches in a queue. A request that needs another batch is refused.
        num_batch_threads: number of batches that run at the same time.
        allowed_batch_sizes: sizes to which batches are padded, ascending. The last one is the size of the largest
            batch.
        pad_variable_length_inputs: whether requests with different shapes can share a batch.
        enable_large_batch_splitting: whether requests with more than `max_execution_batch_size` rows are split.
        max_execution_batch_size: maximum number of rows of a batch if large batches are split; `max_batch_size` by
            default.

    Raises:
        InputError: If a number is out of range, or the allowed sizes do not ascend to the size of the largest batch.
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
        minima = {"max_batch_size": 1, "batch_timeout_micros": 0, "max_enqueued_batches": 1, "num_batch_threads": 1}
        for name, minimum in minima.items():
            if getattr(self, name) < minimum:
                raise InputError(f"batching: {name} must be at least {minimum}, not {getattr(self, name)}")
        if not 1 <= self.largest_execution <= self.max_batch_size:
            raise InputError(
                f"batching: max_execution_batch_size must be between 1 and max_batch_size, not {self.largest_execution}"
            )
        sizes = self.allowed_batch_sizes
        if sizes and (list(sizes) != sorted(set(sizes)) or sizes[0] < 1 or sizes[-1] != self.largest_execution):
            raise InputError(
                f"batching: allowed_batch_sizes must ascend and end at {self.largest_execution}, the size of the "
                f"largest batch, not be {list(sizes)}"
            )

    @classmethod
    def from_file(cls, path: Path) -> "BatchingParameters":
        """Read TF Serving's `BatchingParameters` in text format.

        Raises:
            InputError: If the file cannot be read or parsed, or a parameter is invalid.
        """
        message = read_message(path, MESSAGES["BatchingParameters"])
        values = {descriptor.name: value for descriptor, value in message.ListFields()}
        values.pop("thread_pool_name", None)  # only names the threads in TF Serving's logs
        return cls(**{name: _python_value(value) for name, value in values.items()})

    @property
    def largest_execution(self) -> int:
        """Number of rows of the largest batch that runs."""
        if self.enable_large_batch_splitting and self.max_execution_batch_size is not None:
            return self.max_execution_batch_size
        return self.max_batch_size

    def allowed_size(self, rows: int) -> int:
        """Return the size to which a batch of `rows` rows is padded."""
        return next((size for size in self.allowed_batch_sizes if size >= rows), rows)


def _python_value(value: Any) -> Any:
    """Unwrap a wrapper message such as Int64Value, and convert a repeated field to a tuple."""
    if hasattr(value, "value"):
        return value.value
    return value if isinstance(value, bool) else tuple(value)

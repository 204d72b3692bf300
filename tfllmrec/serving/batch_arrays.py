"""Arrays of a batch: the inputs of several requests are concatenated, and the outputs are split again."""

from collections.abc import Mapping, Sequence

import grpc
import numpy as np

from tfllmrec.serving.batching_parameters import BatchingParameters
from tfllmrec_client.status import RequestError, invalid

Arrays = Mapping[str, np.ndarray]
"""Inputs or outputs by name, with the batch as their first dimension."""


def row_count(inputs: Arrays) -> int:
    """Return the number of rows of inputs.

    Raises:
        RequestError: INVALID_ARGUMENT, if an input is a scalar, or the inputs have different numbers of rows.
    """
    if scalars := [name for name, array in inputs.items() if not array.ndim]:
        raise invalid(f"Batching Run() input tensors must have at least one dimension: {scalars[0]} is a scalar")
    sizes = {array.shape[0] for array in inputs.values()}
    if len(sizes) > 1:
        raise invalid(f"the inputs of the request have different numbers of rows, {sorted(sizes)}")
    return sizes.pop()


def merge(requests: Sequence[Arrays], parameters: BatchingParameters) -> Arrays:
    """Concatenate the inputs of requests and pad the batch to an allowed size.

    Padding rows repeat the first row of the last request, which is certainly valid.

    Args:
        requests: inputs of each request, with the same names.
        parameters: allowed batch sizes, and whether shapes may differ.

    Raises:
        RequestError: FAILED_PRECONDITION, if shapes differ and padding is disabled. INVALID_ARGUMENT, if an empty
            input would need padding.
    """
    rows = sum(map(row_count, requests))
    padding = parameters.allowed_size(rows) - rows
    merged = {}
    for name in requests[0]:
        parts = _with_equal_shapes(name, [inputs[name] for inputs in requests], parameters.pad_variable_length_inputs)
        parts += [parts[-1][:1]] * padding
        merged[name] = np.concatenate(parts)
    return merged


def split(outputs: Arrays, batch_rows: int, request_rows: Sequence[int]) -> list[Arrays]:
    """Split the outputs of a batch into the outputs of its requests, without the padding rows.

    Args:
        outputs: outputs of the whole batch.
        batch_rows: number of rows of the batch.
        request_rows: number of rows of each request.

    Raises:
        RequestError: FAILED_PRECONDITION, if an output does not have the rows of the batch.
    """
    if wrong := [name for name, array in outputs.items() if array.shape[:1] != (batch_rows,)]:
        sentence = f"output {wrong[0]} does not have the {batch_rows} rows of the batch: serve this model unbatched"
        raise RequestError(grpc.StatusCode.FAILED_PRECONDITION, sentence)
    ends = np.cumsum(request_rows)
    return [
        {name: array[end - rows : end] for name, array in outputs.items()}
        for rows, end in zip(request_rows, ends, strict=True)
    ]


def _with_equal_shapes(name: str, parts: list[np.ndarray], pad: bool) -> list[np.ndarray]:
    shapes = {part.shape[1:] for part in parts}
    if len(shapes) == 1:
        return parts
    if not pad:
        sentence = f"the requests of a batch have different shapes of input {name}: set pad_variable_length_inputs"
        raise RequestError(grpc.StatusCode.FAILED_PRECONDITION, sentence)
    largest = np.max(list(shapes), axis=0)
    return [_padded(name, part, largest) for part in parts]


def _padded(name: str, array: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Pad an array at the ends with its first element, as TF Serving does."""
    shape = (len(array), *sizes)
    if array.shape == shape:
        return array
    if not array.size:
        raise invalid(
            f"input {name} is empty and cannot be padded to the other requests of its batch: send one empty string"
        )
    padded = np.full(shape, array.flat[0], array.dtype)
    padded[tuple(map(slice, array.shape))] = array
    return padded

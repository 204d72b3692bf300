"""Signature of a SavedModel: its inputs and outputs, and the check of a request."""

from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfllmrec_client.status import invalid


class Spec(NamedTuple):
    """Input or output of a signature.

    Attributes:
        tensor: tensor name in the graph.
        dtype: NumPy dtype; object for strings.
        shape: sizes, None for an unknown size. None if the rank is unknown.
    """

    tensor: str
    dtype: np.dtype
    shape: list[int | None] | None

    @classmethod
    def of(cls, info: Any) -> "Spec":
        """Return the spec of a `TensorInfo`."""
        return cls(info.name, np.dtype(tf.as_dtype(info.dtype).as_numpy_dtype), _shape_of(info.tensor_shape))


class Signature:
    """Inputs and outputs of a signature.

    Args:
        name: signature name.
        definition: its `SignatureDef`.

    Attributes:
        name: signature name.
        method: method name, such as "tensorflow/serving/predict".
        inputs: input specs by name.
        outputs: output specs by name.
    """

    def __init__(self, name: str, definition: Any) -> None:
        self.name, self.method = name, definition.method_name
        self.inputs = {key: Spec.of(definition.inputs[key]) for key in sorted(definition.inputs)}
        self.outputs = {key: Spec.of(definition.outputs[key]) for key in sorted(definition.outputs)}

    @cached_property
    def batched(self) -> bool:
        """Whether all inputs and outputs have the batch as their first dimension."""
        specs = (*self.inputs.values(), *self.outputs.values())
        return bool(self.inputs) and all(spec.shape and spec.shape[0] is None for spec in specs)

    def check(self, inputs: Mapping[str, np.ndarray]) -> None:
        """Check the names, dtypes and shapes of inputs.

        Raises:
            RequestError: INVALID_ARGUMENT, if the inputs do not fit.
        """
        if inputs.keys() != self.inputs.keys():
            missing = ", ".join(sorted(self.inputs.keys() - inputs.keys())) or "none"
            extra = ", ".join(sorted(inputs.keys() - self.inputs.keys())) or "none"
            raise invalid(f"{self.name} has the inputs {', '.join(self.inputs)}; missing: {missing}, extra: {extra}")
        for name, spec in self.inputs.items():
            array = inputs[name]
            if array.dtype != spec.dtype:
                expected = _dtype_name(spec.dtype)
                raise invalid(f"{self.name}: input {name} must be {expected}, not {_dtype_name(array.dtype)}")
            if not _fits(array.shape, spec.shape):
                shape = [size or "?" for size in spec.shape or ()]
                raise invalid(f"{self.name}: input {name} must have the shape {shape}, not {list(array.shape)}")

    def output_names(self, output_filter: Collection[str]) -> tuple[str, ...]:
        """Return the names of the outputs to compute: those of the filter, or all outputs if the filter is empty.

        Raises:
            RequestError: INVALID_ARGUMENT, if the filter has an unknown name.
        """
        if unknown := [name for name in output_filter if name not in self.outputs]:
            outputs = ", ".join(self.outputs)
            raise invalid(f"{self.name} has no output {unknown[0]!r}; available outputs: {outputs}")
        return tuple(sorted(set(output_filter))) or tuple(self.outputs)


def _shape_of(shape: Any) -> list[int | None] | None:
    return None if shape.unknown_rank else [dim.size if dim.size >= 0 else None for dim in shape.dim]


def _fits(shape: tuple[int, ...], expected: list[int | None] | None) -> bool:
    if expected is None:
        return True
    return len(shape) == len(expected) and all(b in (None, a) for a, b in zip(shape, expected, strict=True))


def _dtype_name(dtype: np.dtype) -> str:
    return "string" if dtype.kind == "O" else dtype.name

"""What a signature takes and gives, and whether a request fits it."""

from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfllmrec_client.status import invalid


class Spec(NamedTuple):
    """An input or output of a signature.

    Attributes:
        tensor: its name in the graph.
        dtype: as numpy has it; strings are objects.
        shape: None for an unknown size, or for the whole where the rank is unknown.
    """

    tensor: str
    dtype: np.dtype
    shape: list[int | None] | None

    @classmethod
    def of(cls, info: Any) -> "Spec":
        """The spec of a `TensorInfo`."""
        return cls(info.name, np.dtype(tf.as_dtype(info.dtype).as_numpy_dtype), _shape_of(info.tensor_shape))


class Signature:
    """What a signature takes and gives.

    Args:
        name: what it is called.
        definition: its `SignatureDef`.

    Attributes:
        name: what it is called.
        method: what it is for, such as "tensorflow/serving/predict".
        inputs: their specs by name.
        outputs: likewise.
    """

    def __init__(self, name: str, definition: Any) -> None:
        self.name, self.method = name, definition.method_name
        self.inputs = {key: Spec.of(definition.inputs[key]) for key in sorted(definition.inputs)}
        self.outputs = {key: Spec.of(definition.outputs[key]) for key in sorted(definition.outputs)}

    @cached_property
    def batched(self) -> bool:
        """All inputs and outputs have the batch as their first dimension."""
        specs = (*self.inputs.values(), *self.outputs.values())
        return bool(self.inputs) and all(spec.shape and spec.shape[0] is None for spec in specs)

    def check(self, inputs: Mapping[str, np.ndarray]) -> None:
        """Raise a RequestError unless these are the inputs, with their dtypes and possible shapes."""
        if inputs.keys() != self.inputs.keys():
            missing = ", ".join(sorted(self.inputs.keys() - inputs.keys())) or "none"
            extra = ", ".join(sorted(inputs.keys() - self.inputs.keys())) or "none"
            raise invalid(f"{self.name} takes the inputs {', '.join(self.inputs)}; missing: {missing}, extra: {extra}")
        for name, spec in self.inputs.items():
            array = inputs[name]
            if array.dtype != spec.dtype:
                raise invalid(f"{self.name}: input {name} is {_name(array.dtype)}, and must be {_name(spec.dtype)}")
            if not _fits(array.shape, spec.shape):
                wanted = [size or "?" for size in spec.shape or ()]
                raise invalid(f"{self.name}: input {name} has the shape {list(array.shape)}, and must have {wanted}")

    def wanted(self, outputs: Collection[str]) -> tuple[str, ...]:
        """The outputs to compute: those named, or all."""
        if unknown := [name for name in outputs if name not in self.outputs]:
            raise invalid(f"{self.name} has no output {unknown[0]!r}; there are {', '.join(self.outputs)}")
        return tuple(sorted(set(outputs))) or tuple(self.outputs)


def _shape_of(shape: Any) -> list[int | None] | None:
    return None if shape.unknown_rank else [dim.size if dim.size >= 0 else None for dim in shape.dim]


def _fits(shape: tuple[int, ...], wanted: list[int | None] | None) -> bool:
    if wanted is None:
        return True
    return len(shape) == len(wanted) and all(b in (None, a) for a, b in zip(shape, wanted, strict=True))


def _name(dtype: np.dtype) -> str:
    return "string" if dtype.kind == "O" else dtype.name

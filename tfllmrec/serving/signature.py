"""Signature of a SavedModel: its inputs and outputs, and the check of a request."""

from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfllmrec_client.status import invalid
from tfllmrec_client.tensors import read


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
        inputs: input specs by name.
        outputs: output specs by name.
    """

    def __init__(self, name: str, definition: Any) -> None:
        self.name = name
        self.inputs = {key: Spec.of(definition.inputs[key]) for key in sorted(definition.inputs)}
        self.outputs = {key: Spec.of(definition.outputs[key]) for key in sorted(definition.outputs)}
        self._defaults = {key: read(tensor) for key, tensor in definition.defaults.items()}

    @cached_property
    def batched(self) -> bool:
        """Whether all inputs and outputs have the batch as their first dimension."""
        specs = (*self.inputs.values(), *self.outputs.values())
        return bool(self.inputs) and all(spec.shape and spec.shape[0] is None for spec in specs)

    def complete(self, inputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        """Check the names and dtypes of inputs, and add the default values of the signature. The session checks shapes.

        Raises:
            RequestError: INVALID_ARGUMENT, if the inputs do not fit.
        """
        count = len(inputs)
        if count > len(self.inputs) or (count < len(self.inputs) and not self._defaults):
            raise invalid(self._size_mismatch(inputs))
        inputs = {**self._defaults, **inputs}
        if missing := [name for name in self.inputs if name not in inputs]:
            alias = f"{missing[0]}(feed name: {self.inputs[missing[0]].tensor})"
            expected = f"{{{','.join(self.inputs)}}}, or default input alias set: {','.join(self._defaults)}"
            problem = "not found in request and no default value provided. Inputs expected to be in the request"
            raise invalid(f"Signature input alias: {alias} {problem} {expected}")
        if unknown := inputs.keys() - self.inputs.keys():
            raise invalid(f"{self.name} has no input {min(unknown)}")
        for name, spec in self.inputs.items():
            if inputs[name].dtype != spec.dtype:
                expected, dtype = _dtype_name(spec.dtype), _dtype_name(inputs[name].dtype)
                raise invalid(f"{self.name}: input {name} must be {expected}, not {dtype}")
        return inputs

    def _size_mismatch(self, inputs: Mapping[str, np.ndarray]) -> str:
        given, expected = inputs.keys(), self.inputs.keys()
        sets = [f"{{{','.join(sorted(names))}}}" for names in (given, expected, given - expected, expected - given)]
        sizes = f"{len(given)}!={len(expected)} len({sets[0]}) != len({sets[1]})"
        return f"input size does not match signature: {sizes}. Sent extra: {sets[2]}. Missing but required: {sets[3]}."

    def output_names(self, output_filter: Collection[str]) -> tuple[str, ...]:
        """Return the names of the outputs to compute: those of the filter, or all outputs if the filter is empty.

        Raises:
            RequestError: INVALID_ARGUMENT, if the filter has an unknown name, or a name twice.
        """
        for name in output_filter:
            if name not in self.outputs:
                expected = f"Outputs expected to be in the set {{{','.join(self.outputs)}}}."
                raise invalid(f"output tensor alias not found in signature: {name} {expected}")
        if len(set(output_filter)) < len(output_filter):
            duplicate = next(name for name in output_filter if [*output_filter].count(name) > 1)
            raise invalid(f"duplicate output tensor alias: {duplicate}")
        return tuple(sorted(output_filter)) or tuple(self.outputs)


def _shape_of(shape: Any) -> list[int | None] | None:
    return None if shape.unknown_rank else [dim.size if dim.size >= 0 else None for dim in shape.dim]


def _dtype_name(dtype: np.dtype) -> str:
    return "string" if dtype.kind == "O" else dtype.name

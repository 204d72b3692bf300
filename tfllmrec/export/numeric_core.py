"""The numeric cores of an export, which XLA compiles for GPUs and TPUs."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import tensorflow as tf

from tfllmrec.errors import InputError
from tfllmrec.export.target import Target
from tfllmrec.models.base.signature import Core, Outputs

_WIDTH = 8
"""The width of inputs without a fixed one when a core is compiled for a check."""


class NumericCore:
    """A `Core` for a target: no strings, no look-ups, no shapes that depend on values.

    Args:
        core: the declaration.
        target: where it runs.

    Attributes:
        function: the call as a `tf.function` of a dictionary of tensors.
    """

    def __init__(self, core: Core, target: Target) -> None:
        jit_compile = target.jit_compile if core.compiled else None
        self.function = tf.function(core.call, jit_compile=jit_compile, autograph=False)
        self._core, self._specs = core, list[dict[str, tf.TensorSpec]]()

    def __call__(self, inputs: dict[str, tf.Tensor]) -> Outputs:
        """Call the core."""
        arguments = {given.argument: inputs[given.argument] for given in self._core.inputs}
        self._specs.append(tf.nest.map_structure(tf.TensorSpec.from_tensor, arguments))
        return self.function(arguments)

    @property
    def has_alias(self) -> bool:
        """Whether a compiler finds the function by its alias."""
        return self._core.compiled and bool(self._specs)

    def compile(self, rows: int) -> None:
        """Have XLA compile the core for a batch of so many rows, in each way that signatures call it.

        Raises:
            ValueError, tf.errors.OpError: If it cannot be compiled.
        """
        for specs in self._specs if self._core.compiled else ():
            inputs = [_fixed_shape(rows, spec) for spec in tf.nest.flatten(specs)]
            compiled = tf.function(partial(self._call_flat, specs), jit_compile=True, autograph=False)
            compiled.experimental_get_compiler_ir(*inputs)("hlo")

    def _call_flat(self, specs: dict[str, tf.TensorSpec], *inputs: tf.Tensor) -> Any:
        """The call with one tensor after the other, as the compiler wants them."""
        return self._core.call(tf.nest.pack_sequence_as(specs, inputs))


def check_compiles(cores: Mapping[str, NumericCore], target: Target, family: str) -> None:
    """Check that XLA compiles all cores at the batch sizes of the target.

    Raises:
        InputError: If a core cannot be compiled.
    """
    for core in cores.values():
        for rows in target.batch_sizes:
            try:
                core.compile(rows)
            except (ValueError, tf.errors.OpError) as error:
                raise InputError(
                    f"export: XLA cannot compile {family} for a {target.name} ({str(error).splitlines()[0]}): "
                    "export it for the cpu"
                ) from error


def _fixed_shape(rows: int, spec: tf.TensorSpec) -> tf.TensorSpec:
    return tf.TensorSpec([rows, *(size or _WIDTH for size in spec.shape[1:])], spec.dtype)

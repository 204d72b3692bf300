"""Numeric cores of an export, which XLA compiles for GPUs and TPUs."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import tensorflow as tf

from tfllmrec.errors import InputError
from tfllmrec.export.target import Target
from tfllmrec.models.base.signature import Core, Outputs

_WIDTH = 8
"""Width of inputs without a fixed width, when compilation is checked."""


class NumericCore:
    """Numeric core for a target, without strings, look-ups and shapes that depend on values.

    Args:
        core: declaration of the core.
        target: target of the export.

    Attributes:
        function: the core as a `tf.function` of a dictionary of tensors.
    """

    def __init__(self, core: Core, target: Target) -> None:
        jit_compile = target.jit_compile if core.compiled else None
        self.function = tf.function(core.call, jit_compile=jit_compile, autograph=False)
        self._core, self._specs = core, list[dict[str, tf.TensorSpec]]()

    def __call__(self, inputs: dict[str, tf.Tensor]) -> Outputs:
        """Call the core."""
        arguments = {input_.argument: inputs[input_.argument] for input_ in self._core.inputs}
        self._specs.append(tf.nest.map_structure(tf.TensorSpec.from_tensor, arguments))
        return self.function(arguments)

    @property
    def has_alias(self) -> bool:
        """Whether the SavedModel has an alias for the function, by which compilers find it."""
        return self._core.compiled and bool(self._specs)

    def compile(self, rows: int) -> None:
        """Compile the core with XLA for batches of `rows` rows, with each set of inputs that signatures pass.

        Raises:
            ValueError, tf.errors.OpError: If the core cannot be compiled.
        """
        for specs in self._specs if self._core.compiled else ():
            inputs = [_fixed_shape(rows, spec) for spec in tf.nest.flatten(specs)]
            compiled = tf.function(partial(self._call_flat, specs), jit_compile=True, autograph=False)
            compiled.experimental_get_compiler_ir(*inputs)("hlo")

    def _call_flat(self, specs: dict[str, tf.TensorSpec], *inputs: tf.Tensor) -> Any:
        """Call the core with positional tensors, which the compiler requires."""
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

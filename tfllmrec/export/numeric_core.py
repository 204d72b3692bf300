"""The cores of an export: what XLA compiles, and what is left of a model where GPUs and TPUs begin."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import tensorflow as tf

from tfllmrec.errors import InputError
from tfllmrec.export.target import Target

_WIDTH = 8
"""Of inputs whose width is not fixed, where a core is tried."""


class Core:
    """A function of numbers alone, batch in dimension 0 everywhere: no strings, no look-ups, no shapes out of values.

    Args:
        call: tensors, or dictionaries of them -> tensors.
        target: where it runs.

    Attributes:
        function: the call as a `tf.function`.
    """

    def __init__(self, call: Callable[..., Any], target: Target) -> None:
        self.function = tf.function(call, jit_compile=target.jit_compile, autograph=False)
        self._call, self._asked = call, list[tuple[Any, ...]]()

    def __call__(self, *inputs: Any) -> Any:
        """What the call answers."""
        self._asked.append(tf.nest.map_structure(tf.TensorSpec.from_tensor, inputs))
        return self.function(*inputs)

    @property
    def used(self) -> bool:
        """Whether any signature has called it."""
        return bool(self._asked)

    def compile(self, rows: int) -> None:
        """Have XLA compile the core for a batch of so many rows, in each way that signatures call it.

        Raises:
            ValueError, tf.errors.OpError: it cannot be compiled.
        """
        for asked in self._asked:
            inputs = [_of_one_shape(rows, spec) for spec in tf.nest.flatten(asked)]
            compiled = tf.function(partial(self._call_flat, asked), jit_compile=True, autograph=False)
            compiled.experimental_get_compiler_ir(*inputs)("hlo")

    def _call_flat(self, asked: tuple[Any, ...], *inputs: tf.Tensor) -> Any:
        """The call where dictionaries come one tensor after the other, as the compiler wants them."""
        return self._call(*tf.nest.pack_sequence_as(asked, inputs))


def check_compiles(cores: Mapping[str, Core], target: Target, family: str) -> None:
    """Raise an InputError where XLA cannot compile a core at one of the target's batch sizes."""
    for core in cores.values():
        for rows in target.batch_sizes:
            try:
                core.compile(rows)
            except (ValueError, tf.errors.OpError) as error:
                raise InputError(
                    f"export: XLA cannot compile {family} for a {target.name} ({str(error).splitlines()[0]}): "
                    "export it for the cpu"
                ) from error


def _of_one_shape(rows: int, spec: tf.TensorSpec) -> tf.TensorSpec:
    return tf.TensorSpec([rows, *(size or _WIDTH for size in spec.shape[1:])], spec.dtype)

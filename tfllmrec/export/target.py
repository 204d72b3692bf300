"""Targets of an export: TF Serving on CPUs, on a GPU, or on TPUs."""

from dataclasses import dataclass
from pathlib import Path

from tfllmrec.errors import InputError
from tfllmrec.export.saved_model import meta_graph

SERVE = "serve"
"""Tag of SavedModels that TF Serving loads."""
_COMPILED = "_XlaMustCompile"
"""Attribute of functions with `jit_compile=True`."""


@dataclass(frozen=True)
class Target:
    """Hardware on which TF Serving runs an export.

    Attributes:
        name: "cpu", "gpu" or "tpu".
        batch_sizes: allowed batch sizes (`batching.config`); few, because each is warmed up separately.
        compiled: whether XLA compiles the cores, once per shape.
        jit_compile: argument of `tf.function` for the cores. For a TPU, Google's converter compiles them and finds them
            by their aliases.
        tags: tags of the SavedModel.
        precision: default precision.
    """

    name: str
    batch_sizes: tuple[int, ...]
    compiled: bool = True
    jit_compile: bool | None = None
    tags: tuple[str, ...] = (SERVE,)
    precision: str = "float32"

    def precision_or_default(self, precision: str | None) -> str:
        """Return a precision, or the default one for None."""
        return self.precision if precision is None else precision


CPU = Target("cpu", (1, 8, 32), compiled=False)
GPU = Target("gpu", (1, 16, 128), jit_compile=True)
TPU = Target("tpu", (8, 32, 128), tags=(SERVE, "tpu"), precision="bfloat16")
TARGETS = {target.name: target for target in (CPU, GPU, TPU)}


def target_named(name: str) -> Target:
    """Return a target by its name.

    Raises:
        InputError: If the name is unknown.
    """
    if name not in TARGETS:
        raise InputError(f"export: target is {name!r}, and must be {', '.join(TARGETS)}")
    return TARGETS[name]


def target_of(saved_model: Path) -> Target:
    """Return the target of an export, from its tags and functions."""
    graph = meta_graph(saved_model)
    if "tpu" in graph.meta_info_def.tags:
        return TPU
    return GPU if any(function.attr[_COMPILED].b for function in graph.graph_def.library.function) else CPU

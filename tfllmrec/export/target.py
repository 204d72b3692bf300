"""What an export is made for: a TF Serving on CPUs, one with a GPU, or one with TPUs."""

from dataclasses import dataclass
from pathlib import Path

from tfllmrec.errors import InputError
from tfllmrec.export.saved_model import meta_graph

SERVE = "serve"
"""The tag that TensorFlow gives a SavedModel and TF Serving looks for."""
_COMPILED = "_XlaMustCompile"
"""What TensorFlow writes at a function that was made with `jit_compile=True`."""


@dataclass(frozen=True)
class Target:
    """Where an export is to run.

    Attributes:
        name: "cpu", "gpu" or "tpu".
        batch_sizes: what batches are filled up to (`batching.config`): few, for every one is prepared on its own.
        compiled: whether XLA compiles the cores, anew for every shape, so that they must see few.
        jit_compile: of the cores, as `tf.function` takes it. For a TPU Google's converter has them compiled, and finds
            them by their aliases.
        tags: of the SavedModel.
        precision: unless another one is asked for.
    """

    name: str
    batch_sizes: tuple[int, ...]
    compiled: bool = True
    jit_compile: bool | None = None
    tags: tuple[str, ...] = (SERVE,)
    precision: str = "float32"

    def precision_of(self, asked: str | None) -> str:
        """The precision that was asked for, or the target's own."""
        return self.precision if asked is None else asked


CPU = Target("cpu", (1, 8, 32), compiled=False)
GPU = Target("gpu", (1, 16, 128), jit_compile=True)
TPU = Target("tpu", (8, 32, 128), tags=(SERVE, "tpu"), precision="bfloat16")
TARGETS = {target.name: target for target in (CPU, GPU, TPU)}


def target_named(name: str) -> Target:
    """A target by its name.

    Raises:
        InputError: there is none.
    """
    if name not in TARGETS:
        raise InputError(f"export: target is {name!r}, and must be {', '.join(TARGETS)}")
    return TARGETS[name]


def target_of(saved_model: Path) -> Target:
    """What an export was made for, by what is in it."""
    graph = meta_graph(saved_model)
    if "tpu" in graph.meta_info_def.tags:
        return TPU
    return GPU if any(one.attr[_COMPILED].b for one in graph.graph_def.library.function) else CPU

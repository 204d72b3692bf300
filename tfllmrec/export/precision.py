"""Precision of an export: large matrices and BERT in bfloat16, item vectors in int8."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import keras
import tensorflow as tf

from tfllmrec.errors import InputError
from tfllmrec.layers.tables import Quantized, TableLayer

PRECISIONS = ("float32", "bfloat16", "int8")

_LARGE = 4096  # elements; rounding smaller matrices saves little
_TABLES = (TableLayer, keras.layers.Embedding)  # these layers cast the rows that they look up


def check_precision(precision: str) -> None:
    """Raise an InputError if the precision is unknown."""
    if precision not in PRECISIONS:
        raise InputError(f"export: precision is {precision!r}, and must be {', '.join(PRECISIONS)}")


def precision_of(saved_model: Path) -> str:
    """Return the precision of an export, from the dtypes of its variables, except those of a ScaNN index."""
    dtypes = tf.train.load_checkpoint(str(saved_model / "variables" / "variables")).get_variable_to_dtype_map()
    stored = {dtype for name, dtype in dtypes.items() if not name.startswith("approximate/")}
    return next((name for name in ("int8", "bfloat16") if tf.as_dtype(name) in stored), "float32")


class StoredWeights:
    """Weights of models in the precision of an export, without duplicates.

    "bfloat16" rounds large float32 matrices: tables and kernels. Biases, counts and norms are small and stay float32;
    so do the weights of recurrent layers, which would be cast at every step. "int8" stores large tables of item vectors
    in int8 with one scale per row, and all other weights like "bfloat16".

    Args:
        models: the served models.
        precision: one of `PRECISIONS`; "float32" keeps every weight.
        backbone: BERT model in the models, or None.

    Attributes:
        layers: layers of all models, including nested ones.
    """

    def __init__(self, models: Sequence[keras.Model], precision: str, backbone: keras.Model | None = None) -> None:
        self._rounded, self._backbone = precision != "float32", backbone
        self.layers = [layer for model in models for layer in model._flatten_layers()]
        kept = self._weights_of(keras.layers.RNN)
        self._quantized = {
            layer: Quantized.from_matrix(layer.table.numpy())
            for layer in dict.fromkeys(self.layers)
            if precision == "int8" and isinstance(layer, TableLayer) and _is_large(layer.table.value)
        }
        tables = {id(layer.table) for layer in self._quantized}
        self._stored = {
            id(weight): _in_bfloat16(weight) if self._rounded and id(weight) not in kept else weight.value
            for model in models
            for weight in model.variables
            if id(weight) not in tables
        }

    @property
    def variables(self) -> list[tf.Variable]:
        """Stored variables of all weights."""
        quantized = [part for table in self._quantized.values() for part in (table.values, table.scales)]
        return [*self._stored.values(), *quantized]

    def of(self, weight: keras.Variable) -> tf.Variable:
        """Return the stored variable of a weight."""
        return self._stored[id(weight)]

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Use the stored weights in the models that are traced inside the block."""
        with ExitStack() as changes:
            changes.callback(self._read, dict.fromkeys(self._quantized))
            self._read(self._quantized)
            if self._rounded:
                changes.enter_context(_StoredScope(self._stored, self._weights_of(*_TABLES)))
                if self._backbone:
                    changes.enter_context(_computing_in_bfloat16(self._backbone))
            yield

    def _read(self, tables: Mapping[TableLayer, Quantized | None]) -> None:
        for layer, quantized in tables.items():
            layer.quantized = quantized

    def _weights_of(self, *kinds: type[keras.layers.Layer]) -> set[int]:
        return {id(weight) for layer in self.layers if isinstance(layer, kinds) for weight in layer.variables}


class _StoredScope(keras.StatelessScope):
    """Scope that replaces weights by their stored values, cast to the dtype of the weight.

    Args:
        stored: stored variables by the id of the weight.
        tables: ids of weights of layers that cast the rows which they look up.
    """

    def __init__(self, stored: dict[int, tf.Variable], tables: set[int]) -> None:
        super().__init__()
        self._stored, self._tables = stored, tables

    def get_current_value(self, variable: keras.Variable) -> tf.Tensor | None:
        if id(variable) not in self._stored:
            return super().get_current_value(variable)
        value = tf.convert_to_tensor(self._stored[id(variable)])
        return value if id(variable) in self._tables else tf.cast(value, variable.dtype)


@contextmanager
def _computing_in_bfloat16(backbone: keras.Model) -> Iterator[None]:
    """Set the layers of a model to mixed_bfloat16 inside the block."""
    before = [(layer, layer.dtype_policy) for layer in backbone._flatten_layers()]
    try:
        for layer, _ in before:
            layer.dtype_policy = "mixed_bfloat16"
        yield
    finally:
        for layer, policy in before:
            layer.dtype_policy = policy


def _in_bfloat16(weight: keras.Variable) -> tf.Variable:
    """Return a large float32 matrix as a bfloat16 variable, and other weights unchanged."""
    value = weight.value
    if not _is_large(value):
        return value
    return tf.Variable(tf.cast(value, tf.bfloat16), trainable=False, name=weight.name)


def _is_large(value: tf.Variable) -> bool:
    return value.dtype == tf.float32 and len(value.shape) > 1 and value.shape.num_elements() >= _LARGE

"""SavedModel in a TensorFlow session, run by signature name as in TF Serving."""

import ctypes
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2

from tfllmrec.errors import InputError
from tfllmrec.export.ops import TEXT_OPS, of_scann, ops_of, outside_ops, python_calls
from tfllmrec.export.target import SERVE
from tfllmrec.serving.signature import Signature
from tfllmrec.serving.status import CODES
from tfllmrec_client.status import RequestError, invalid
from tfllmrec_client.tensors import decoded

DEFAULT_SIGNATURE = "serving_default"
_LOAD_ERRORS = (OSError, RuntimeError, ValueError, TypeError, KeyError, tf.errors.OpError)
_INTERNAL_PREFIX = "__"
"""Prefix of TensorFlow's internal entries among the signatures."""


def disable_xla() -> None:
    """Disable XLA permanently in this process, as `tensorflow_model_server` does by default."""
    library = ctypes.CDLL(str(Path(tf.sysconfig.get_lib()) / "libtensorflow_cc.so.2"))
    library._ZN10tensorflow21DisableXlaCompilationEv()


class ServedModel:
    """SavedModel in a `tf.compat.v1.Session`, loaded as TF Serving's C++ runtime loads it.

    Args:
        folder: version folder, `<model>/<version>`.
        tags: tags of the graph to load.

    Attributes:
        folder: version folder.
        signature_defs: `SignatureDef`s by name, including TensorFlow's internal entries, as TF Serving lists them.
        outside_ops: names of the operations that reach outside the graph.

    Raises:
        InputError: If the SavedModel cannot be loaded or calls Python.

    Example:
        >>> model = ServedModel("models/films/1")
        >>> outputs = model("retrieve", user_id=["42"], history=[[""]], exclude_item_ids=[[""]])
    """

    def __init__(self, folder: str | Path, tags: Sequence[str] = (SERVE,)) -> None:
        self.folder = Path(folder)
        reached = outside_ops(folder)
        if sentence := python_calls(reached):
            raise InputError(f"the SavedModel in {folder} cannot be loaded: {sentence}")
        self.outside_ops = set().union(*reached.values())
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        try:
            _register_operations(Path(folder))
            with self._session.graph.as_default():
                graph = tf.compat.v1.saved_model.load(self._session, [*tags], str(folder))
        except _LOAD_ERRORS as error:
            self._session.close()
            raise InputError(f"the SavedModel in {folder} cannot be loaded: {_sentence(error)}") from error
        self.signature_defs = dict(graph.signature_def)
        self._signatures = {
            name: Signature(name, definition)
            for name, definition in sorted(self.signature_defs.items())
            if not name.startswith(_INTERNAL_PREFIX)
        }
        self._calls: dict[tuple[str, tuple[str, ...]], Callable[..., list[np.ndarray]]] = {}

    def __call__(self, signature: str, /, **inputs: Any) -> dict[str, np.ndarray]:
        """Run a signature on arrays or nested lists, and return its outputs by name with strings as `str`.

        Raises:
            RequestError: As in `run`.
        """
        specs = self.signature(signature).inputs
        arrays = {}
        for name, value in inputs.items():
            try:
                arrays[name] = np.asarray(value, specs[name].dtype if name in specs else None)
            except (ValueError, TypeError, OverflowError) as error:
                raise invalid(f"{signature}: input {name} cannot be converted to an array: {error}") from error
        return {name: decoded(values) for name, values in self.run(signature, arrays).items()}

    def signature(self, name: str) -> Signature:
        """Return a signature by name; "" means `serving_default`.

        Raises:
            RequestError: FAILED_PRECONDITION, if the signature does not exist.
        """
        try:
            return self._signatures[name or DEFAULT_SIGNATURE]
        except KeyError:
            signatures = ", ".join(self._signatures)
            sentence = f"the model has no signature {name or DEFAULT_SIGNATURE!r}; available signatures: {signatures}"
            raise RequestError(grpc.StatusCode.FAILED_PRECONDITION, sentence) from None

    def run(
        self, signature: str, inputs: Mapping[str, np.ndarray], output_filter: Collection[str] = ()
    ) -> dict[str, np.ndarray]:
        """Run a signature on arrays.

        Args:
            signature: signature name; "" means `serving_default`.
            inputs: all inputs of the signature, with strings as bytes.
            output_filter: names of the outputs to compute; all outputs if empty.

        Returns:
            The outputs by name, with strings as bytes.

        Raises:
            RequestError: FAILED_PRECONDITION, if the signature is unknown. INVALID_ARGUMENT, if an input is missing,
                unknown, or has a wrong dtype or shape, or if an output is unknown. Else TensorFlow's own code.
        """
        requested = self.signature(signature)
        requested.check(inputs)
        names = requested.output_names(output_filter)
        try:
            call = self._calls.get((requested.name, names)) or self._prepare(requested, names)
            outputs = call(*(inputs[name] for name in requested.inputs))
        except tf.errors.OpError as error:
            raise RequestError(CODES[error.error_code], f"{requested.name} failed: {_sentence(error)}") from error
        return dict(zip(names, outputs, strict=True))

    def close(self) -> None:
        """Close the session and free its memory."""
        self._session.close()

    def _prepare(self, signature: Signature, outputs: tuple[str, ...]) -> Callable[..., list[np.ndarray]]:
        """Prepare a callable. `Session.run` takes one and a half times as long for a small request."""
        options = config_pb2.CallableOptions(
            feed=[spec.tensor for spec in signature.inputs.values()],
            fetch=[signature.outputs[name].tensor for name in outputs],
        )
        options.run_options.inter_op_thread_pool = -1  # run in the calling thread: each request has its own
        call = self._session._make_callable_from_options(options)
        self._calls[signature.name, outputs] = call
        return call


def _register_operations(folder: Path) -> None:
    """Import the libraries of the operations in a SavedModel. TensorFlow Text takes a second to import."""
    ops = ops_of(folder)
    if ops & TEXT_OPS:
        import tensorflow_text  # noqa: F401
    if of_scann(ops):
        try:
            from scann import scann_ops  # noqa: F401
        except ImportError as error:
            raise InputError(f"{folder} needs ScaNN to be served: pip install 'tfllmrec[scann]'") from error


def _sentence(error: Exception) -> str:
    """Return TensorFlow's message without the graph locations that it appends."""
    message = getattr(error, "message", None) or str(error)
    return " ".join(message.removeprefix("Graph execution error:").split("[[")[0].split())

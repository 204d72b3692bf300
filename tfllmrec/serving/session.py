"""SavedModel in a TensorFlow session, run by signature name as in TF Serving."""

import ctypes
import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import config_pb2
from tensorflow.python.client import pywrap_tf_session as tf_session

from tfllmrec.errors import InputError
from tfllmrec.export.ops import TEXT_OPS, of_scann, ops_of, outside_ops, python_calls
from tfllmrec.export.target import SERVE
from tfllmrec.serving.signature import Signature
from tfllmrec.serving.status import CODES, seconds_left
from tfllmrec_client.status import RequestError, invalid
from tfllmrec_client.tensors import decoded

DEFAULT_SIGNATURE = "serving_default"
_LOAD_ERRORS = (OSError, RuntimeError, ValueError, TypeError, KeyError, DecodeError, tf.errors.OpError)
_FAR_SECONDS, _QUICK_SECONDS = 10.0, 1.0
"""A run needs no timeout if its deadline is farther and all runs before it were quicker."""
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
        inter_op_parallelism: number of operations of a run that run at the same time, in threads of TensorFlow; 0 runs
            all operations in the calling thread.
        intra_op_parallelism: number of threads of an operation; 0 for one per core. The first model decides for all.

    Attributes:
        folder: version folder.
        signature_defs: `SignatureDef`s by name, including TensorFlow's internal entries, as TF Serving lists them.
        outside_ops: names of the operations that reach outside the graph.

    Raises:
        InputError: If the SavedModel cannot be loaded, or calls Python functions, as TF Serving cannot.

    Example:
        >>> model = ServedModel("models/films/1")
        >>> outputs = model("retrieve", user_id=["42"], history=[[""]], exclude_item_ids=[[""]])
    """

    def __init__(
        self,
        folder: str | Path,
        tags: Sequence[str] = (SERVE,),
        inter_op_parallelism: int = 0,
        intra_op_parallelism: int = 0,
    ) -> None:
        self.folder = Path(folder)
        _register_operations(self.folder)
        reached = outside_ops(folder)
        if sentence := python_calls(reached):
            raise InputError(f"the SavedModel in {folder} cannot be loaded: {sentence}")
        self.outside_ops = set[str]().union(*reached.values())
        self._inter_op_thread_pool = 0 if inter_op_parallelism else -1
        config = config_pb2.ConfigProto(
            inter_op_parallelism_threads=inter_op_parallelism,
            intra_op_parallelism_threads=intra_op_parallelism,
            use_per_session_threads=bool(inter_op_parallelism),  # else the first session of the process decides
        )
        self._session = tf.compat.v1.Session(graph=tf.Graph(), config=config)
        try:
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
        self._calls: dict[tuple[str, tuple[str, ...]], Callable[..., list[Any]]] = {}
        self._slowest: dict[tuple[str, tuple[str, ...]], float] = {}  # seconds of the longest run
        self._tensors: dict[str, Any] = {}
        self._session._extend_graph()

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
            sentence = f'Serving signature key "{name or DEFAULT_SIGNATURE}" not found.'
            raise RequestError(grpc.StatusCode.FAILED_PRECONDITION, sentence) from None

    def run(
        self,
        signature: str,
        inputs: Mapping[str, np.ndarray],
        output_filter: Collection[str] = (),
        deadline: float | None = None,
    ) -> dict[str, np.ndarray]:
        """Run a signature on arrays.

        Args:
            signature: signature name; "" means `serving_default`.
            inputs: all inputs of the signature, with strings as bytes.
            output_filter: names of the outputs to compute; all outputs if empty.
            deadline: value of `time.monotonic()` at which the run ends; None for no limit.

        Returns:
            The outputs by name, with strings as bytes.

        Raises:
            RequestError: FAILED_PRECONDITION, if the signature is unknown. INVALID_ARGUMENT, if an input is missing,
                unknown, or has a wrong dtype, or if an output is unknown. DEADLINE_EXCEEDED, if the deadline passes.
                Else TensorFlow's own code.
        """
        requested = self.signature(signature)
        inputs = requested.complete(inputs)
        names = requested.output_names(output_filter)
        key, seconds, started = (requested.name, names), seconds_left(deadline), time.monotonic()
        try:
            if seconds is None or self._ends_in_time(key, seconds):
                call = self._calls.get(key) or self._prepare(requested, names)
                outputs = call(*(inputs[name] for name in requested.inputs))
            else:
                outputs = self._run_until(requested, inputs, names, seconds)
        except tf.errors.OpError as error:
            raise RequestError(CODES[error.error_code], f"{requested.name} failed: {_sentence(error)}") from error
        finally:
            self._slowest[key] = max(self._slowest.get(key, 0.0), time.monotonic() - started)
        return {name: _as_array(output) for name, output in zip(names, outputs, strict=True)}

    def close(self) -> None:
        """Close the session and free its memory."""
        self._session.close()

    def _ends_in_time(self, key: tuple[str, tuple[str, ...]], seconds: float) -> bool:
        """Check whether a run needs no timeout. It then computes in the calling thread, which saves about 0.1 ms."""
        return seconds > _FAR_SECONDS and self._slowest.get(key, math.inf) < _QUICK_SECONDS

    def _prepare(self, signature: Signature, outputs: tuple[str, ...]) -> Callable[..., list[Any]]:
        """Prepare a callable without a timeout."""
        options = config_pb2.CallableOptions(
            feed=[spec.tensor for spec in signature.inputs.values()],
            fetch=[signature.outputs[name].tensor for name in outputs],
        )
        options.run_options.inter_op_thread_pool = self._inter_op_thread_pool
        call: Callable[..., list[Any]] = self._session._make_callable_from_options(options)
        self._calls[signature.name, outputs] = call
        return call

    def _run_until(
        self, signature: Signature, inputs: Mapping[str, np.ndarray], outputs: tuple[str, ...], seconds: float
    ) -> list[Any]:
        """Run a signature in TensorFlow's threads, with a timeout.

        `Session.run` would check shapes against the graph, which TF Serving does not.
        """
        feeds = {self._tensor(spec.tensor): inputs[name] for name, spec in signature.inputs.items()}
        fetches = [self._tensor(signature.outputs[name].tensor) for name in outputs]
        options = config_pb2.RunOptions(timeout_in_ms=max(1, round(seconds * 1e3)))
        buffer = tf_session.TF_NewBufferFromString(options.SerializeToString())
        try:
            result: list[Any] = tf_session.TF_SessionRun_wrapper(
                self._session._session, buffer, feeds, fetches, [], None
            )
        finally:
            tf_session.TF_DeleteBuffer(buffer)
        return result

    def _tensor(self, name: str) -> Any:
        """Return a tensor of the graph in TensorFlow's C API.

        Raises:
            RequestError: INVALID_ARGUMENT, if the graph does not have the tensor.
        """
        if name not in self._tensors:
            try:
                self._tensors[name] = self._session.graph.get_tensor_by_name(name)._as_tf_output()
            except (KeyError, ValueError) as error:
                raise invalid(f"tensor {name!r} was not found in the graph") from error
        return self._tensors[name]


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


def _as_array(output: Any) -> np.ndarray:
    """Return an output as an array. A session returns a scalar string as bytes."""
    return np.array(output, object) if isinstance(output, bytes) else np.asarray(output)


def _sentence(error: Exception) -> str:
    """Return TensorFlow's message without the graph locations that it appends."""
    message = getattr(error, "message", None) or str(error)
    return " ".join(message.removeprefix("Graph execution error:").split("[[")[0].split())

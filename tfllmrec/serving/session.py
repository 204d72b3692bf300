"""A SavedModel asked the way TF Serving asks it: in a TensorFlow session, by signature name."""

import ctypes
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2

from tfllmrec.errors import InputError
from tfllmrec.export.ops import SCANN
from tfllmrec.export.target import SERVE
from tfllmrec.serving.signature import Signature
from tfllmrec.serving.status import CODES
from tfllmrec_client.status import RequestError, invalid
from tfllmrec_client.tensors import decoded

DEFAULT_SIGNATURE = "serving_default"
_CANNOT_LOAD = (OSError, RuntimeError, ValueError, TypeError, KeyError, tf.errors.OpError)
_NO_SIGNATURE = "__"
"""How TensorFlow's own entries among the signatures start."""


def disable_xla() -> None:
    """Switch XLA off for this process and for good, as a `tensorflow_model_server` started without flags does."""
    library = ctypes.CDLL(str(Path(tf.sysconfig.get_lib()) / "libtensorflow_cc.so.2"))
    library._ZN10tensorflow21DisableXlaCompilationEv()


def _know_operations(folder: Path) -> None:
    """Have operations beside TensorFlow's own where a SavedModel needs them: to import those of Text takes a second."""
    content = (folder / "saved_model.pb").read_bytes()
    if b"FastWordpieceTokenize" in content:
        import tensorflow_text  # noqa: F401
    if f"{SCANN}>".encode() in content:
        try:
            from scann import scann_ops  # noqa: F401
        except ImportError as error:
            raise InputError(f"{folder} needs ScaNN to be served: pip install 'tfllmrec[scann]'") from error


class ServedModel:
    """A SavedModel loaded into a `tf.compat.v1.Session`, as TF Serving's C++ runtime loads it.

    Args:
        folder: a version folder, `<model>/<version>`.
        tags: of what is to be loaded of it.

    Attributes:
        folder: where it was loaded from.
        signature_defs: the `SignatureDef`s by name, TensorFlow's own entries included, as TF Serving shows them.

    Raises:
        InputError: the folder holds no SavedModel that loads.

    Example:
        >>> model = ServedModel("models/films/1")
        >>> model("retrieve", user_id=["42"], history=[[""]], exclude_item_ids=[[""]])["titles"][0]
    """

    def __init__(self, folder: str | Path, tags: Sequence[str] = (SERVE,)) -> None:
        self.folder = Path(folder)
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        try:
            _know_operations(Path(folder))
            with self._session.graph.as_default():
                loaded = tf.compat.v1.saved_model.load(self._session, [*tags], str(folder))
        except _CANNOT_LOAD as error:
            self._session.close()
            raise InputError(f"{folder} holds no SavedModel that loads: {_sentence(error)}") from error
        self.signature_defs = dict(loaded.signature_def)
        self._signatures = {
            name: Signature(name, found)
            for name, found in sorted(self.signature_defs.items())
            if not name.startswith(_NO_SIGNATURE)
        }
        self._calls: dict[tuple[str, tuple[str, ...]], Callable[..., list[np.ndarray]]] = {}

    def __call__(self, signature: str, /, **inputs: Any) -> dict[str, np.ndarray]:
        """The outputs of a signature by name, from arrays or nested lists; strings come back as `str`.

        Raises:
            RequestError: as `run`.
        """
        specs = self.signature(signature).inputs
        arrays = {}
        for name, value in inputs.items():
            try:
                arrays[name] = np.asarray(value, specs[name].dtype if name in specs else None)
            except (ValueError, TypeError, OverflowError) as error:
                raise invalid(f"{signature}: input {name} is no array of its dtype: {error}") from error
        return {name: decoded(values) for name, values in self.run(signature, arrays).items()}

    def signature(self, name: str) -> Signature:
        """A signature by its name; "" is `serving_default`.

        Raises:
            RequestError: FAILED_PRECONDITION, there is no such signature.
        """
        try:
            return self._signatures[name or DEFAULT_SIGNATURE]
        except KeyError:
            there = ", ".join(self._signatures)
            sentence = f"there is no signature {name or DEFAULT_SIGNATURE!r}; there are {there}"
            raise RequestError(grpc.StatusCode.FAILED_PRECONDITION, sentence) from None

    def run(
        self, signature: str, inputs: Mapping[str, np.ndarray], outputs: Collection[str] = ()
    ) -> dict[str, np.ndarray]:
        """Outputs of a signature by name, all of them unless some are named; strings are bytes.

        Raises:
            RequestError: FAILED_PRECONDITION for an unknown signature; INVALID_ARGUMENT for a missing or unknown
                input or output, a wrong dtype or shape; else the code that TensorFlow gives.
        """
        asked = self.signature(signature)
        asked.check(inputs)
        wanted = asked.wanted(outputs)
        try:
            call = self._calls.get((asked.name, wanted)) or self._prepare(asked, wanted)
            found = call(*(inputs[name] for name in asked.inputs))
        except tf.errors.OpError as error:
            raise RequestError(CODES[error.error_code], f"{asked.name} failed: {_sentence(error)}") from error
        return dict(zip(wanted, found, strict=True))

    def close(self) -> None:
        """Free what the model holds."""
        self._session.close()

    def _prepare(self, signature: Signature, outputs: tuple[str, ...]) -> Callable[..., list[np.ndarray]]:
        """A prepared call, in the thread that makes it: `Session.run` takes half as long again for a small request."""
        options = config_pb2.CallableOptions(
            feed=[spec.tensor for spec in signature.inputs.values()],
            fetch=[signature.outputs[name].tensor for name in outputs],
        )
        options.run_options.inter_op_thread_pool = -1  # a server's requests have threads of their own
        call = self._session._make_callable_from_options(options)
        self._calls[signature.name, outputs] = call
        return call


def _sentence(error: Exception) -> str:
    """What happened, without the places in the graph that TensorFlow adds."""
    message = getattr(error, "message", None) or str(error)
    return " ".join(message.removeprefix("Graph execution error:").split("[[")[0].split())

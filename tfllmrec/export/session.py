"""A SavedModel asked the way TF Serving asks it: in a TensorFlow session, by signature name."""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfllmrec.errors import InputError


class ServedModel:
    """A SavedModel loaded into a `tf.compat.v1.Session`, as TF Serving's C++ runtime loads it.

    Args:
        folder: a version folder, `<model>/<version>`.

    Raises:
        InputError: the folder holds no SavedModel that loads.

    Example:
        >>> model = ServedModel("models/films/1")
        >>> model("retrieve", user_id=["42"], history=[[""]], exclude_item_ids=[[""]])["titles"][0]
    """

    def __init__(self, folder: str | Path) -> None:
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        try:
            with self._session.graph.as_default():
                loaded = tf.compat.v1.saved_model.load(self._session, ["serve"], str(folder))
        except (OSError, RuntimeError, tf.errors.OpError) as error:
            raise InputError(f"{folder} holds no SavedModel that loads: {error}") from error
        self._signatures = loaded.signature_def

    def __call__(self, signature: str, **inputs: Any) -> dict[str, np.ndarray]:
        """The outputs of a signature by name; strings come back as `str`.

        Raises:
            InputError: there is no such signature, or an input is missing or unknown.
        """
        if signature not in self._signatures:
            known = ", ".join(name for name in sorted(self._signatures) if not name.startswith("__"))
            raise InputError(f"there is no signature {signature!r}; there are {known}")
        definition = self._signatures[signature]
        if inputs.keys() != definition.inputs.keys():
            raise InputError(f"{signature} takes the inputs {', '.join(definition.inputs)}; got {', '.join(inputs)}")
        feeds = {definition.inputs[name].name: value for name, value in inputs.items()}
        fetches = {name: info.name for name, info in definition.outputs.items()}
        found = self._session.run(fetches, feeds)
        return {name: _decoded(values) for name, values in found.items()}


def _decoded(values: np.ndarray) -> np.ndarray:
    return np.char.decode(values.astype("S"), "utf-8") if values.dtype == object else values

"""Runs SavedModels in the C++ runtime that TF Serving uses: no Python TensorFlow, no Keras, XLA off.

    with CppRuntime() as runtime:
        runtime.check(path)  # {"retrieve": "ok", "embed_query": "Could not find variable ..."}
        runtime.run(path, "retrieve", user_id=["u"], history=[[""]], exclude_item_ids=[[""]])

`tf.saved_model.load` proves nothing about an export: variables it finds may be lost for TF Serving, and there
too loading succeeds and only the first run fails. So a subprocess, `cpp_process.py`, goes through the C API in
the libtensorflow_cc of TensorFlow's wheel (TF_LoadSessionFromSavedModel, TF_SessionRun). XLA is switched off
first, as in a `tensorflow_model_server` started without flags: a signature compiled with `jit_compile=True`
fails here as it would there.

Requests and answers are lines of JSON. What the signatures are is read on this side, for `import tensorflow`
imports Keras; the subprocess has only ctypes, and exits with an error if it finds either imported.
"""

import functools
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import cpp_process
import numpy as np
from cpp_process import DTYPES, CppError


class CppRuntime:
    """The subprocess; it starts in the background and is waited for at the first request."""

    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, "-P", cpp_process.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONIOENCODING": "utf-8"},
        )

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._process.stdin.close()
        assert self._process.wait() == 0, "the C++ runtime's process ended badly"
        self._process.stdout.close()

    def run(self, path, signature, **inputs):
        """Outputs by name: strings as objects, the rest as numpy has them.

        Args:
            path: a SavedModel folder.
            signature: its name.
            inputs: all inputs of the signature, as arrays or nested lists.

        Raises:
            CppError: the SavedModel does not load, or the signature does not run.
        """
        definition = signatures_of(str(path))[signature]
        if inputs.keys() != definition["inputs"].keys():
            raise CppError(f"{signature} takes {sorted(definition['inputs'])}, not {sorted(inputs)}")
        fed = [_packed(inputs[name], info) for name, info in definition["inputs"].items()]
        return self._ask(path, definition, fed)

    def check(self, path):
        """Every signature run on blanks ("" and 0, unknown sizes 1): "ok" or what went wrong, by name."""
        found = {}
        for name, definition in signatures_of(str(path)).items():
            fed = [_blank(info) for info in definition["inputs"].values()]
            try:
                self._ask(path, definition, fed)
                found[name] = "ok"
            except CppError as error:
                found[name] = str(error)
        return found

    def _ask(self, path, definition, fed):
        names = {side: [info["name"] for info in definition[side].values()] for side in ("inputs", "outputs")}
        asked = {"path": str(path), "tags": tags_of(str(path)), **names, "fed": fed}
        print(json.dumps(asked), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise CppError(f"the C++ runtime's process ended with {self._process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise CppError(answer["error"])
        return {name: _unpacked(value) for name, value in zip(definition["outputs"], answer["fetched"], strict=True)}


@functools.cache
def tags_of(path):
    """What the one graph of a SavedModel is for: "serve", say."""
    from tfllmrec.export.saved_model import meta_graph

    return [*meta_graph(Path(path)).meta_info_def.tags]


@functools.cache
def signatures_of(path):
    """{signature: {"inputs" or "outputs": {key: {"name" of the tensor, "dtype", "shape" with -1}}}}."""
    from tfllmrec.export.saved_model import meta_graph

    def read(infos):
        return {
            key: {
                "name": infos[key].name,
                "dtype": DTYPES[infos[key].dtype],
                "shape": [dim.size for dim in infos[key].tensor_shape.dim],
            }
            for key in sorted(infos)
        }

    found = meta_graph(Path(path)).signature_def
    return {
        name: {"inputs": read(found[name].inputs), "outputs": read(found[name].outputs)}
        for name in sorted(found)
        if not name.startswith("__")
    }


def _packed(value, info):
    """An array as JSON, shape and values apart: [] and [[], []] would lose type or shape."""
    array = np.asarray(value, dtype=object if info["dtype"] == "string" else info["dtype"])
    return {"dtype": info["dtype"], "shape": array.shape, "values": array.ravel().tolist()}


def _unpacked(packed):
    dtype = object if packed["dtype"] == "string" else packed["dtype"]
    return np.array(packed["values"], dtype).reshape(packed["shape"])


def _blank(info):
    shape = [size if size > 0 else 1 for size in info["shape"]]
    return {
        "dtype": info["dtype"],
        "shape": shape,
        "values": ["" if info["dtype"] == "string" else 0] * math.prod(shape),
    }

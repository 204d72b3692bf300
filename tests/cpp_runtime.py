"""SavedModels in the C++ runtime that TF Serving uses, without TensorFlow's Python part, Keras and XLA.

    with CppRuntime() as runtime:
        runtime.check(path)  # {"retrieve": "ok", "embed_query": "Could not find variable ..."}
        runtime.run(path, "retrieve", user_id=["u"], history=[[""]], exclude_item_ids=[[""]])

`tf.saved_model.load` is no proof that TF Serving can run an export: it finds variables that TF Serving does not, where
loading succeeds as well and only the first run fails. So the subprocess `cpp_process.py` uses the C API of
libtensorflow_cc in TensorFlow's wheel (TF_LoadSessionFromSavedModel, TF_SessionRun). It disables XLA, as
`tensorflow_model_server` does by default: a signature with `jit_compile=True` fails in both.

Requests and responses are lines of JSON. The signatures are read in this process, because importing TensorFlow imports
Keras, and the subprocess fails if either is imported.
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
    """Subprocess that runs SavedModels. It starts in the background; the first request waits for it."""

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
        assert self._process.wait() == 0, "the process of the C++ runtime failed"
        self._process.stdout.close()

    def run(self, path, signature, **inputs):
        """Run a signature and return its outputs by name. String arrays have the dtype object.

        Args:
            path: SavedModel folder.
            signature: signature name.
            inputs: all inputs of the signature, as arrays or nested lists.

        Raises:
            CppError: If the SavedModel does not load or the signature does not run.
        """
        definition = signatures_of(str(path))[signature]
        if inputs.keys() != definition["inputs"].keys():
            raise CppError(f"{signature} has the inputs {sorted(definition['inputs'])}, not {sorted(inputs)}")
        fed = [_packed(inputs[name], info) for name, info in definition["inputs"].items()]
        return self._send(path, definition, fed)

    def check(self, path):
        """Run each signature on "" or 0, with 1 for unknown sizes; return "ok" or the error by signature."""
        results = {}
        for name, definition in signatures_of(str(path)).items():
            fed = [_blank(info) for info in definition["inputs"].values()]
            try:
                self._send(path, definition, fed)
                results[name] = "ok"
            except CppError as error:
                results[name] = str(error)
        return results

    def _send(self, path, definition, fed):
        names = {side: [info["name"] for info in definition[side].values()] for side in ("inputs", "outputs")}
        request = {"path": str(path), "tags": tags_of(str(path)), **names, "fed": fed}
        print(json.dumps(request), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise CppError(f"the process of the C++ runtime ended with {self._process.wait()}")
        response = json.loads(line)
        if "error" in response:
            raise CppError(response["error"])
        return {name: _unpacked(value) for name, value in zip(definition["outputs"], response["outputs"], strict=True)}


@functools.cache
def tags_of(path):
    """Return the tags of the graph of a SavedModel, such as "serve"."""
    from tfllmrec.export.saved_model import meta_graph

    return [*meta_graph(Path(path)).meta_info_def.tags]


@functools.cache
def signatures_of(path):
    """Return {signature: {"inputs" or "outputs": {key: {"name" of the tensor, "dtype", "shape" with -1}}}}."""
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

    definitions = meta_graph(Path(path)).signature_def
    return {
        name: {"inputs": read(definitions[name].inputs), "outputs": read(definitions[name].outputs)}
        for name in sorted(definitions)
        if not name.startswith("__")
    }


def _packed(value, info):
    """Return an array for JSON with its shape and flat values, because [] and [[], []] would lose dtype and shape."""
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

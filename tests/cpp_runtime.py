"""Runs SavedModels in the C++ runtime that TF Serving uses: no Python TensorFlow, no Keras, XLA off.

    with CppRuntime() as runtime:
        runtime.check(path)  # {"retrieve": "ok", "embed_query": "Could not find variable ..."}
        runtime.run(path, "retrieve", user_id=["u"], history=[[""]], exclude_item_ids=[[""]])

`tf.saved_model.load` proves nothing about an export: variables it finds may be lost for TF Serving, and there
too loading succeeds and only the first run fails. So a subprocess, this very file, goes through the C API in
the libtensorflow_cc of TensorFlow's wheel (TF_LoadSessionFromSavedModel, TF_SessionRun). XLA is switched off
first, as in a `tensorflow_model_server` started without flags: a signature compiled with `jit_compile=True`
fails here as it would there.

Requests and answers are lines of JSON. What the signatures are is read on this side, for `import tensorflow`
imports Keras; the subprocess has only ctypes, and exits with an error if it finds either imported.
"""

import ctypes
import functools
import importlib.util
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

DTYPES = {1: "float32", 3: "int32", 7: "string", 9: "int64", 10: "bool"}
"""tensorflow.DataType by number."""


class CppError(RuntimeError):
    """What the C++ runtime had to say."""


class CppRuntime:
    """The subprocess; it starts in the background and is waited for at the first request."""

    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, "-P", __file__],
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


# ------------------------------------------------------------------ from here on: the subprocess

P, INT, SIZE, CHARS = ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t, ctypes.c_char_p
STRING_BYTES = 24  # sizeof(TF_TString)


class Endpoint(ctypes.Structure):
    """TF_Output: one output of one operation."""

    _fields_ = [("operation", P), ("index", INT)]


ENDPOINTS, POINTERS, SIZES = (ctypes.POINTER(kind) for kind in (Endpoint, P, ctypes.c_int64))
DECLARATIONS = {
    "TF_NewStatus": (P,),
    "TF_DeleteStatus": (None, P),
    "TF_GetCode": (INT, P),
    "TF_Message": (CHARS, P),
    "TF_LoadLibrary": (P, CHARS, P),
    "TF_NewGraph": (P,),
    "TF_NewSessionOptions": (P,),
    "TF_LoadSessionFromSavedModel": (P, P, P, CHARS, ctypes.POINTER(CHARS), INT, P, P, P),
    "TF_GraphOperationByName": (P, P, CHARS),
    "TF_SessionRun": (None, P, P, ENDPOINTS, POINTERS, INT, ENDPOINTS, POINTERS, INT, P, INT, P, P),
    "TF_AllocateTensor": (P, INT, SIZES, INT, SIZE),
    "TF_DeleteTensor": (None, P),
    "TF_TensorData": (P, P),
    "TF_TensorType": (INT, P),
    "TF_NumDims": (INT, P),
    "TF_Dim": (ctypes.c_int64, P, INT),
    "TF_StringInit": (None, P),
    "TF_StringCopy": (None, P, CHARS, SIZE),
    "TF_StringGetDataPointer": (P, P),
    "TF_StringGetSize": (SIZE, P),
}


TEXT_LIBRARIES = ("_normalize_ops.so", "_regex_split_ops.so", "_fast_wordpiece_tokenizer.so")
SCANN_LIBRARY = "scann_ops/cc/_scann_ops.so"


@functools.cache
def library():
    """libtensorflow_cc with XLA off, and with the operations of TensorFlow Text, which TF Serving links, and ScaNN."""
    folder, text, scann = (
        importlib.util.find_spec(name).submodule_search_locations[0]  # found, not imported
        for name in ("tensorflow", "tensorflow_text", "scann")
    )
    lib = ctypes.CDLL(os.path.join(folder, "libtensorflow_cc.so.2"))
    lib._ZN10tensorflow21DisableXlaCompilationEv()
    for name, (result, *arguments) in DECLARATIONS.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    for path in (*(os.path.join(text, "python", "ops", name) for name in TEXT_LIBRARIES), f"{scann}/{SCANN_LIBRARY}"):
        status = lib.TF_NewStatus()
        lib.TF_LoadLibrary(path.encode(), status)
        assert not lib.TF_GetCode(status), lib.TF_Message(status)
        lib.TF_DeleteStatus(status)
    return lib


def checked(call, *arguments):
    """A call that takes a TF_Status last; what that says is raised."""
    lib = library()
    status = lib.TF_NewStatus()
    try:
        result = call(*arguments, status)
        if lib.TF_GetCode(status):
            raise CppError(lib.TF_Message(status).decode())
        return result
    finally:
        lib.TF_DeleteStatus(status)


@functools.cache
def load(path, tags):
    """The session and the graph of a SavedModel."""
    lib, wanted = library(), (CHARS * len(tags))(*map(str.encode, tags))
    graph, options = lib.TF_NewGraph(), lib.TF_NewSessionOptions()
    load_session = lib.TF_LoadSessionFromSavedModel
    return checked(load_session, options, None, path.encode(), wanted, len(tags), graph, None), graph


def run(path, tags, inputs, outputs, fed):
    """Feed packed arrays to tensors by name and fetch others."""
    lib = library()
    session, graph = load(path, tuple(tags))
    tensors, fetched = (P * len(fed))(*map(tensor_of, fed)), (P * len(outputs))()
    feeding = (endpoints(graph, inputs), tensors, len(inputs))
    fetching = (endpoints(graph, outputs), fetched, len(outputs))
    try:
        checked(lib.TF_SessionRun, session, None, *feeding, *fetching, None, 0, None)
        return [packed_of(tensor) for tensor in fetched]
    finally:
        for tensor in (*tensors, *fetched):
            lib.TF_DeleteTensor(tensor)


def endpoints(graph, names):
    """Places in the graph, by names such as "StatefulPartitionedCall:0"."""
    places = [name.rsplit(":", 1) for name in names]
    find = library().TF_GraphOperationByName
    return (Endpoint * len(names))(*[Endpoint(find(graph, name.encode()), int(index)) for name, index in places])


def tensor_of(packed):
    """A new TF_Tensor."""
    lib, values, shape = library(), packed["values"], packed["shape"]
    if packed["dtype"] == "string":
        content, size = b"", len(values) * STRING_BYTES
    else:
        content = np.array(values, packed["dtype"]).tobytes()
        size = len(content)
    number = next(number for number, name in DTYPES.items() if name == packed["dtype"])
    tensor = lib.TF_AllocateTensor(number, (ctypes.c_int64 * len(shape))(*shape), len(shape), size)
    data = lib.TF_TensorData(tensor)
    if packed["dtype"] == "string":
        for place, value in enumerate(value.encode() for value in values):
            lib.TF_StringInit(data + place * STRING_BYTES)
            lib.TF_StringCopy(data + place * STRING_BYTES, value, len(value))
    elif size:
        ctypes.memmove(data, content, size)
    return tensor


def packed_of(tensor):
    """What is in a TF_Tensor."""
    lib = library()
    dtype = DTYPES[lib.TF_TensorType(tensor)]
    shape = [lib.TF_Dim(tensor, axis) for axis in range(lib.TF_NumDims(tensor))]
    data, count = lib.TF_TensorData(tensor), math.prod(shape)
    if dtype == "string":
        places = [data + place * STRING_BYTES for place in range(count)]
        texts = [(lib.TF_StringGetDataPointer(place), lib.TF_StringGetSize(place)) for place in places]
        values = [ctypes.string_at(*text).decode() for text in texts]
    else:
        content = ctypes.string_at(data, count * np.dtype(dtype).itemsize) if count else b""
        values = np.frombuffer(content, dtype).tolist()
    return {"dtype": dtype, "shape": shape, "values": values}


def main():
    """Answer requests until the input ends."""
    library()
    for line in sys.stdin:
        try:
            answer = {"fetched": run(**json.loads(line))}
        except CppError as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), flush=True)
    assert not {"keras", "tensorflow"} & sys.modules.keys(), "something in this process imported Keras"


if __name__ == "__main__":
    main()

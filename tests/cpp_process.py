"""Subprocess of `cpp_runtime`: runs SavedModels in libtensorflow_cc through ctypes.

Requests and responses are lines of JSON. The process fails if Keras or TensorFlow has been imported.
"""

import ctypes
import functools
import importlib.util
import json
import math
import os
import sys

import numpy as np

DTYPES = {1: "float32", 3: "int32", 7: "string", 9: "int64", 10: "bool"}
"""Names of tensorflow.DataType by number."""


class CppError(RuntimeError):
    """Error of the C++ runtime."""


P, INT, SIZE, CHARS = ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t, ctypes.c_char_p
STRING_BYTES = 24  # sizeof(TF_TString)


class Endpoint(ctypes.Structure):
    """TF_Output: an output of an operation."""

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
    """Load libtensorflow_cc without XLA, with the operations of TensorFlow Text, as in TF Serving, and of ScaNN."""
    folder, text, scann = (
        importlib.util.find_spec(name).submodule_search_locations[0]  # located without an import
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
    """Call a function with a TF_Status as its last argument; raise its error."""
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
    """Return the session and the graph of a SavedModel."""
    lib, encoded_tags = library(), (CHARS * len(tags))(*map(str.encode, tags))
    graph, options = lib.TF_NewGraph(), lib.TF_NewSessionOptions()
    load_session = lib.TF_LoadSessionFromSavedModel
    return checked(load_session, options, None, path.encode(), encoded_tags, len(tags), graph, None), graph


def run(path, tags, inputs, outputs, fed):
    """Feed packed arrays to tensors by name, and return the packed outputs."""
    lib = library()
    session, graph = load(path, tuple(tags))
    tensors, fetched = (P * len(fed))(*map(tensor_of, fed)), (P * len(outputs))()
    feeds = (endpoints(graph, inputs), tensors, len(inputs))
    fetches = (endpoints(graph, outputs), fetched, len(outputs))
    try:
        checked(lib.TF_SessionRun, session, None, *feeds, *fetches, None, 0, None)
        return [packed_of(tensor) for tensor in fetched]
    finally:
        for tensor in (*tensors, *fetched):
            lib.TF_DeleteTensor(tensor)


def endpoints(graph, names):
    """Return the TF_Outputs of tensor names such as "StatefulPartitionedCall:0"."""
    parts = [name.rsplit(":", 1) for name in names]
    find = library().TF_GraphOperationByName
    return (Endpoint * len(names))(*[Endpoint(find(graph, name.encode()), int(index)) for name, index in parts])


def tensor_of(packed):
    """Return a new TF_Tensor with the values of a packed array."""
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
        for position, value in enumerate(value.encode() for value in values):
            lib.TF_StringInit(data + position * STRING_BYTES)
            lib.TF_StringCopy(data + position * STRING_BYTES, value, len(value))
    elif size:
        ctypes.memmove(data, content, size)
    return tensor


def packed_of(tensor):
    """Return the content of a TF_Tensor as a packed array."""
    lib = library()
    dtype = DTYPES[lib.TF_TensorType(tensor)]
    shape = [lib.TF_Dim(tensor, axis) for axis in range(lib.TF_NumDims(tensor))]
    data, count = lib.TF_TensorData(tensor), math.prod(shape)
    if dtype == "string":
        addresses = [data + position * STRING_BYTES for position in range(count)]
        texts = [(lib.TF_StringGetDataPointer(address), lib.TF_StringGetSize(address)) for address in addresses]
        values = [ctypes.string_at(*text).decode() for text in texts]
    else:
        content = ctypes.string_at(data, count * np.dtype(dtype).itemsize) if count else b""
        values = np.frombuffer(content, dtype).tolist()
    return {"dtype": dtype, "shape": shape, "values": values}


def main():
    """Respond to requests until the input ends."""
    library()
    for line in sys.stdin:
        try:
            response = {"outputs": run(**json.loads(line))}
        except CppError as error:
            response = {"error": str(error)}
        print(json.dumps(response), flush=True)
    assert not {"keras", "tensorflow"} & sys.modules.keys(), "a module has imported Keras or TensorFlow"


if __name__ == "__main__":
    main()

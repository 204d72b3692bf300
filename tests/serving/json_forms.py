"""Signatures, conversions and errors of the tests of JSON tensors."""

import grpc
import pytest
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef

from tfllmrec.serving.json_tensors import read_inputs
from tfllmrec.serving.signature import Signature
from tfllmrec_client.status import RequestError

DTYPE_NUMBERS = {
    "float32": 1,
    "float64": 2,
    "int32": 3,
    "uint8": 4,
    "int16": 5,
    "int8": 6,
    "string": 7,
    "int64": 9,
    "bool": 10,
}
DTYPE_NUMBERS |= {"uint32": 22, "uint64": 23}


def signature(**inputs):
    """Return a signature with inputs of these dtypes."""
    infos = {name: {"name": f"{name}:0", "dtype": DTYPE_NUMBERS[dtype]} for name, dtype in inputs.items()}
    return Signature("sign", SignatureDef(inputs=infos))


def from_rows(rows, of):
    return read_inputs({"instances": rows}, of)


def from_columns(columns, of):
    return read_inputs({"inputs": columns}, of)


def error_of(call, *arguments):
    with pytest.raises(RequestError) as error:
        call(*arguments)
    assert error.value.code is grpc.StatusCode.INVALID_ARGUMENT
    return str(error.value)

"""TF Serving's messages without TensorFlow: those that the client sends and reads, declared at run time.

The stubs in `tensorflow_serving.apis` import TensorFlow, which takes seconds and half a gigabyte; the client needs
neither. The wire format depends only on field numbers and types, so a server cannot tell these messages, which have
their own package name, from TF Serving's. They have only the fields that the client uses; other fields are skipped.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2

_PACKAGE = "tfllmrec.serving"
_Field = descriptor_pb2.FieldDescriptorProto
_WRAPPED = {"BoolValue", "Int64Value", "StringValue"}


def declare(file: str, messages: dict[str, dict[str, tuple[int, str]]]) -> dict[str, Any]:
    """Declare message classes, proto3, from a table of fields.

    Args:
        file: a unique file name without its suffix.
        messages: {message: {field: (number, type)}}. A type is a proto scalar, a message of the table, or a wrapper
            such as `Int64Value`; `repeated` or `map<string>` may precede it.

    Returns:
        The classes by message name.

    Example:
        >>> Point = declare("points", {"Point": {"x": (1, "float"), "tags": (2, "repeated string")}})["Point"]
        >>> Point(x=1.5, tags=["a"]).x
        1.5
    """
    proto = descriptor_pb2.FileDescriptorProto(name=f"{file}.proto", package=f"{_PACKAGE}.{file}", syntax="proto3")
    proto.dependency.append(wrappers_pb2.DESCRIPTOR.name)
    for name, fields in messages.items():
        message = proto.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            _add_field(message, field, number, kind, f".{proto.package}")
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(proto)
    return {name: _class_of(pool, f"{proto.package}.{name}") for name in messages}


def _class_of(pool: descriptor_pool.DescriptorPool, name: str) -> Any:
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


def _add_field(message: Any, name: str, number: int, kind: str, package: str) -> None:
    *modifiers, kind = kind.split()
    if modifiers == ["map<string>"]:
        entry = message.nested_type.add(name=f"{name.title().replace('_', '')}Entry")
        entry.options.map_entry = True
        _add_field(entry, "key", 1, "string", package)
        _add_field(entry, "value", 2, kind, package)
        modifiers, kind = ["repeated"], f"{message.name}.{entry.name}"
    label = _Field.LABEL_REPEATED if modifiers == ["repeated"] else _Field.LABEL_OPTIONAL
    field = message.field.add(name=name, number=number, label=label)
    if kind in _WRAPPED:
        field.type, field.type_name = _Field.TYPE_MESSAGE, f".google.protobuf.{kind}"
    elif kind[0].isupper():
        field.type, field.type_name = _Field.TYPE_MESSAGE, f"{package}.{kind}"
    else:
        field.type = _Field.Type.Value(f"TYPE_{kind.upper()}")


_SERVING = declare(
    "predict",
    {
        "Dim": {"size": (1, "int64")},
        "Shape": {"dim": (2, "repeated Dim"), "unknown_rank": (3, "bool")},
        "Tensor": {
            "dtype": (1, "int32"),
            "tensor_shape": (2, "Shape"),
            "tensor_content": (4, "bytes"),
            "float_val": (5, "repeated float"),
            "double_val": (6, "repeated double"),
            "int_val": (7, "repeated int32"),
            "string_val": (8, "repeated bytes"),
            "int64_val": (10, "repeated int64"),
            "bool_val": (11, "repeated bool"),
            "uint32_val": (16, "repeated uint32"),
            "uint64_val": (17, "repeated uint64"),
        },
        "ModelSpec": {
            "name": (1, "string"),
            "version": (2, "Int64Value"),
            "signature_name": (3, "string"),
            "version_label": (4, "string"),
        },
        "PredictRequest": {"model_spec": (1, "ModelSpec"), "inputs": (2, "map<string> Tensor")},
        "PredictResponse": {"outputs": (1, "map<string> Tensor"), "model_spec": (2, "ModelSpec")},
        "GetModelStatusRequest": {"model_spec": (1, "ModelSpec")},
        "GetModelStatusResponse": {"model_version_status": (1, "repeated ModelVersionStatus")},
        "ModelVersionStatus": {"version": (1, "int64"), "state": (2, "int32"), "status": (3, "Status")},
        "Status": {"error_code": (1, "int32"), "error_message": (2, "string")},
    },
)
PredictRequest, PredictResponse = _SERVING["PredictRequest"], _SERVING["PredictResponse"]
GetModelStatusRequest, GetModelStatusResponse = _SERVING["GetModelStatusRequest"], _SERVING["GetModelStatusResponse"]

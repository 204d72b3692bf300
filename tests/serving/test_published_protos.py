"""Published .proto files, for clients in other languages, against the stubs of tensorflow-serving-api."""

import re
from pathlib import Path

import pytest
from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import FieldDescriptorProto
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

PROTOS = Path(__file__).parents[2] / "serving" / "clients" / "protos"
SKIPPED = re.compile(r"(//.*|syntax .*|import .*)?")
PACKAGE = re.compile(r"package ([\w.]+);")
BLOCK = re.compile(r"(message|enum|oneof|service) (\w+) {")
LINES = {
    "map": re.compile(r"map<(?P<key>\w+), (?P<kind>\w+)> (?P<name>\w+) = (?P<number>\d+);"),
    "repeated": re.compile(r"repeated (?P<kind>[\w.]+) (?P<name>\w+) = (?P<number>\d+);"),
    "value": re.compile(r"(?P<name>[A-Z_0-9]+) = (?P<number>\d+);"),
    "method": re.compile(r"rpc (?P<name>\w+)\((?P<request>\w+)\) returns \((?P<response>\w+)\);"),
    "field": re.compile(r"(?P<kind>[\w.]+) (?P<name>\w+) = (?P<number>\d+);"),
}


def declared(path):
    """Yield every declaration of a file: its kind, the full name of its scope, its oneof, and its parts."""
    scope, oneof = [], None
    for line in map(str.strip, path.read_text(encoding="utf-8").splitlines()):
        if package := PACKAGE.fullmatch(line):
            scope.append(package[1])
        elif block := BLOCK.fullmatch(line):
            if block[1] == "oneof":
                oneof = block[2]
            else:
                scope.append(block[2])
        elif line == "}":
            if oneof is None:
                scope.pop()
            oneof = None
        elif not SKIPPED.fullmatch(line):
            kind, parts = next((kind, match) for kind, line_of in LINES.items() if (match := line_of.fullmatch(line)))
            yield kind, ".".join(scope), oneof, parts.groupdict()


DECLARED = [line for path in sorted(PROTOS.glob("*.proto")) for line in declared(path)]
POOL = descriptor_pool.Default()


def every(*kinds):
    """Parametrise a test by the declarations of some kinds."""
    chosen = [line for line in DECLARED if line[0] in kinds]
    names = [f"{scope}.{parts['name']}" for _, scope, _, parts in chosen]
    return pytest.mark.parametrize(("kind", "scope", "oneof", "parts"), chosen, ids=names)


def type_of(field):
    """Return the name of a scalar type, or the last part of the name of a message or an enum."""
    named = field.message_type or field.enum_type
    return named.name if named else FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()


@every("field", "repeated", "map")
def test_fields_equal_the_stubs(kind, scope, oneof, parts):
    field = POOL.FindMessageTypeByName(scope).fields_by_name[parts["name"]]
    assert field.number == int(parts["number"])
    assert field.is_repeated == (kind != "field")
    assert getattr(field.containing_oneof, "name", None) == oneof
    if kind == "map":
        entry = field.message_type.fields_by_name
        assert (type_of(entry["key"]), type_of(entry["value"])) == (parts["key"], parts["kind"])
    else:
        assert type_of(field) == parts["kind"].split(".")[-1]


@every("value")
def test_enum_values_equal_the_stubs(kind, scope, oneof, parts):
    assert POOL.FindEnumTypeByName(scope).values_by_name[parts["name"]].number == int(parts["number"])


class Methods(dict):
    """A channel that records the methods of a stub: serializer and deserializer by path."""

    def unary_unary(self, path, request_serializer, response_deserializer, **_):
        self[path] = request_serializer, response_deserializer


@every("method")
def test_methods_equal_the_stubs(kind, scope, oneof, parts):
    official = Methods()
    prediction_service_pb2_grpc.PredictionServiceStub(official)
    request, response = (getattr(predict_pb2, parts[name]) for name in ("request", "response"))
    assert official[f"/{scope}/{parts['name']}"] == (request.SerializeToString, response.FromString)


def test_a_prediction_can_be_requested():
    names = {(scope, parts["name"]) for _, scope, _, parts in DECLARED}
    assert {
        ("tensorflow.serving.PredictionService", "Predict"),
        ("tensorflow.serving.ModelSpec", "version_label"),
        ("tensorflow.TensorProto", "string_val"),
        ("tensorflow.TensorShapeProto.Dim", "size"),
    } <= names

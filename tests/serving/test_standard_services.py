"""Services that standard gRPC clients use: reflection, as grpcurl does, and health."""

import shutil

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from stub_client import TIMEOUT

from tfllmrec.serving.configuration import one_model
from tfllmrec.serving.server import ModelServer

PREDICTION, MODELS = "tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"
REFLECTION = "grpc.reflection.v1alpha.ServerReflection"
SERVING = health_pb2.HealthCheckResponse.SERVING


@pytest.fixture
def start(multipliers, tmp_path):
    """Return a function that starts a server with options, and a channel to it."""
    shutil.copytree(multipliers[2], tmp_path / "twice" / "1")
    started = []

    def start(**options):
        server = ModelServer(one_model("twice", tmp_path / "twice"), port=0, rest_api_port=0, **options).start()
        started.append((server, grpc.insecure_channel(server.grpc_address)))
        return started[-1]

    yield start
    for server, channel in started:
        channel.close()
        server.stop(grace=0)


def test_a_client_without_descriptors_calls_the_server_by_reflection(server):
    with grpc.insecure_channel(server.process.grpc_address) as channel:
        reflected = ProtoReflectionDescriptorDatabase(channel)
        assert set(reflected.get_services()) == {PREDICTION, MODELS, REFLECTION}
        pool = DescriptorPool(reflected)
        service = pool.FindServiceByName(PREDICTION)
        assert {"Predict", "Classify", "Regress", "MultiInference", "GetModelMetadata"} == set(service.methods_by_name)
        predict = service.methods_by_name["Predict"]
        assert predict.input_type.full_name == "tensorflow.serving.PredictRequest"
        request = GetMessageClass(predict.input_type)(model_spec={"name": "films", "signature_name": "embed_items"})
        tensor = request.inputs["item_ids"]
        tensor.dtype, tensor.string_val[:] = 7, [b"item1"]
        tensor.tensor_shape.dim.add(size=1)
        call = channel.unary_unary(
            f"/{PREDICTION}/Predict",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(predict.output_type).FromString,
        )
        values = call(request, timeout=TIMEOUT).outputs["embeddings"].float_val
    assert list(values) == server.predict("embed_items", item_ids=["item1"])["embeddings"].ravel().tolist()


def test_health_is_off_unless_it_is_enabled_as_in_tf_serving(start):
    _, channel = start()
    with pytest.raises(grpc.RpcError) as error:
        health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT)
    assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_health_has_the_names_of_tf_serving_until_the_server_stops(start):
    server, channel = start(enable_grpc_healthcheck_service=True)
    health = health_pb2_grpc.HealthStub(channel)
    for service in ("", "PredictionService", "ModelService"):
        request = health_pb2.HealthCheckRequest(service=service)
        assert health.Check(request, timeout=TIMEOUT).status == SERVING
    with pytest.raises(grpc.RpcError) as error:
        health.Check(health_pb2.HealthCheckRequest(service=PREDICTION), timeout=TIMEOUT)
    assert error.value.code() is grpc.StatusCode.NOT_FOUND
    assert "grpc.health.v1.Health" in ProtoReflectionDescriptorDatabase(channel).get_services()
    statuses = health.Watch(health_pb2.HealthCheckRequest(), timeout=TIMEOUT)
    assert next(statuses).status == SERVING
    server.stop(grace=0)
    assert next(statuses).status == health_pb2.HealthCheckResponse.NOT_SERVING

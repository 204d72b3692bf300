"""Deadlines: an expired request does not run, and a run ends at its deadline."""

import json
import time
import urllib.error
import urllib.request
from contextlib import nullcontext
from types import SimpleNamespace

import grpc
import numpy as np
import pytest
import tensorflow as tf
from batcher_harness import NEVER, code_of, outputs_of
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

from tfllmrec.serving.batching_parameters import BatchingParameters
from tfllmrec.serving.configuration import one_model
from tfllmrec.serving.grpc_api import PredictionService
from tfllmrec.serving.limits import Limits
from tfllmrec.serving.server import ModelServer
from tfllmrec.serving.session import ServedModel
from tfllmrec_client.status import RequestError

ENDLESS = 2**31 - 1
"""Number of steps that take hours."""


class Steps(tf.Module):
    """Counts its runs, each of which takes the requested number of steps."""

    def __init__(self):
        super().__init__()
        self.runs = tf.Variable(0)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, "steps")])
    def run(self, steps):
        with tf.control_dependencies([self.runs.assign_add(1)]):
            matrix = tf.while_loop(
                lambda step, _: step < tf.reduce_max(steps),
                lambda step, matrix: (step + 1, tf.linalg.matmul(matrix, matrix) * 0.01),
                [0, tf.eye(64)],
            )[1]
        return {"sums": tf.fill([tf.size(steps)], tf.reduce_sum(matrix))}

    @tf.function(input_signature=[])
    def count(self):
        return {"runs": self.runs.read_value()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    module, folder = Steps(), tmp_path_factory.mktemp("steps")
    tf.saved_model.save(module, str(folder / "1"), {"serving_default": module.run, "count": module.count})
    return folder


@pytest.fixture
def model(folder):
    model = ServedModel(folder / "1")
    yield model
    model.close()


def runs(model):
    return int(model.run("count", {})["runs"])


def steps(count):
    return {"steps": np.array([count], np.int32)}


def test_a_run_ends_at_its_deadline(model):
    with pytest.raises(RequestError) as error:
        model.run("", steps(ENDLESS), deadline=time.monotonic() + 0.05)
    assert error.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert runs(model) == 1
    model.run("", steps(1), deadline=time.monotonic() + 60)
    assert runs(model) == 2


def test_a_far_deadline_costs_quick_runs_nothing(model, monkeypatch):
    limited = []
    run_until = ServedModel._run_until
    monkeypatch.setattr(ServedModel, "_run_until", lambda *arguments: limited.append(1) or run_until(*arguments))
    for seconds, count in ((60, 1), (60, 1), (5, 2)):  # the first run of all is limited as well
        model.run("", steps(1), deadline=time.monotonic() + seconds)
        assert len(limited) == count
    monkeypatch.setattr("tfllmrec.serving.session._QUICK_SECONDS", 0.0)
    model.run("", steps(1), deadline=time.monotonic() + 60)
    assert len(limited) == 3


def test_an_expired_request_does_not_run(model):
    with pytest.raises(RequestError) as error:
        model.run("", steps(1), deadline=time.monotonic())
    assert error.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert runs(model) == 0


def start(folder, batching=None, **limits):
    return ModelServer(
        one_model("steps", folder), port=0, rest_api_port=0, batching=batching, limits=Limits(**limits)
    ).start()


def request(count):
    message = predict_pb2.PredictRequest(model_spec={"name": "steps"})
    message.inputs["steps"].CopyFrom(tf.make_tensor_proto([count], tf.int32))
    return message


@pytest.mark.parametrize("batching", [None, BatchingParameters(max_batch_size=1, num_batch_threads=1)])
def test_requests_that_expire_in_a_queue_do_not_run(folder, batching):
    server = start(folder, batching, grpc_max_threads=1 if batching is None else 32)
    with grpc.insecure_channel(server.grpc_address) as channel:
        stub = PredictionServiceStub(channel)
        grpc.channel_ready_future(channel).result(60)
        expiring = [stub.Predict.future(request(ENDLESS), timeout=0.2) for _ in range(8)]
        assert {each.exception().code() for each in expiring} == {grpc.StatusCode.DEADLINE_EXCEEDED}
        assert stub.Predict(request(1), timeout=60).outputs["sums"].float_val
    _, version = server.models.find(predict_pb2.PredictRequest(model_spec={"name": "steps"}).model_spec)
    assert runs(version.model) <= 3  # the first one, the last one, and one that may start when the first one ends
    server.stop()


def test_an_expired_grpc_request_is_not_read():
    codes = []
    core = SimpleNamespace(count_request=lambda *_: nullcontext())  # has no models to run
    context = SimpleNamespace(time_remaining=lambda: 0.0, abort=lambda code, _: codes.append(code))
    PredictionService(core).Predict(request(1), context)
    assert codes == [grpc.StatusCode.DEADLINE_EXCEEDED]


def test_a_rest_request_ends_after_its_timeout(folder):
    server = start(folder, rest_api_timeout_in_ms=200)
    body = json.dumps({"inputs": [ENDLESS]}).encode()
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(f"{server.rest_url}/v1/models/steps:predict", body, timeout=60)
    assert error.value.code == 504
    assert json.loads(error.value.read()).keys() == {"error"}
    server.stop()


def test_an_expired_request_leaves_its_batch(make_harness):
    harness = make_harness(max_batch_size=4)
    harness.block_thread()
    waiting = harness.submit(x=[1], deadline=time.monotonic() + 60)
    expired = harness.submit(x=[2], deadline=time.monotonic() + 0.01)
    assert code_of(expired) == "DEADLINE_EXCEEDED"
    harness.released.set()
    assert outputs_of(waiting) == {"x": [2]}
    assert harness.batches == [{"x": [1]}]


def test_a_batch_ends_at_the_last_deadline(make_harness):
    deadlines = []

    def run(inputs, deadline):
        deadlines.append(deadline)
        return inputs

    harness = make_harness(max_batch_size=2, batch_timeout_micros=NEVER)
    near, far = time.monotonic() + 100, time.monotonic() + 200
    for pair in ((near, far), (far, None)):
        futures = [harness.submit(run=run, deadline=deadline, x=[1]) for deadline in pair]
        assert [outputs_of(future) for future in futures] == [{"x": [1]}] * 2
    assert deadlines == [far, None]

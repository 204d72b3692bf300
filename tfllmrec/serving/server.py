"""The embedded model server: models behind gRPC and REST, for one machine, development and tests."""

import os
from functools import partial
from pathlib import Path
from typing import Any, Self

import grpc

from tfllmrec.errors import InputError
from tfllmrec.serving.batching import Batcher
from tfllmrec.serving.batching_parameters import BatchingParameters
from tfllmrec.serving.configuration import read_config
from tfllmrec.serving.core import ServerCore
from tfllmrec.serving.grpc_api import GrpcServer
from tfllmrec.serving.limits import Limits
from tfllmrec.serving.models import Models
from tfllmrec.serving.polling import Repeating
from tfllmrec.serving.recommendation_log import RecommendationLog
from tfllmrec.serving.rest_server import RestServer

_GRACE_SECONDS = 10.0
"""What running requests get when the server is told to stop."""
_THREADS = 4 * (os.cpu_count() or 1)
_BATCHING_THREADS = 64
"""Requests that wait for a batch each hold a thread."""


class ModelServer:
    """Models served over gRPC and REST, with TF Serving's messages, paths and codes.

    Ports are taken first, so a port in use is known before any model is loaded; requests are answered after `start`.
    A version that does not load is reported as such, and the others are served.

    Args:
        configs: `ModelConfig` messages, from `one_model` or `read_config`.
        host: where to listen.
        port: for gRPC; 0 takes a free one.
        rest_api_port: for REST; 0 takes a free one.
        batching: joins requests; None runs each on its own.
        limits: how large requests may be, how many come at once, how slow; None for the usual ones.
        model_config_file: where `configs` were read from, to be read again.
        credentials: for TLS of gRPC; None for no encryption.
        grpc_socket_path: a Unix socket for gRPC as well; "" for none.
        metrics_path: where Prometheus finds metrics over REST; "" for nowhere.
        recommendation_log: logs served recommendations and is closed with the server; None logs nothing.
        file_system_poll_wait_seconds: between two looks for new versions; 0 never looks again.
        model_config_file_poll_wait_seconds: between two readings of that file; 0 never reads it again.

    Attributes:
        models: what is served.
        grpc_address: "host:port".
        rest_url: "http://host:port".

    Raises:
        InputError: a port is taken, a folder is no export, or no version of any model could be loaded.
    """

    def __init__(
        self,
        configs: list[Any],
        *,
        host: str = "127.0.0.1",
        port: int = 8500,
        rest_api_port: int = 8501,
        batching: BatchingParameters | None = None,
        limits: Limits | None = None,
        model_config_file: Path | None = None,
        credentials: grpc.ServerCredentials | None = None,
        grpc_socket_path: str = "",
        metrics_path: str = "",
        recommendation_log: RecommendationLog | None = None,
        file_system_poll_wait_seconds: float = 1,
        model_config_file_poll_wait_seconds: float = 0,
    ) -> None:
        threads, limits = _BATCHING_THREADS if batching else _THREADS, limits or Limits()
        self._grpc = GrpcServer(host, port, limits.grpc_max_threads or threads, credentials, grpc_socket_path, limits)
        self._rest = RestServer(host, rest_api_port, limits.rest_api_num_threads or threads, limits)
        self.grpc_address = f"{host}:{self._grpc.port}"
        self.rest_url = f"http://{host}:{self._rest.port}"
        try:
            self.models = Models(configs)
            if not any(found.model for _, _, found in self.models):
                raise InputError("; ".join(found.error for _, _, found in self.models))
        except BaseException:
            self._stop_listening(0)
            raise
        self._core = ServerCore(self.models, Batcher(batching) if batching else None, recommendation_log)
        self._metrics_path = metrics_path
        self._polls = []
        if file_system_poll_wait_seconds:
            self._polls.append(Repeating(file_system_poll_wait_seconds, self.models.poll))
        if model_config_file and model_config_file_poll_wait_seconds:
            again = partial(self._read_again, model_config_file)
            self._polls.append(Repeating(model_config_file_poll_wait_seconds, again))

    def start(self) -> Self:
        """Answer requests, in threads of the server's own."""
        self._grpc.start(self._core)
        self._rest.start(self._core, self._metrics_path)
        for poll in self._polls:
            poll.start()
        return self

    def stop(self, grace: float = _GRACE_SECONDS) -> None:
        """Take no more requests, give those that run some seconds, free the models."""
        for poll in self._polls:
            poll.stop()
        self._stop_listening(grace)
        self._core.close()

    def _read_again(self, model_config_file: Path) -> None:
        self.models.apply(read_config(model_config_file))

    def _stop_listening(self, grace: float) -> None:
        self._grpc.stop(grace)
        self._rest.stop(grace)

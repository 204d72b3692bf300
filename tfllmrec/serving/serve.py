"""The model server as a program: what it prints, and how it ends."""

import gc
import logging
import sys
from typing import Any

from tfllmrec.quiet import suppress_stderr
from tfllmrec.serving import models, polling, recommendation_log
from tfllmrec.serving.launch import GRPC_LINE, REST_LINE
from tfllmrec.serving.server import ModelServer
from tfllmrec.serving.session import disable_xla
from tfllmrec.serving.signals import wait_for_signal


def serve(configs: list[Any], *, xla: bool = False, **options: Any) -> None:
    """Serve models until the process is told to end; say on stdout which versions are there, and where.

    Args:
        configs: `ModelConfig` messages.
        xla: whether signatures may be compiled; a `tensorflow_model_server` started without flags has XLA off.
        options: those of `ModelServer`.

    Raises:
        InputError: as `ModelServer`.
    """
    if not xla:
        disable_xla()
    _tell_on_stdout()
    with suppress_stderr():
        server = ModelServer(configs, **options).start()
    until_told = wait_for_signal()
    gc.freeze()  # what is loaded stays: the collector need not walk through all of TensorFlow again and again
    print(GRPC_LINE.format(server.grpc_address))
    print(REST_LINE.format(server.rest_url), flush=True)
    until_told()
    server.stop()


def _tell_on_stdout() -> None:
    told = logging.StreamHandler(sys.stdout)
    for module in (models, polling, recommendation_log):
        logger = logging.getLogger(module.__name__)
        logger.addHandler(told)
        logger.setLevel(logging.INFO)

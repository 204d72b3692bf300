"""The model server as a program: what it prints, and how it ends."""

import gc
import logging
import sys
from typing import Any

from tfllmrec.quiet import silent_stderr
from tfllmrec.serving import models, polling, served_lists
from tfllmrec.serving.launch import GRPC_LINE, REST_LINE
from tfllmrec.serving.server import ModelServer
from tfllmrec.serving.session import without_xla
from tfllmrec.serving.signals import told_to_end


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
        without_xla()
    _tell_on_stdout()
    with silent_stderr():
        server = ModelServer(configs, **options).start()
    until_told = told_to_end()
    gc.freeze()  # what is loaded stays: the collector need not walk through all of TensorFlow again and again
    print(GRPC_LINE.format(server.grpc_address))
    print(REST_LINE.format(server.rest_url), flush=True)
    until_told()
    server.stop()


def _tell_on_stdout() -> None:
    told = logging.StreamHandler(sys.stdout)
    for module in (models, polling, served_lists):
        logger = logging.getLogger(module.__name__)
        logger.addHandler(told)
        logger.setLevel(logging.INFO)

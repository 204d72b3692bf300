"""The model server as a program: what it prints, and how it ends."""

import gc
import logging
import sys
from typing import Any

from tfllmrec.quiet import silent_stderr
from tfllmrec.serving import models, polling
from tfllmrec.serving.launch import GRPC_LINE, REST_LINE
from tfllmrec.serving.server import ModelServer, told_to_end
from tfllmrec.serving.session import without_xla

_LOOK_SECONDS = 0.5
"""Python handles signals between its own steps: one that comes just before a wait without end is never handled."""


def serve(configs: list[Any], **options: Any) -> None:
    """Serve models until the process is told to end; say on stdout which versions are there, and where.

    Args:
        configs: `ModelConfig` messages.
        options: those of `ModelServer`.

    Raises:
        InputError: as `ModelServer`.
    """
    without_xla()
    _tell_of_versions()
    with silent_stderr():
        server = ModelServer(configs, **options).start()
    ended = told_to_end()
    gc.freeze()  # what is loaded stays: the collector need not walk through all of TensorFlow again and again
    print(GRPC_LINE.format(server.grpc_address))
    print(REST_LINE.format(server.rest_url), flush=True)
    while not ended.wait(_LOOK_SECONDS):
        pass
    server.stop()


def _tell_of_versions() -> None:
    told = logging.StreamHandler(sys.stdout)
    for module in (models, polling):
        logger = logging.getLogger(module.__name__)
        logger.addHandler(told)
        logger.setLevel(logging.INFO)

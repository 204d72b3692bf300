"""The model server as a program: what it prints, and how it ends."""

import gc
import logging
import sys
from typing import Any

from tfllmrec.quiet import silent_stderr
from tfllmrec.serving import models, polling, served_lists
from tfllmrec.serving.launch import GRPC_LINE, REST_LINE
from tfllmrec.serving.server import ModelServer, told_to_end
from tfllmrec.serving.session import without_xla


def serve(configs: list[Any], **options: Any) -> None:
    """Serve models until the process is told to end; say on stdout which versions are there, and where.

    Args:
        configs: `ModelConfig` messages.
        options: those of `ModelServer`.

    Raises:
        InputError: as `ModelServer`.
    """
    without_xla()
    _tell_on_stdout()
    with silent_stderr():
        server = ModelServer(configs, **options).start()
    ended = told_to_end()
    gc.freeze()  # what is loaded stays: the collector need not walk through all of TensorFlow again and again
    print(GRPC_LINE.format(server.grpc_address))
    print(REST_LINE.format(server.rest_url), flush=True)
    ended.wait()
    server.stop()


def _tell_on_stdout() -> None:
    told = logging.StreamHandler(sys.stdout)
    for module in (models, polling, served_lists):
        logger = logging.getLogger(module.__name__)
        logger.addHandler(told)
        logger.setLevel(logging.INFO)

"""No TensorFlow noise on a terminal that somebody reads."""

import logging
import os
import warnings


def quiet_tensorflow() -> None:
    """Silence TensorFlow's, absl's and Keras's start-up messages; call it before TensorFlow is imported.

    For programs (the command line, benchmarks). A library has no business changing its caller's logs.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for name in ("tensorflow", "absl"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=UserWarning, module="keras|tf_keras")

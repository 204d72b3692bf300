"""Parts that all model families share."""

from tfllmrec.keras_state import require_tensorflow_backend

require_tensorflow_backend()

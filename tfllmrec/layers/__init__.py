"""Keras layers shared by several models."""

from tfllmrec.keras_state import require_tensorflow_backend

require_tensorflow_backend()

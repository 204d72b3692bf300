"""TFRS tasks and losses for Keras 3 `fit`; legacy.py is the only module that imports Keras 2."""

from tfllmrec.keras_state import require_tensorflow_backend

require_tensorflow_backend()

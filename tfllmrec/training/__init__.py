"""Training from the command line: runs on disk, progress, cold-start and multi-task evaluation."""

from tfllmrec.keras_state import require_tensorflow_backend

require_tensorflow_backend()

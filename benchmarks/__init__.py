"""Benchmarks that print one JSON line each. Run from the repository root: `python -m benchmarks.serving.top_k`."""

from tfllmrec.quiet import quiet_tensorflow

quiet_tensorflow()  # before a benchmark imports TensorFlow

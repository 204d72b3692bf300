"""TFRS tasks and losses for Keras 3 `fit`; legacy.py is the only module that imports Keras 2."""

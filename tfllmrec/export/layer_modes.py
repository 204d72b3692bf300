"""Serving modes of layers: plain recurrent operations, static shapes for XLA."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import keras


@contextmanager
def serving_modes(layers: Iterable[keras.layers.Layer], *, compiled: bool) -> Iterator[None]:
    """Set layers to their serving modes inside the block.

    Recurrent layers use plain operations: on a machine with a GPU, Keras would trace cuDNN operations, which a server
    without a GPU cannot run. Layers with shapes that depend on values use static shapes for XLA.

    Args:
        layers: layers of the served models.
        compiled: whether XLA compiles the layers.
    """
    modes = {"use_cudnn": False, "static_shapes": compiled}
    before = [(layer, mode, getattr(layer, mode)) for layer in layers for mode in modes if hasattr(layer, mode)]
    for layer, mode, _ in before:
        setattr(layer, mode, modes[mode])
    try:
        yield
    finally:
        for layer, mode, value in before:
            setattr(layer, mode, value)

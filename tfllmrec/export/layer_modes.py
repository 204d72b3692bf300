"""What layers do otherwise where they are served than where they were trained."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import keras


@contextmanager
def switched(layers: Iterable[keras.layers.Layer], *, compiled: bool) -> Iterator[None]:
    """Inside the block layers are traced as they are served, and after it they are as before.

    Recurrent layers are plain operations, which run everywhere: on a machine with a GPU Keras would trace cuDNN's own,
    which a server without one cannot run. Layers whose operations' shapes hang on values have them static.

    Args:
        layers: of the models that are served.
        compiled: whether XLA compiles them.
    """
    wanted = {"use_cudnn": False, "static_shapes": compiled}
    before = [
        (layer, switch, getattr(layer, switch)) for layer in layers for switch in wanted if hasattr(layer, switch)
    ]
    for layer, switch, _ in before:
        setattr(layer, switch, wanted[switch])
    try:
        yield
    finally:
        for layer, switch, value in before:
            setattr(layer, switch, value)

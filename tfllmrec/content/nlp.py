"""The door to KerasNLP."""

import warnings
from types import ModuleType


def import_keras_nlp() -> ModuleType:
    """`keras_nlp`, which takes seconds to import, without the warning of a progress bar it would not show here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="IProgress not found")
        import keras_nlp
    return keras_nlp

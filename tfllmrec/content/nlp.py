"""The door to KerasNLP."""

from types import ModuleType

from tfllmrec.quiet import suppress_widget_warnings


def import_keras_nlp() -> ModuleType:
    """`keras_nlp`, which takes seconds to import."""
    with suppress_widget_warnings():
        import keras_nlp
    return keras_nlp

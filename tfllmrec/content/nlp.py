"""The door to KerasNLP."""

from types import ModuleType

from tfllmrec.quiet import without_widget_warnings


def import_keras_nlp() -> ModuleType:
    """`keras_nlp`, which takes seconds to import."""
    with without_widget_warnings():
        import keras_nlp
    return keras_nlp

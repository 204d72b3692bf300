"""BERT's tokenizer as a file of its own, for models that hold the rest of BERT themselves."""

import json
from pathlib import Path
from typing import Any

from tfllmrec.content.nlp import import_keras_nlp

_OPTIONS = ("lowercase", "strip_accents")


def write_tokenizer(tokenizer: Any, path: Path) -> None:
    """Write a `keras_nlp.models.BertTokenizer` as JSON."""
    told = {"vocabulary": list(tokenizer.vocabulary), **{name: getattr(tokenizer, name) for name in _OPTIONS}}
    path.write_text(json.dumps(told, ensure_ascii=False) + "\n", encoding="utf-8")


def read_tokenizer(path: Path) -> Any:
    """Read what `write_tokenizer` wrote."""
    keras_nlp = import_keras_nlp()

    told = json.loads(path.read_text(encoding="utf-8"))
    return keras_nlp.models.BertTokenizer(told["vocabulary"], **{name: told[name] for name in _OPTIONS})

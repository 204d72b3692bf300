"""Vectors of texts by a pretrained BERT: every text encoded once, and kept."""

import hashlib
import os
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pooch
from tqdm import tqdm

from tfllmrec.errors import InputError

_BATCH = 64


def item_texts(items: pd.DataFrame, columns: Sequence[str] = ("title", "categories", "text")) -> list[str]:
    """What is written of every item, as one text: the columns that are there, a sentence each.

    Args:
        items: an item table.
        columns: with text, or with names and `|` between.

    Raises:
        InputError: the table has none of the columns.

    Example:
        >>> item_texts(pd.DataFrame({"title": ["Alien (1979)"], "categories": ["Horror|Sci-Fi"]}))
        ['Alien (1979). Horror, Sci-Fi']
    """
    there = [column for column in columns if column in items]
    if not there:
        raise InputError(
            f"items: none of the columns {', '.join(columns)} is there to read; the table has "
            f"{', '.join(map(str, items.columns))}"
        )
    cells = [items[column].astype(object).where(items[column].notna(), "").map(str) for column in there]
    rows = zip(*(cell.str.replace("|", ", ").str.strip() for cell in cells), strict=True)
    return [". ".join(part for part in row if part) for row in rows]


def text_vectors(
    texts: Sequence[str],
    model: str | Path,
    *,
    length: int = 128,
    cache: str | Path | None = None,
    progress: bool = False,
) -> np.ndarray:
    """The mean of the token states of a pretrained BERT for every text, of length 1: float32 [texts, D].

    An empty text has zeros. What was encoded before is read from the cache, by a hash of model, length and text.

    Args:
        texts: any texts.
        model: what `keras_nlp.models.BertBackbone.from_preset` takes: a folder in Keras's or Hugging Face's format, the
            name of a preset ("bert_base_zh", "bert_base_multi"), or "hf://<owner>/<name>".
        length: tokens of a text that are read.
        cache: folder; None takes one in the user's cache folder.
        progress: whether to show a progress bar.

    Raises:
        InputError: there is no such model, or it is no BERT.

    Example:
        >>> vectors = text_vectors(item_texts(data.items), "models/all-minilm-l6-v2")
        >>> items = data.items.assign(text_vector=list(vectors))
    """
    told = f"{_fingerprint(model)} {length}"
    kept = Path(cache or pooch.os_cache("tfllmrec")) / f"text-vectors-{_hash(told)[:16]}.npz"
    known = _read(kept)
    keys = [_hash(text) for text in texts]
    missing = {key: text for key, text in zip(keys, texts, strict=True) if text.strip() and key not in known}
    if missing:
        vectors = _encode([*missing.values()], str(model), length, progress=progress)
        known |= dict(zip(missing, vectors, strict=True))
        _write(kept, known)
    width = len(next(iter(known.values()), ()))
    nothing = np.zeros(width, np.float32)
    return np.array([known.get(key, nothing) for key in keys], np.float32).reshape(len(keys), width)


def _encode(texts: list[str], model: str, length: int, *, progress: bool) -> np.ndarray:
    """Longest texts first, so that those of a batch are of one length and the first batch needs the most memory."""
    import tensorflow as tf

    encoder, preprocessor = _load(model, length)
    order = np.argsort([-len(text) for text in texts], kind="stable")
    plain = [texts[place].replace("\xa0", " ") for place in order]  # which the tokenizer would not know
    batches = tf.data.Dataset.from_tensor_slices(plain).batch(_BATCH).map(preprocessor)

    @tf.function(reduce_retracing=True)
    def encode(tokens: dict[str, tf.Tensor]) -> tf.Tensor:
        longest = tf.reduce_max(tf.reduce_sum(tf.cast(tokens["padding_mask"], tf.int32), axis=1))
        return encoder({name: part[:, :longest] for name, part in tokens.items()})

    found = []
    with tqdm(total=len(texts), desc="texts", unit="text", disable=not progress) as bar:
        for tokens in batches:
            found.append(encode(tokens).numpy())
            bar.update(len(found[-1]))
    vectors = np.concatenate(found).astype(np.float32)
    return vectors[np.argsort(order)]


def _load(model: str, length: int) -> tuple[Any, Any]:
    """The model from token ids to vectors, and what makes token ids of texts."""
    import keras_nlp

    try:
        tokenizer = keras_nlp.models.BertTokenizer.from_preset(model)
        if tokenizer.lowercase:  # such models know letters without accents only
            tokenizer = keras_nlp.models.BertTokenizer.from_preset(model, strip_accents=True)
        backbone = keras_nlp.models.BertBackbone.from_preset(model)
    except Exception as error:  # network, files, formats: the readers raise whatever makes them stumble
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"there is no BERT to be had from {model!r} ({reason}): give a folder in Keras's or Hugging Face's format, "
            'the name of a KerasNLP preset such as "bert_base_multi", or "hf://<owner>/<name>"'
        ) from error
    preprocessor = keras_nlp.models.BertTextEmbedderPreprocessor(tokenizer, sequence_length=length)
    return keras_nlp.models.BertTextEmbedder(backbone), preprocessor


def _fingerprint(model: str | Path) -> str:
    """A folder by what is in it, anything else by its name."""
    files = sorted(path for path in Path(model).rglob("*") if path.is_file())
    if not files:
        return str(model)
    return _hash(
        " ".join(f"{path.relative_to(model)} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files)
    )


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _read(path: Path) -> dict[str, np.ndarray]:
    """Vectors by the hash of their text; none where the file is not there or damaged."""
    try:
        with np.load(path) as file:
            return dict(zip(file["keys"].tolist(), file["vectors"], strict=True))
    except Exception:  # a cache that cannot be read is made anew
        return {}


def _write(path: Path, vectors: dict[str, np.ndarray]) -> None:
    """Replace the file in one step."""
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as file:
            np.savez(file, keys=np.array([*vectors]), vectors=np.stack([*vectors.values()]))
        os.replace(beside, path)
    except OSError as error:
        raise InputError(f"{path.parent} cannot be written to: {error.strerror}; give another cache folder") from error

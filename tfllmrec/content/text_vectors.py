"""Vectors of texts by a pretrained BERT: every text encoded once, and kept."""

import hashlib
import os
import uuid
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pooch
from tqdm import tqdm

from tfllmrec.content.pretrained import Bert, pretrained, text_dataset
from tfllmrec.errors import InputError

_BATCH = 64


def text_vectors(
    texts: Sequence[str],
    model: str | Path | Bert,
    *,
    length: int = 128,
    cache: str | Path | None = None,
    progress: bool = False,
) -> np.ndarray:
    """The mean of the token states of a pretrained BERT for every text, of length 1: float32 [texts, D].

    An empty text has zeros. What was encoded before is read from the cache, by a hash of model, length and text.

    Args:
        texts: any texts.
        model: a BERT, or the name or folder of one (`tfllmrec.content.pretrained.pretrained`).
        length: tokens of a text that are read, at most as many as the model has places for.
        cache: folder; None takes one in the user's cache folder.
        progress: whether to show a progress bar.

    Raises:
        InputError: there is no such model, or it is no BERT.

    Example:
        >>> vectors = text_vectors(item_texts(data.items), "all-minilm-l6-v2")
        >>> items = data.items.assign(text_vector=list(vectors))
    """
    if not any(text.strip() for text in texts):
        return np.zeros((len(texts), 0), np.float32)
    bert = model if isinstance(model, Bert) else pretrained(model)
    told = f"{bert.fingerprint} {length}"
    kept = Path(cache or pooch.os_cache("tfllmrec")) / f"text-vectors-{_hash(told)[:16]}.npz"
    known = _read(kept)
    keys = [_hash(text) for text in texts]
    missing = {key: text for key, text in zip(keys, texts, strict=True) if text.strip() and key not in known}
    if missing:
        vectors = _encode([*missing.values()], bert, length, progress=progress)
        known |= dict(zip(missing, vectors, strict=True))
        _write(kept, known)
    width = len(next(iter(known.values()), ()))
    nothing = np.zeros(width, np.float32)
    return np.array([known.get(key, nothing) for key in keys], np.float32).reshape(len(keys), width)


def _encode(texts: list[str], bert: Bert, length: int, *, progress: bool) -> np.ndarray:
    """Longest texts first, so that those of a batch are of one length and the first batch needs the most memory."""
    import keras_nlp
    import tensorflow as tf

    encoder = keras_nlp.models.BertTextEmbedder(bert.backbone)
    order = np.argsort([-len(text) for text in texts], kind="stable")
    sorted_texts = [texts[place] for place in order]

    @tf.function(reduce_retracing=True)
    def encode(tokens: dict[str, tf.Tensor]) -> tf.Tensor:
        longest = tf.reduce_max(tf.reduce_sum(tf.cast(tokens["padding_mask"], tf.int32), axis=1))
        return encoder({name: part[:, :longest] for name, part in tokens.items()})

    found = []
    with tqdm(total=len(texts), desc="texts", unit="text", disable=not progress) as bar:
        for tokens in text_dataset(sorted_texts).batch(_BATCH).map(bert.preprocessor(length)):
            found.append(encode(tokens).numpy())
            bar.update(len(found[-1]))
    vectors = np.concatenate(found).astype(np.float32)
    return vectors[np.argsort(order)]


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

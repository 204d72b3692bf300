"""Vectors of texts by a pretrained BERT: every text encoded once, and kept."""

import hashlib
import os
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from tfllmrec.content.nlp import import_keras_nlp
from tfllmrec.content.pretrained import Bert, pretrained, spaced, text_dataset
from tfllmrec.errors import InputError
from tfllmrec.quiet import suppress_widget_warnings

if TYPE_CHECKING:
    import tensorflow as tf

_BATCH = 64


def text_vectors(
    texts: Sequence[str],
    model: str | Path | Bert,
    *,
    length: int = 128,
    cache: str | Path | None = None,
    keep: bool = True,
    progress: bool = False,
) -> np.ndarray:
    """The mean of the token states of a pretrained BERT for every text, of length 1: float32 [texts, D].

    An empty text has zeros. What was encoded before is read from the cache, by a hash of model, length and text.

    Args:
        texts: any texts.
        model: a BERT, or the name or folder of one (`tfllmrec.content.pretrained.pretrained`).
        length: tokens of a text that are read, at most as many as the model has places for.
        cache: folder; None takes one in the user's cache folder.
        keep: whether to use the cache at all, which a model that will not be met again should not.
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
    if not keep:
        return _encode([*texts], bert, length, progress=progress)
    told = f"{bert.fingerprint} {length}"
    kept = Path(cache or _users_cache()) / f"text-vectors-{_hash(told)[:16]}.npz"
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


def text_encoder(bert: Bert, length: int) -> "Callable[[tf.Tensor], tf.Tensor]":
    """What makes vectors of texts, also in a graph that is served: string [n] -> float32 [n, D].

    A vector is the mean of the states of a text's tokens, of length 1; an empty text has zeros.

    Args:
        bert: the model.
        length: tokens of a text that are read, at most as many as the model has places for.
    """
    keras_nlp = import_keras_nlp()
    import tensorflow as tf

    preprocess, embedder = bert.preprocessor(length), keras_nlp.models.BertTextEmbedder(bert.backbone)

    def encode(texts: tf.Tensor) -> tf.Tensor:
        tokens = preprocess(texts)
        longest = tf.reduce_max(tf.reduce_sum(tf.cast(tokens["padding_mask"], tf.int32), axis=1))
        vectors = embedder({name: part[:, :longest] for name, part in tokens.items()})
        return tf.where(written(texts)[:, None], tf.cast(vectors, tf.float32), 0.0)

    return encode


def mean_encoder(bert: Bert, length: int) -> "Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]":
    """The same of several texts together: string [B, any] -> their mean float32 [B, D], whether there is any bool [B].

    Blank texts do not count; a row of nothing else has zeros.
    """
    import tensorflow as tf

    encode = text_encoder(bert, length)

    def mean(texts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        there = written(texts)
        vectors = encode(tf.concat([[""], tf.boolean_mask(texts, there)], axis=0))[1:]  # never none at all
        rows = tf.where(there)[:, 0]
        return tf.math.unsorted_segment_mean(vectors, rows, tf.shape(texts)[0]), tf.reduce_any(there, axis=1)

    return mean


def written(texts: "tf.Tensor") -> "tf.Tensor":
    """Where there is more than blanks: string of any shape -> bool."""
    import tensorflow as tf

    return tf.strings.strip(spaced(texts)) != ""


def _encode(texts: list[str], bert: Bert, length: int, *, progress: bool) -> np.ndarray:
    """Longest texts first, so that those of a batch are of one length and the first batch needs the most memory."""
    import tensorflow as tf

    encode = tf.function(text_encoder(bert, length), input_signature=[tf.TensorSpec([None], tf.string)])
    order = np.argsort([-len(text) for text in texts], kind="stable")
    found = []
    with tqdm(total=len(texts), desc="texts", unit="text", disable=not progress) as bar:
        for batch in text_dataset([texts[place] for place in order]).batch(_BATCH):
            found.append(encode(batch).numpy())
            bar.update(len(found[-1]))
    return np.concatenate(found)[np.argsort(order)]


def _users_cache() -> Path:
    with suppress_widget_warnings():
        import pooch
    return Path(pooch.os_cache("tfllmrec"))


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

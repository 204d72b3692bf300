"""Text vectors of a pretrained BERT, with a cache on disk."""

import hashlib
import os
import uuid
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from tfllmrec.content.bert import Bert
from tfllmrec.content.bert_encoder import text_encoder
from tfllmrec.content.bert_loading import pretrained_bert
from tfllmrec.content.text_tensors import text_dataset
from tfllmrec.errors import InputError
from tfllmrec.keras_state import isolated_keras
from tfllmrec.quiet import suppress_widget_warnings

_BATCH_SIZE = 64


@isolated_keras()
def text_vectors(
    texts: Sequence[str],
    model: str | Path | Bert,
    *,
    length: int = 128,
    cache: str | Path | None = None,
    use_cache: bool = True,
    progress: bool = False,
) -> np.ndarray:
    """Return the mean token states of every text, scaled to length 1: float32 [texts, D].

    The vector of a blank text is zero; if all texts are blank, the model is not loaded and D is 0. Vectors are cached
    by a hash of model, length and text.

    Args:
        texts: the texts.
        model: a BERT, or a name or folder for `tfllmrec.content.bert_loading.pretrained_bert`.
        length: tokens per text; capped at the maximum length of the model.
        cache: cache folder; by default one in the user's cache folder.
        use_cache: whether to read and write the cache; of no use for a model that is used once.
        progress: whether to show a progress bar.

    Raises:
        InputError: If there is no such model, or it is not a BERT.

    Example:
        >>> import keras_nlp
        >>> from tfllmrec.content.bert import Bert
        >>> words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "alien", "brazil"]
        >>> tokenizer = keras_nlp.models.BertTokenizer(words, lowercase=True)
        >>> bert = Bert(keras_nlp.models.BertBackbone(len(words), 1, 2, 8, 16), tokenizer)  # or "all-minilm-l6-v2"
        >>> items = pd.DataFrame({"item_id": ["a", "b"], "title": ["Alien", "Brazil"]})
        >>> items = items.assign(text_vector=list(text_vectors(items["title"], bert)))
    """
    if not any(text.strip() for text in texts):
        return np.zeros((len(texts), 0), np.float32)
    bert = model if isinstance(model, Bert) else pretrained_bert(model)
    if not use_cache:
        return _encode([*texts], bert, length, progress=progress)
    path = Path(cache or _default_cache()) / f"text-vectors-{_hash(f'{bert.fingerprint} {length}')[:16]}.npz"
    by_key = _read(path)
    keys = [_hash(text) for text in texts]
    missing = {key: text for key, text in zip(keys, texts, strict=True) if text.strip() and key not in by_key}
    if missing:
        vectors = _encode([*missing.values()], bert, length, progress=progress)
        by_key |= dict(zip(missing, vectors, strict=True))
        _write(path, by_key)
    dim = len(next(iter(by_key.values()), ()))
    zeros = np.zeros(dim, np.float32)
    return np.array([by_key.get(key, zeros) for key in keys], np.float32).reshape(len(keys), dim)


def _encode(texts: list[str], bert: Bert, length: int, *, progress: bool) -> np.ndarray:
    """Encode the longest texts first: batches need little padding, and the first one needs the most memory."""
    import tensorflow as tf

    encode = tf.function(text_encoder(bert, length), input_signature=[tf.TensorSpec([None], tf.string)])
    order = np.argsort([-len(text) for text in texts], kind="stable")
    vectors = []
    with tqdm(total=len(texts), desc="texts", unit="text", disable=not progress) as bar:
        for batch in text_dataset([texts[position] for position in order]).batch(_BATCH_SIZE):
            vectors.append(encode(batch).numpy())
            bar.update(len(vectors[-1]))
    return np.concatenate(vectors)[np.argsort(order)]


def _default_cache() -> Path:
    with suppress_widget_warnings():
        import pooch
    return Path(pooch.os_cache("tfllmrec"))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _read(path: Path) -> dict[str, np.ndarray]:
    """Return vectors by the hash of their text; empty if the file does not exist or is damaged."""
    try:
        with np.load(path) as file:
            return dict(zip(file["keys"].tolist(), file["vectors"], strict=True))
    except Exception:  # an unreadable cache is replaced
        return {}


def _write(path: Path, vectors: dict[str, np.ndarray]) -> None:
    """Replace the file atomically."""
    staging = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with staging.open("wb") as file:
            np.savez(file, keys=np.array([*vectors]), vectors=np.stack([*vectors.values()]))
        os.replace(staging, path)
    except OSError as error:
        raise InputError(f"{path.parent} cannot be written to: {error.strerror}; give another cache folder") from error

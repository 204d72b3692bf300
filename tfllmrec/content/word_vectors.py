"""Word vectors: Word2Vec or FastText by gensim, with IDF-weighted sums per sentence."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Self

import numpy as np
import pandas as pd
import scipy.sparse
from gensim.models import FastText, Word2Vec
from gensim.models.callbacks import CallbackAny2Vec
from gensim.models.fasttext import ft_ngram_hashes
from gensim.models.word2vec import MAX_WORDS_IN_BATCH
from tqdm import tqdm

from tfllmrec.data.vocabulary import Vocabulary
from tfllmrec.errors import InputError

# Initial learning rate: gensim's 0.025 needs twice the epochs; with 0.2, frequent items are not learnt.
_LEARNING_RATE = 0.05
_SUBWORDS = {"min_n": 3, "max_n": 6, "bucket": 20_000}  # gensim's default of two million buckets suits web corpora


@dataclass(frozen=True, eq=False)
class WordVectors:
    """Vocabulary of words (or items, which are the words of histories) and their vectors.

    Attributes:
        vocabulary: words with a vector.
        vectors: by word index, float32 [words + 1, D]; row 0, the unknown word, is zero.
        subword_vectors: vectors of character n-grams by hash, float32 [buckets, D], zero for n-grams that training has
            not seen; None without subwords.

    Raises:
        InputError: If vectors are not finite or their number is wrong.
    """

    vocabulary: Vocabulary
    vectors: np.ndarray
    subword_vectors: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or len(self.vectors) != len(self.vocabulary) + 1 or self.vectors[0].any():
            raise InputError(f"vectors: {len(self.vocabulary)} words need a row of zeros and one row per word")
        expected = (_SUBWORDS["bucket"], self.vectors.shape[1])
        if self.subword_vectors is not None and self.subword_vectors.shape != expected:
            raise InputError(f"subword vectors: give {expected[0]} vectors, as wide as those of words")
        if not all(np.isfinite(table).all() for table in (self.vectors, self.subword_vectors) if table is not None):
            raise InputError("vectors: some are not finite")

    @classmethod
    def train(
        cls,
        sentences: Iterable[Sequence[str]],
        *,
        dim: int,
        window: int,
        min_count: int,
        epochs: int | None = None,
        subwords: bool = False,
        seed: int = 0,
        workers: int = 1,
        progress: str = "",
    ) -> Self:
        """Train skip-gram with negative sampling (Mikolov et al., 2013, NIPS), optionally with subwords (FastText).

        Args:
            sentences: words in order.
            dim: width D of the vectors.
            window: maximum distance between a word and the words that it predicts.
            min_count: words with fewer occurrences are unknown.
            epochs: passes over the sentences; None for `default_epochs`.
            subwords: also learn vectors of character n-grams of 3 to 6 (Bojanowski et al., 2017, TACL), from which
                unknown words get a vector.
            seed: of initial vectors and sampling; results are deterministic with one worker only.
            workers: threads.
            progress: label of a progress bar; "" shows none.

        Example:
            >>> words = WordVectors.train([["red", "wine"], ["red", "beer"]], dim=8, window=5, min_count=2, epochs=5)
            >>> words.vocabulary, words.vectors.shape
            (Vocabulary(1 ids), (2, 8))
        """
        chunks = list(chain.from_iterable(map(_chunks, sentences)))
        options: dict[str, Any] = {"vector_size": dim, "window": window, "min_count": min_count, "seed": seed}
        options |= {"workers": workers, "sg": 1, "alpha": _LEARNING_RATE}
        model = FastText(**options, **_SUBWORDS) if subwords else Word2Vec(**options)
        model.build_vocab(chunks)
        if not len(model.wv):  # gensim refuses to train without words
            return cls(Vocabulary([]), np.zeros((1, dim), np.float32))
        epochs = epochs or default_epochs(model.corpus_total_words)
        with tqdm(total=epochs, desc=progress, unit="epoch", disable=not progress) as bar:
            model.train(chunks, total_examples=len(chunks), epochs=epochs, callbacks=[_ProgressCallback(bar)])
        subword_vectors = _trained_subword_vectors(model.wv) if subwords else None
        return cls(Vocabulary(model.wv.index_to_key), np.pad(model.wv.vectors, [(1, 0), (0, 0)]), subword_vectors)

    def unknown_word_vector(self, word: str) -> np.ndarray:
        """Return the mean vector of the n-grams of a word, float32 [D]; zero without subwords or n-grams."""
        if self.subword_vectors is None:
            return self.vectors[0]
        hashes = ft_ngram_hashes(word, *_SUBWORDS.values())
        return self.subword_vectors[hashes].mean(axis=0) if hashes else self.vectors[0]

    def weighted_sums(self, sentences: Sequence[Sequence[str]], weights: np.ndarray) -> np.ndarray:
        """Return the weighted sum of the word vectors of every sentence: float32 [sentences, D].

        Args:
            sentences: words, known or unknown.
            weights: by word index, float32 [words + 1]; [0] is the weight of unknown words.

        Example:
            >>> from tfllmrec.data import Vocabulary
            >>> words = WordVectors(Vocabulary(["red", "wine"]), np.array([[0, 0], [1, 0], [0, 2]], np.float32))
            >>> words.weighted_sums([["red", "red", "wine"], []], np.array([9, 1, 0.5], np.float32))
            array([[2., 1.],
                   [0., 0.]], dtype=float32)
        """
        rows, flat = _flatten(sentences)
        indices = self.vocabulary.lookup(flat)
        sums = _sum_rows(len(sentences), rows, indices, weights[indices], self.vectors)
        if self.subword_vectors is None:
            return sums
        is_unknown = indices == 0
        columns, words = pd.factorize(flat[is_unknown])
        vectors = np.array([self.unknown_word_vector(word) for word in words], np.float32).reshape(-1, sums.shape[1])
        unknown_weights = np.full(len(columns), weights[0])
        return sums + _sum_rows(len(sentences), rows[is_unknown], columns, unknown_weights, vectors)


def default_epochs(words: int) -> int:
    """Return the epochs in which training sees four million words, from 5 to 40, given the words per epoch.

    Example:
        >>> default_epochs(30_000), default_epochs(400_000), default_epochs(10_000_000)
        (40, 10, 5)
    """
    return min(max(round(4_000_000 / words), 5), 40)


def idf_weights(sentences: Sequence[Sequence[str]], vocabulary: Vocabulary) -> np.ndarray:
    """Return 1 + log((1 + sentences) / (1 + sentences with the word)), float32 [words + 1].

    Index 0, the unknown word, has the weight of a word that occurs in no sentence.

    Example:
        >>> from tfllmrec.data import Vocabulary
        >>> idf_weights([["red", "red", "wine"], ["wine"]], Vocabulary(["red", "wine"])).round(2)
        array([2.1 , 1.41, 1.  ], dtype=float32)
    """
    rows, flat = _flatten(sentences)
    width = len(vocabulary) + 1
    pairs = np.unique(rows * width + vocabulary.lookup(flat))  # distinct pairs of sentence and word
    counts = np.bincount(pairs % width, minlength=width)
    counts[0] = 0
    return (1 + np.log((1 + len(sentences)) / (1 + counts))).astype(np.float32)


def _chunks(sentence: Sequence[str]) -> Iterable[Sequence[str]]:
    """Split a sentence into chunks of gensim's maximum length; gensim silently ignores the words after it."""
    return (sentence[start : start + MAX_WORDS_IN_BATCH] for start in range(0, len(sentence), MAX_WORDS_IN_BATCH))


def _flatten(sentences: Sequence[Sequence[str]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the sentence number of every word, int64, and the words, objects."""
    rows = np.repeat(np.arange(len(sentences)), [len(sentence) for sentence in sentences])
    return rows, np.array([*chain.from_iterable(sentences)], object)


def _trained_subword_vectors(vectors: Any) -> np.ndarray:
    """Return the n-gram vectors of a FastText model, with zeros for n-grams that no known word contains."""
    used = np.unique(np.concatenate(vectors.buckets_word))
    subword_vectors = np.zeros_like(vectors.vectors_ngrams)
    subword_vectors[used] = vectors.vectors_ngrams[used]
    return subword_vectors


def _sum_rows(
    count: int, rows: np.ndarray, indices: np.ndarray, weights: np.ndarray, vectors: np.ndarray
) -> np.ndarray:
    """Return [count, D]; row r is the weighted sum of `vectors[indices]` over the entries where `rows` is r."""
    return scipy.sparse.csr_array((weights, (rows, indices)), shape=(count, len(vectors))) @ vectors


class _ProgressCallback(CallbackAny2Vec):
    """Advances a progress bar after every epoch."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def on_epoch_end(self, model: Any) -> None:
        self._bar.update()

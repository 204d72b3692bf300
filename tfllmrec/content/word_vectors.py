"""What gensim learns from sequences of words, or of anything else: phrases, and vectors by Word2Vec or FastText."""

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
from gensim.models.phrases import ENGLISH_CONNECTOR_WORDS, FrozenPhrases, Phrases
from gensim.models.word2vec import MAX_WORDS_IN_BATCH
from tqdm import tqdm

from tfllmrec.data.vocabulary import Vocabulary
from tfllmrec.errors import InputError

# The learning rate at the start: gensim's 0.025 takes twice the epochs, 0.2 learns nothing where items are frequent.
_RATE = 0.05
_PARTS = {"min_n": 3, "max_n": 6, "bucket": 20_000}  # gensim's own two million buckets are for the whole web
_PHRASES = {"threshold": 0.5, "scoring": "npmi", "connector_words": ENGLISH_CONNECTOR_WORDS}


@dataclass(frozen=True, eq=False)
class WordVectors:
    """Words (or items, which are the words of a history) and their vectors.

    Attributes:
        words: those that have a vector of their own.
        vectors: by word index, float32 [words + 1, D]; row 0, that of unknown words, is zeros.
        parts: vectors of parts of words by the parts' hash, float32 [buckets, D]; zeros where training met none. None
            where unknown words are to stay unknown.

    Raises:
        InputError: vectors are not finite, or not as many as there must be.
    """

    words: Vocabulary
    vectors: np.ndarray
    parts: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or len(self.vectors) != len(self.words) + 1 or self.vectors[0].any():
            raise InputError(f"vectors: {len(self.words)} words need a row of zeros and then a row each")
        if self.parts is not None and self.parts.shape != (_PARTS["bucket"], self.vectors.shape[1]):
            raise InputError(f"parts: there must be {_PARTS['bucket']} vectors, as wide as those of words")
        if not all(np.isfinite(table).all() for table in (self.vectors, self.parts) if table is not None):
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
        """Skip-gram with negative sampling (Mikolov et al., 2013, NIPS), on request with subwords (FastText).

        Args:
            sentences: words in their order.
            dim: width D of the vectors.
            window: words before and after that a word is to predict, at most.
            min_count: words that occur less often have no vector of their own.
            epochs: passes over the sentences; None for `enough_epochs`.
            subwords: learn vectors of 3 to 6 neighbouring characters as well (Bojanowski et al., 2017, TACL), so that
                unknown words can have one.
            seed: of the starting vectors and of what is drawn; with more than one worker no two runs are equal.
            workers: threads.
            progress: name for a progress bar; none without.

        Example:
            >>> learnt = WordVectors.train([["red", "wine"], ["red", "beer"]], dim=8, window=5, min_count=2, epochs=5)
            >>> learnt.words, learnt.vectors.shape
            (Vocabulary(1 ids), (2, 8))
        """
        pieces = list(chain.from_iterable(map(_pieces, sentences)))
        options: dict[str, Any] = {"vector_size": dim, "window": window, "min_count": min_count, "seed": seed}
        options |= {"workers": workers, "sg": 1, "alpha": _RATE}
        model = FastText(**options, **_PARTS) if subwords else Word2Vec(**options)
        model.build_vocab(pieces)
        if not len(model.wv):  # gensim refuses to train
            return cls(Vocabulary([]), np.zeros((1, dim), np.float32))
        epochs = epochs or enough_epochs(model.corpus_total_words)
        with tqdm(total=epochs, desc=progress, unit="epoch", disable=not progress) as bar:
            model.train(pieces, total_examples=len(pieces), epochs=epochs, callbacks=[_Bar(bar)])
        parts = _trained_parts(model.wv) if subwords else None
        return cls(Vocabulary(model.wv.index_to_key), np.pad(model.wv.vectors, [(1, 0), (0, 0)]), parts)

    def of_unknown(self, word: str) -> np.ndarray:
        """The mean of the vectors of a word's parts, float32 [D]; zeros where they are unknown as well."""
        if self.parts is None:
            return self.vectors[0]
        hashes = ft_ngram_hashes(word, *_PARTS.values())
        return self.parts[hashes].mean(axis=0) if hashes else self.vectors[0]

    def weighted_sums(self, sentences: Sequence[Sequence[str]], weights: np.ndarray) -> np.ndarray:
        """The sum of the vectors of each sentence's words, each times its weight: float32 [sentences, D].

        Args:
            sentences: words, known or not.
            weights: by word index, float32 [words + 1]; [0] is that of unknown words.

        Example:
            >>> learnt = WordVectors(Vocabulary(["red", "wine"]), np.array([[0, 0], [1, 0], [0, 2]], np.float32))
            >>> learnt.weighted_sums([["red", "red", "wine"], []], np.array([9, 1, 0.5], np.float32))
            array([[2., 1.],
                   [0., 0.]], dtype=float32)
        """
        rows, flat = _flat(sentences)
        indices = self.words.lookup(flat)
        sums = _sum_rows(len(sentences), rows, indices, weights[indices], self.vectors)
        if self.parts is None:
            return sums
        unknown = indices == 0
        places, strangers = pd.factorize(flat[unknown])
        vectors = np.array([self.of_unknown(word) for word in strangers], np.float32).reshape(-1, sums.shape[1])
        return sums + _sum_rows(len(sentences), rows[unknown], places, np.full(len(places), weights[0]), vectors)


def enough_epochs(words: int) -> int:
    """As many passes as show four million words, from 5 to 40: few texts must be read more often than many.

    Example:
        >>> enough_epochs(30_000), enough_epochs(400_000), enough_epochs(10_000_000)
        (40, 10, 5)
    """
    return min(max(round(4_000_000 / words), 5), 40)


def rarity(sentences: Sequence[Sequence[str]], words: Vocabulary) -> np.ndarray:
    """1 + log((1 + sentences) / (1 + sentences with the word)), float32 [words + 1]; unknown words are in none.

    Example:
        >>> rarity([["red", "red", "wine"], ["wine"]], Vocabulary(["red", "wine"])).round(2)
        array([2.1 , 1.41, 1.  ], dtype=float32)
    """
    rows, flat = _flat(sentences)
    width = len(words) + 1
    pairs = np.unique(rows * width + words.lookup(flat))  # sentence and word, once each
    with_word = np.bincount(pairs % width, minlength=width)
    with_word[0] = 0
    return (1 + np.log((1 + len(sentences)) / (1 + with_word))).astype(np.float32)


def learn_phrases(sentences: Iterable[Sequence[str]]) -> list[str]:
    """Pairs of words that come together five times or more, and that much more often than apart.

    By normalised pointwise mutual information (Bouma, 2009). English "of", "the" and their like may stand between.

    Example:
        >>> learn_phrases([["new", "york"], ["new", "man"], ["old", "man"], ["old", "car"], ["new", "car"]] * 5)
        ['new_york']
    """
    return list(Phrases(sentences, min_count=5, **_PHRASES).export_phrases())


def join_phrases(sentences: Iterable[Sequence[str]], phrases: Iterable[str]) -> list[list[str]]:
    """Sentences in which every phrase that `learn_phrases` found has become one word.

    Example:
        >>> join_phrases([["the", "lord", "of", "the", "rings"]], ["lord_of_the_rings"])
        [['the', 'lord_of_the_rings']]
    """
    joining = FrozenPhrases(Phrases(**_PHRASES))
    joining.phrasegrams = dict.fromkeys(phrases, 1.0)  # any score above the threshold
    return [[word for word, _ in joining.analyze_sentence(sentence)] for sentence in sentences]


def _pieces(sentence: Sequence[str]) -> Iterable[Sequence[str]]:
    """What gensim takes at once; it would pass over the rest in silence."""
    return (sentence[start : start + MAX_WORDS_IN_BATCH] for start in range(0, len(sentence), MAX_WORDS_IN_BATCH))


def _flat(sentences: Sequence[Sequence[str]]) -> tuple[np.ndarray, np.ndarray]:
    """The sentence of every word, int64, and the words, objects: one after the other."""
    rows = np.repeat(np.arange(len(sentences)), [len(sentence) for sentence in sentences])
    return rows, np.array([*chain.from_iterable(sentences)], object)


def _trained_parts(vectors: Any) -> np.ndarray:
    """The vectors of a FastText model's parts; zeros, not the random start, for those that no known word has."""
    used = np.unique(np.concatenate(vectors.buckets_word))
    parts = np.zeros_like(vectors.vectors_ngrams)
    parts[used] = vectors.vectors_ngrams[used]
    return parts


def _sum_rows(count: int, rows: np.ndarray, picked: np.ndarray, weights: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Row r of the result, [count, D], is the weighted sum of the vectors that were picked for it."""
    return scipy.sparse.csr_array((weights, (rows, picked)), shape=(count, len(vectors))) @ vectors


class _Bar(CallbackAny2Vec):
    """One step further after every epoch."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def on_epoch_end(self, model: Any) -> None:
        self._bar.update()

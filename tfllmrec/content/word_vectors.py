"""Word2Vec and FastText by gensim: vectors of words, or of anything else that comes in sequences."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from gensim.models import FastText, Word2Vec
from gensim.models.callbacks import CallbackAny2Vec
from gensim.models.fasttext import ft_ngram_hashes
from tqdm.auto import tqdm

from tfllmrec.data.vocabulary import Vocabulary

_SUBWORDS = {"min_n": 3, "max_n": 6, "bucket": 20_000}  # gensim's own two million buckets are for the whole web


@dataclass(frozen=True, eq=False)
class WordVectors:
    """Words (or items, which are words of a history) and their vectors.

    Attributes:
        words: those that have a vector of their own.
        vectors: by word index, float32 [words + 1, D]; row 0, that of unknown words, is zeros.
        subwords: vectors of the parts of words by the parts' hash, float32 [20,000, D]; None without.
    """

    words: Vocabulary
    vectors: np.ndarray
    subwords: np.ndarray | None = None

    @classmethod
    def train(
        cls,
        sentences: Sequence[Sequence[str]],
        *,
        dim: int,
        window: int,
        min_count: int,
        epochs: int,
        subwords: bool = False,
        seed: int = 0,
        workers: int = 1,
        progress: str = "",
    ) -> Self:
        """Skip-gram with negative sampling (Mikolov et al., 2013, NIPS); of subwords too (Bojanowski et al., 2017, TACL).

        Args:
            sentences: words in their order.
            dim: width D of the vectors.
            window: words before and after that a word is to predict, at most.
            min_count: words that occur less often have no vector of their own.
            epochs: passes over the sentences.
            subwords: learn vectors of 3 to 6 neighbouring characters, so that an unknown word has one.
            seed: of the starting vectors and of what is drawn; with more than one worker no two runs are equal.
            workers: threads.
            progress: name for a progress bar; none without.
        """
        options = {"vector_size": dim, "window": window, "min_count": min_count, "seed": seed, "workers": workers}
        model = FastText(**options, **_SUBWORDS, sg=1) if subwords else Word2Vec(**options, sg=1)
        model.build_vocab(sentences)
        if not len(model.wv):
            return cls(Vocabulary([]), np.zeros((1, dim), np.float32))
        with tqdm(total=epochs, desc=progress, unit="epoch", disable=not progress) as bar:
            model.train(sentences, total_examples=len(sentences), epochs=epochs, callbacks=[_Bar(bar)])
        parts = model.wv.vectors_ngrams if subwords else None
        return cls(Vocabulary(model.wv.index_to_key), np.pad(model.wv.vectors, [(1, 0), (0, 0)]), parts)

    def of_unknown(self, word: str) -> np.ndarray:
        """The mean of the vectors of a word's parts, float32 [D]; zeros where there are none."""
        parts = [] if self.subwords is None else ft_ngram_hashes(word, *_SUBWORDS.values())
        return self.subwords[parts].mean(axis=0) if parts else self.vectors[0]


class _Bar(CallbackAny2Vec):
    """One step further after every epoch."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def on_epoch_end(self, model: Any) -> None:
        self._bar.update()

"""What items are about, from their words and from the company they keep in histories."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
import scipy.sparse
from gensim.models.phrases import ENGLISH_CONNECTOR_WORDS, FrozenPhrases, Phrases
from tqdm.auto import tqdm

from tfllmrec.content.word_vectors import WordVectors
from tfllmrec.content.words import Language, words
from tfllmrec.data.vocabulary import Vocabulary
from tfllmrec.errors import InputError
from tfllmrec.files import appearing


@dataclass(frozen=True)
class Word2VecOptions:
    """How `Word2VecContent` reads texts and learns from them.

    Attributes:
        columns: with text; a table that lacks one has no such text.
        names: columns with names, `|` between; each name is one word.
        language: see `tfllmrec.content.words.words`.
        dim: width of either view.
        window: see `WordVectors.train`.
        min_count: words that occur less often are unknown.
        epochs: passes over texts, and over histories.
        phrases: words that mostly come together become one.
        subwords: unknown words have the vectors of their parts.
        remove_common: the direction that all texts share is taken out.
        seed: of the training; exact with one worker only.
    """

    columns: tuple[str, ...] = ("title", "text")
    names: tuple[str, ...] = ("categories",)
    language: Language = "auto"
    dim: int = 64
    window: int = 5
    min_count: int = 2
    epochs: int = 20
    phrases: bool = True
    subwords: bool = False
    remove_common: bool = True
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Word2VecContent:
    """Content vectors of items: a view of their words and, where it has seen histories, one of their neighbours.

    The first is the mean of the vectors of an item's words, weighted by rarity (IDF), without the direction that all
    texts share (Arora et al., 2017, ICLR). The second is Word2Vec of histories, with items for words (Barkan and
    Koenigstein, 2016, MLSP). Each has length 1, or is zeros where nothing is known: no text or no word of it, or an
    item that was in no history.

    Attributes:
        options: see there.
        phrases: pairs of words that are joined, and their scores.
        words: vectors of words.
        rarity: weights of words by index, float32 [words + 1]; [0] is that of unknown ones.
        common: the direction that is taken out, float32 [dim]; zeros for none.
        neighbours: vectors of items, or None.

    Example:
        >>> content = Word2VecContent.fit(data.items, data.interactions)
        >>> content.transform(data.items).shape  # items x (64 of words + 64 of neighbours)
        (3416, 128)
    """

    options: Word2VecOptions
    phrases: Mapping[str, float]
    words: WordVectors
    rarity: np.ndarray
    common: np.ndarray
    neighbours: WordVectors | None = None

    @classmethod
    def fit(
        cls,
        items: pd.DataFrame,
        interactions: pd.DataFrame | None = None,
        options: Word2VecOptions | None = None,
        *,
        workers: int = 1,
        progress: bool = False,
    ) -> Self:
        """Learn both views, or with no interactions the first.

        Args:
            items: item_id and the columns that the options name.
            interactions: user_id, item_id, timestamp.
            options: see there.
            workers: threads; no two runs are equal with more than one.
            progress: whether to show progress bars.

        Raises:
            InputError: the table has none of the columns.
        """
        options = options or Word2VecOptions()
        training = {name: getattr(options, name) for name in ("dim", "window", "min_count", "epochs", "seed")}
        training["workers"] = workers
        texts = _texts(items, options, progress=progress)
        phrases = _learn_phrases(texts) if options.phrases else {}
        texts = _joined(texts, phrases)
        learnt = WordVectors.train(texts, **training, subwords=options.subwords, progress="words" if progress else "")
        rarity = _rarity(texts, learnt.words)
        means = _normalised(_weighted_sums(texts, learnt, rarity))
        common = _shared_direction(means) if options.remove_common else np.zeros(options.dim, np.float32)
        neighbours = None
        if interactions is not None:
            histories = _histories(interactions)
            neighbours = WordVectors.train(histories, **training, progress="histories" if progress else "")
        return cls(options, phrases, learnt, rarity, common, neighbours)

    def transform(self, items: pd.DataFrame, *, progress: bool = False) -> np.ndarray:
        """The vectors of items, known ones or new: float32 [items, dim], or [items, 2 * dim] with neighbours.

        Raises:
            InputError: the table has none of the columns.
        """
        texts = _joined(_texts(items, self.options, progress=progress), self.phrases)
        sums = _weighted_sums(texts, self.words, self.rarity)
        view = _normalised(sums - np.outer(sums @ self.common, self.common))
        if self.neighbours is None:
            return view
        rows = self.neighbours.words.lookup(items["item_id"].astype(str))
        return np.concatenate([view, _normalised(self.neighbours.vectors[rows])], axis=1)

    def save(self, folder: str | Path) -> None:
        """Write to a new folder, in one step and without pickle.

        Raises:
            InputError: the folder exists, or cannot be made.
        """
        arrays = {"rarity": self.rarity, "common": self.common, "words": self.words.vectors}
        told = {"options": asdict(self.options), "phrases": self.phrases, "words": self.words.words.tokens[1:].tolist()}
        if self.words.subwords is not None:
            arrays["subwords"] = self.words.subwords
        if self.neighbours is not None:
            arrays["neighbours"] = self.neighbours.vectors
            told["neighbours"] = self.neighbours.words.tokens[1:].tolist()
        with appearing(Path(folder)) as hidden:
            np.savez(hidden / "word2vec.npz", **arrays)
            (hidden / "word2vec.json").write_text(json.dumps(told, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read what `save` wrote.

        Raises:
            InputError: the folder holds none, or a damaged one.
        """
        try:
            told = json.loads((Path(folder) / "word2vec.json").read_text(encoding="utf-8"))
            with np.load(Path(folder) / "word2vec.npz") as file:
                arrays = dict(file)
            named = {
                name: tuple(value) if isinstance(value, list) else value for name, value in told["options"].items()
            }
            learnt = WordVectors(Vocabulary(told["words"]), arrays["words"], arrays.get("subwords"))
            neighbours = (
                WordVectors(Vocabulary(told["neighbours"]), arrays["neighbours"]) if "neighbours" in told else None
            )
            return cls(
                Word2VecOptions(**named), told["phrases"], learnt, arrays["rarity"], arrays["common"], neighbours
            )
        except Exception as error:  # the readers of zip and npy files raise whatever damage makes them stumble over
            raise InputError(f"{folder} holds no Word2Vec content: a file is missing or damaged") from error


def _texts(items: pd.DataFrame, options: Word2VecOptions, *, progress: bool) -> list[list[str]]:
    """The words of every item, column after column."""
    columns, names = ([name for name in part if name in items] for part in (options.columns, options.names))
    if not columns and not names:
        wanted, there = ", ".join((*options.columns, *options.names)), ", ".join(map(str, items.columns))
        raise InputError(f"items: none of the columns {wanted} is there to read; the table has {there}")
    cells = [items[name].astype(object).where(items[name].notna(), "").map(str) for name in (*columns, *names)]
    rows = tqdm(zip(*cells, strict=True), total=len(items), desc="texts", unit="item", disable=not progress)
    return [_words_of(row[: len(columns)], row[len(columns) :], options.language) for row in rows]


def _words_of(texts: Sequence[str], names: Sequence[str], language: Language) -> list[str]:
    found = [word for text in texts for word in words(text, language)]
    return found + [name.strip().lower() for cell in names for name in cell.split("|") if name.strip()]


def _learn_phrases(texts: list[list[str]]) -> dict[str, float]:
    """Pairs of words that come together much more often than apart (normalised PMI; Bouma, 2009)."""
    learnt = Phrases(texts, min_count=5, threshold=0.5, scoring="npmi", connector_words=ENGLISH_CONNECTOR_WORDS)
    return learnt.export_phrases()


def _joined(texts: list[list[str]], phrases: Mapping[str, float]) -> list[list[str]]:
    if not phrases:
        return texts
    joining = FrozenPhrases(Phrases(threshold=0.5, scoring="npmi", connector_words=ENGLISH_CONNECTOR_WORDS))
    joining.phrasegrams = phrases
    return [joining[text] for text in texts]


def _rarity(texts: list[list[str]], vocabulary: Vocabulary) -> np.ndarray:
    """log((1 + texts) / (1 + texts with the word)), float32 [words + 1]; for [0] there is none with it."""
    found = np.concatenate([np.unique(vocabulary.lookup(text)) for text in texts])
    counts = np.bincount(found, minlength=len(vocabulary) + 1)
    counts[0] = 0
    return np.log((1 + len(texts)) / (1 + counts)).astype(np.float32)


def _weighted_sums(texts: list[list[str]], learnt: WordVectors, rarity: np.ndarray) -> np.ndarray:
    """The rarity-weighted sum of every text's word vectors, float32 [texts, dim]."""
    flat = [word for text in texts for word in text]
    rows = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
    indices = learnt.words.lookup(flat)
    sums = _sum_rows(rows, indices, rarity[indices], len(texts), learnt.vectors)
    if learnt.subwords is None:
        return sums
    unknown = indices == 0
    places, strangers = pd.factorize(np.array(flat, object)[unknown])
    vectors = np.array([learnt.of_unknown(word) for word in strangers]).reshape(-1, sums.shape[1])
    return sums + _sum_rows(rows[unknown], places, np.full(len(places), rarity[0]), len(texts), vectors)


def _sum_rows(
    rows: np.ndarray, columns: np.ndarray, weights: np.ndarray, count: int, vectors: np.ndarray
) -> np.ndarray:
    return scipy.sparse.csr_array((weights, (rows, columns)), shape=(count, len(vectors))) @ vectors


def _shared_direction(vectors: np.ndarray) -> np.ndarray:
    """The first right singular vector."""
    return np.linalg.eigh(vectors.T @ vectors).eigenvectors[:, -1].astype(np.float32)


def _normalised(vectors: np.ndarray) -> np.ndarray:
    """Rows of length 1; those that are (nearly) zeros become zeros."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 1e-6)


def _histories(interactions: pd.DataFrame) -> list[list[str]]:
    """Every user's item ids, oldest first."""
    ordered = interactions.sort_values(["user_id", "timestamp"], kind="stable")
    starts = np.flatnonzero(~ordered["user_id"].duplicated().to_numpy())[1:]
    return [part.tolist() for part in np.split(ordered["item_id"].astype(str).to_numpy(object), starts)]

"""Word2Vec content: vectors of items from their words and from their neighbours in histories."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import chain
from pathlib import Path
from typing import Any, Self, get_args

import numpy as np
import pandas as pd

from tfllmrec.content.item_words import ItemWords, cell_texts
from tfllmrec.content.phrases import learn_phrases
from tfllmrec.content.word_vectors import WordVectors, idf_weights
from tfllmrec.content.words import Language
from tfllmrec.data.dataset import Dataset
from tfllmrec.data.vocabulary import Vocabulary
from tfllmrec.errors import InputError
from tfllmrec.files import atomic_folder


@dataclass(frozen=True)
class Word2VecOptions:
    """Options of `Word2VecContent`.

    Attributes:
        columns: columns of text; missing columns are skipped.
        names: columns of names, separated by `|`; each name is one word.
        language: see `tfllmrec.content.words.split_words`.
        dim: width of the vectors of words, and of those of histories.
        window: maximum distance between a word (or item) and the words (or items) that it predicts. The default covers
            most titles and histories; the additional time pays off because their order carries little information.
        min_count: words (or items) with fewer occurrences are unknown.
        epochs: passes over texts and histories; None for `tfllmrec.content.word_vectors.default_epochs` of either.
        phrases: whether pairs of words that mostly occur together become one word.
        subwords: whether unknown words get the mean vector of their character n-grams.
        remove_common: whether the mean of all texts is subtracted from every text.
        seed: of the training; results are deterministic with one worker only.

    Raises:
        InputError: If an option is invalid.
    """

    columns: tuple[str, ...] = ("title", "text")
    names: tuple[str, ...] = ("categories",)
    language: Language = "auto"
    dim: int = 64
    window: int = 20
    min_count: int = 2
    epochs: int | None = None
    phrases: bool = True
    subwords: bool = False
    remove_common: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        for option, minimum in {"dim": 1, "window": 1, "min_count": 1, "epochs": 1, "seed": 0}.items():
            value = getattr(self, option)
            if value is not None and value < minimum:
                raise InputError(f"option {option}={value}: give {minimum} or more")
        for option in ("columns", "names"):
            if isinstance(getattr(self, option), str):
                raise InputError(f"option {option}={getattr(self, option)!r}: give a tuple of names")
        if self.language not in get_args(Language):
            raise InputError(f"option language={self.language!r}: give one of {', '.join(get_args(Language))}")

    def item_words(self, items: pd.DataFrame, *, progress: bool = False) -> ItemWords:
        """Split the columns of an items table that these options name."""
        return ItemWords.from_table(
            items, columns=self.columns, names=self.names, language=self.language, progress=progress
        )


@dataclass(frozen=True, eq=False)
class Word2VecContent:
    """Content vectors of items from their words and, if fitted on interactions, from their neighbours in histories.

    The word part is the IDF-weighted mean of an item's word vectors, minus the mean of all texts. The history part is
    Item2Vec, that is Word2Vec of histories with items as words (Barkan and Koenigstein, 2016, MLSP). Each part has
    length 1, or is zero if the item is unknown: it has no known word, its text does not differ from all others, or it
    occurs in too few histories.

    Attributes:
        options: the options.
        phrases: phrases of `learn_phrases`.
        word_vectors: vectors of words.
        idf: weights by word index, float32 [words + 1].
        common_vector: mean of all texts, which is subtracted from every text, float32 [dim].
        item2vec: vectors of items from histories, or None.

    Raises:
        InputError: If the sizes of the parts differ, or weights are not finite.

    Example:
        >>> items = pd.DataFrame({"item_id": ["a", "b"], "title": ["Red wine", "White wine"]})
        >>> content = Word2VecContent.fit(items, options=Word2VecOptions(min_count=1))
        >>> content.transform(pd.DataFrame({"title": ["White <b>wine</b> 🍷", "!?", "Beer"]})).any(axis=1)
        array([ True, False, False])
    """

    options: Word2VecOptions
    phrases: Sequence[str]
    word_vectors: WordVectors
    idf: np.ndarray
    common_vector: np.ndarray
    item2vec: WordVectors | None = None

    def __post_init__(self) -> None:
        dims = {part.vectors.shape[1] for part in (self.word_vectors, self.item2vec) if part is not None}
        is_consistent = dims == {self.options.dim, self.common_vector.size}
        is_consistent &= self.idf.shape == self.word_vectors.vectors.shape[:1]
        if not (is_consistent and np.isfinite(self.idf).all() and np.isfinite(self.common_vector).all()):
            raise InputError("Word2Vec content: the sizes of the parts differ, or weights are not finite")

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
        """Learn the word part and, given interactions, the history part.

        Args:
            items: the columns named by the options.
            interactions: user_id, item_id and timestamp, rows in any order. A user has one history over all scenarios.
            options: the options; None for the defaults.
            workers: threads; results are deterministic with one only.
            progress: whether to show progress bars.

        Raises:
            InputError: If the items have none of the columns, or the interactions are invalid.
        """
        options = options or Word2VecOptions()
        training = {name: getattr(options, name) for name in ("dim", "window", "min_count", "epochs", "seed")}
        training["workers"] = workers
        histories = None if interactions is None else _item_sequences(interactions)  # checked before the slow steps
        item_words = options.item_words(items, progress=progress)
        phrases = learn_phrases(chain.from_iterable(item_words.texts)) if options.phrases else []
        sentences = item_words.sentences(phrases)
        labels = ("words", "histories") if progress else ("", "")
        word_vectors = WordVectors.train(sentences, **training, subwords=options.subwords, progress=labels[0])
        idf = idf_weights(sentences, word_vectors.vocabulary)
        means = _normalise(word_vectors.weighted_sums(sentences, idf))
        known = means[means.any(axis=1)]
        common = known.mean(axis=0) if options.remove_common and len(known) > 1 else np.zeros(options.dim, np.float32)
        item2vec = None if histories is None else WordVectors.train(histories, **training, progress=labels[1])
        return cls(options, phrases, word_vectors, idf, common, item2vec)

    def transform(self, items: pd.DataFrame, *, progress: bool = False) -> np.ndarray:
        """Return the vectors of known or new items: float32 [items, dim], or [items, 2 * dim] with the history part.

        Args:
            items: the columns named by the options, and item_id for the history part.
            progress: whether to show a progress bar.

        Raises:
            InputError: If the table has none of the columns, or no item_id.
        """
        sentences = self.options.item_words(items, progress=progress).sentences(self.phrases)
        means = _normalise(self.word_vectors.weighted_sums(sentences, self.idf))
        word_part = _normalise(means - self.common_vector * means.any(axis=1, keepdims=True))
        if self.item2vec is None:
            return word_part
        if "item_id" not in items:
            raise InputError(f"items: column item_id is missing; the table has {', '.join(map(str, items.columns))}")
        indices = self.item2vec.vocabulary.lookup(cell_texts(items["item_id"]))
        return np.concatenate([word_part, _normalise(self.item2vec.vectors[indices])], axis=1)

    def save(self, folder: str | Path) -> None:
        """Write to a new folder, atomically and without pickle.

        Raises:
            InputError: If the folder exists or cannot be created.
        """
        options = {field.name: getattr(self.options, field.name) for field in fields(Word2VecOptions)}
        content: dict[str, Any] = {"options": options, "phrases": self.phrases, "words": _words(self.word_vectors)}
        arrays: dict[str, Any] = {
            "rarity": self.idf,
            "common": self.common_vector,
            "words": self.word_vectors.vectors,
        }
        if self.word_vectors.subword_vectors is not None:
            arrays["parts"] = self.word_vectors.subword_vectors
        if self.item2vec is not None:
            content["neighbours"], arrays["neighbours"] = _words(self.item2vec), self.item2vec.vectors
        with atomic_folder(Path(folder)) as staging:
            np.savez(staging / "word2vec.npz", **arrays)
            (staging / "word2vec.json").write_text(json.dumps(content), encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read a folder that `save` wrote.

        Raises:
            InputError: If a file is missing or damaged.
        """
        try:
            content = json.loads((Path(folder) / "word2vec.json").read_text(encoding="utf-8"))
            with np.load(Path(folder) / "word2vec.npz") as file:
                arrays = dict(file)
            values: dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) else value for name, value in content["options"].items()
            }
            word_vectors = WordVectors(Vocabulary(content["words"]), arrays["words"], arrays.get("parts"))
            item2vec = None
            if "neighbours" in content:
                item2vec = WordVectors(Vocabulary(content["neighbours"]), arrays["neighbours"])
            options = Word2VecOptions(**values)
            return cls(options, content["phrases"], word_vectors, arrays["rarity"], arrays["common"], item2vec)
        except Exception as error:  # damaged zip and npy files raise many types
            raise InputError(f"{folder} does not contain Word2Vec content: a file is missing or damaged") from error


def _item_sequences(interactions: pd.DataFrame) -> list[list[str]]:
    """Return the item ids of every user, oldest first; ties are ordered as in a `Dataset`."""
    data = Dataset.from_frames(interactions.filter(["user_id", "item_id", "timestamp"]))
    histories = data.histories
    ids = data.item_vocabulary.tokens[histories.values]  # noqa: PD011
    return [ids[start:end].tolist() for start, end in zip(histories.offsets, histories.offsets[1:], strict=False)]


def _normalise(vectors: np.ndarray) -> np.ndarray:
    """Scale rows to length 1; rows shorter than 1e-5, which rounding leaves of zero, become zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 1e-5)


def _words(word_vectors: WordVectors) -> list[str]:
    return word_vectors.vocabulary.tokens[1:].tolist()

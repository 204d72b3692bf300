"""What items are about, from their words and from the company they keep in histories."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import chain
from pathlib import Path
from typing import Any, Self, get_args

import numpy as np
import pandas as pd
from tqdm import tqdm

from tfllmrec.content.word_vectors import WordVectors, join_phrases, learn_phrases, rarity
from tfllmrec.content.words import Language, names, words
from tfllmrec.data.dataset import Dataset
from tfllmrec.data.vocabulary import Vocabulary
from tfllmrec.errors import InputError
from tfllmrec.files import atomic_folder

_Columns = list[list[list[str]]]  # words by column and row


@dataclass(frozen=True)
class Word2VecOptions:
    """How `Word2VecContent` reads texts, and how it learns from them and from histories.

    Attributes:
        columns: with text; a table that lacks one has no such text.
        names: columns with names, `|` between; each name is one word.
        language: see `tfllmrec.content.words.words`.
        dim: width of either view.
        window: words (or items) before and after that a word (or item) is to predict, at most. The default holds most
            titles and histories as a whole, which is worth the time: items and their subjects have little order.
        min_count: words (or items) that occur less often are unknown.
        epochs: passes over texts, and over histories; None for as many as either needs (`enough_epochs`).
        phrases: words that mostly come together become one.
        subwords: unknown words have the vectors of their parts.
        remove_common: what all texts share is taken out.
        seed: of the training; exact with one worker.

    Raises:
        InputError: an option is none of its kind.
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
        for option, least in {"dim": 1, "window": 1, "min_count": 1, "epochs": 1, "seed": 0}.items():
            value = getattr(self, option)
            if value is not None and value < least:
                raise InputError(f"option {option}={value}: it must be {least} or more")
        for option in ("columns", "names"):
            if isinstance(getattr(self, option), str):
                raise InputError(f"option {option}={getattr(self, option)!r}: give a tuple of names")
        if self.language not in get_args(Language):
            raise InputError(f"option language={self.language!r}: it must be one of {', '.join(get_args(Language))}")


@dataclass(frozen=True, eq=False)
class Word2VecContent:
    """Content vectors of items: a view of their words and, where it has seen histories, one of their neighbours.

    The first is the mean of the vectors of an item's words, weighted by rarity (IDF), less the mean of all texts. The
    second is Word2Vec of histories, with items for words (Barkan and Koenigstein, 2016, MLSP). Each has length 1, or is
    zeros where nothing is known: no text or no known word in it, nothing that sets a text apart from the others, an
    item that was in too few histories.

    Attributes:
        options: see there.
        phrases: what `learn_phrases` found.
        words: vectors of words.
        rarity: weights of words by index, float32 [words + 1].
        common: what is taken out of every text, float32 [dim].
        neighbours: vectors of items from histories, or None.

    Raises:
        InputError: the parts do not belong together.

    Example:
        >>> items = pd.DataFrame({"item_id": ["a", "b"], "title": ["Red wine", "White wine"]})
        >>> content = Word2VecContent.fit(items, options=Word2VecOptions(min_count=1))
        >>> content.transform(pd.DataFrame({"title": ["White <b>wine</b> 🍷", "!?", "Beer"]})).any(axis=1)
        array([ True, False, False])
    """

    options: Word2VecOptions
    phrases: Sequence[str]
    words: WordVectors
    rarity: np.ndarray
    common: np.ndarray
    neighbours: WordVectors | None = None

    def __post_init__(self) -> None:
        widths = {learnt.vectors.shape[1] for learnt in (self.words, self.neighbours) if learnt is not None}
        fitting = widths == {self.options.dim, self.common.size} and self.rarity.shape == self.words.vectors.shape[:1]
        if not (fitting and np.isfinite(self.rarity).all() and np.isfinite(self.common).all()):
            raise InputError("Word2Vec content: the parts differ in their sizes, or hold numbers that are none")

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
        """Learn both views, or without interactions the first.

        Args:
            items: the columns that the options name.
            interactions: user_id, item_id, timestamp, in rows of any order. A user has one history, over all scenarios.
            options: see there.
            workers: threads; no two runs are equal with more than one.
            progress: whether to show progress bars.

        Raises:
            InputError: the items have none of the columns, or the interactions are not as they must be.
        """
        options = options or Word2VecOptions()
        training = {name: getattr(options, name) for name in ("dim", "window", "min_count", "epochs", "seed")}
        training["workers"] = workers
        histories = None if interactions is None else _histories(interactions)  # bad ones fail before the long work
        named, texts = _read(items, options, progress=progress)
        phrases = learn_phrases(chain.from_iterable(texts)) if options.phrases else []
        sentences = _sentences(named, texts, phrases)
        bars = ("words", "histories") if progress else ("", "")
        learnt = WordVectors.train(sentences, **training, subwords=options.subwords, progress=bars[0])
        weights = rarity(sentences, learnt.words)
        means = _normalised(learnt.weighted_sums(sentences, weights))
        known = means[means.any(axis=1)]
        common = known.mean(axis=0) if options.remove_common and len(known) > 1 else np.zeros(options.dim, np.float32)
        neighbours = None if histories is None else WordVectors.train(histories, **training, progress=bars[1])
        return cls(options, phrases, learnt, weights, common, neighbours)

    def transform(self, items: pd.DataFrame, *, progress: bool = False) -> np.ndarray:
        """The vectors of items, known or new: float32 [items, dim] of words, followed by as many of neighbours.

        Args:
            items: the columns that the options name, and item_id where there are vectors of neighbours.
            progress: whether to show a progress bar.

        Raises:
            InputError: the table has none of the columns, or no item_id.
        """
        sentences = _sentences(*_read(items, self.options, progress=progress), self.phrases)
        means = _normalised(self.words.weighted_sums(sentences, self.rarity))
        view = _normalised(means - self.common * means.any(axis=1, keepdims=True))
        if self.neighbours is None:
            return view
        if "item_id" not in items:
            raise InputError(f"items: column item_id is missing; the table has {', '.join(map(str, items.columns))}")
        rows = self.neighbours.words.lookup(_cells(items["item_id"]))
        return np.concatenate([view, _normalised(self.neighbours.vectors[rows])], axis=1)

    def save(self, folder: str | Path) -> None:
        """Write to a new folder, in one step and without pickle.

        Raises:
            InputError: the folder exists, or cannot be made.
        """
        options = {field.name: getattr(self.options, field.name) for field in fields(Word2VecOptions)}
        told: dict[str, Any] = {"options": options, "phrases": self.phrases, "words": _ids(self.words)}
        arrays: dict[str, Any] = {"rarity": self.rarity, "common": self.common, "words": self.words.vectors}
        if self.words.parts is not None:
            arrays["parts"] = self.words.parts
        if self.neighbours is not None:
            told["neighbours"], arrays["neighbours"] = _ids(self.neighbours), self.neighbours.vectors
        with atomic_folder(Path(folder)) as hidden:
            np.savez(hidden / "word2vec.npz", **arrays)
            (hidden / "word2vec.json").write_text(json.dumps(told), encoding="utf-8")

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
            values: dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) else value for name, value in told["options"].items()
            }
            learnt = WordVectors(Vocabulary(told["words"]), arrays["words"], arrays.get("parts"))
            neighbours = None
            if "neighbours" in told:
                neighbours = WordVectors(Vocabulary(told["neighbours"]), arrays["neighbours"])
            options = Word2VecOptions(**values)
            return cls(options, told["phrases"], learnt, arrays["rarity"], arrays["common"], neighbours)
        except Exception as error:  # the readers of zip and npy files raise whatever damage makes them stumble over
            raise InputError(f"{folder} holds no Word2Vec content: a file is missing or damaged") from error


def _histories(interactions: pd.DataFrame) -> list[list[str]]:
    """Every user's item ids, oldest first; equal times in the order that a `Dataset` gives them."""
    data = Dataset.from_frames(interactions.filter(["user_id", "item_id", "timestamp"]))
    histories = data.histories
    ids = data.item_vocabulary.tokens[histories.values]  # noqa: PD011
    return [ids[start:end].tolist() for start, end in zip(histories.offsets, histories.offsets[1:], strict=False)]


def _read(items: pd.DataFrame, options: Word2VecOptions, *, progress: bool) -> tuple[_Columns, _Columns]:
    """The names and the words of every item, each column by column."""
    named = [[names(cell) for cell in _cells(items[column])] for column in options.names if column in items]
    texts = []
    for column in options.columns:
        if column in items:
            cells = tqdm(_cells(items[column]), desc=column, unit="text", disable=not progress)
            texts.append([words(cell, options.language) for cell in cells])
    if not named and not texts:
        wanted, there = ", ".join((*options.columns, *options.names)), ", ".join(map(str, items.columns))
        raise InputError(f"items: none of the columns {wanted} is there to read; the table has {there}")
    return named, texts


def _cells(column: pd.Series) -> list[str]:
    return [str(cell) for cell in column.astype(object).where(column.notna(), "")]


def _sentences(named: _Columns, texts: _Columns, phrases: Sequence[str]) -> list[list[str]]:
    """What is learnt from, item by item: names first, where the title stands in their window, then words."""
    joined = [join_phrases(column, phrases) for column in texts] if phrases else texts
    return [list(chain.from_iterable(row)) for row in zip(*named, *joined, strict=True)]


def _normalised(vectors: np.ndarray) -> np.ndarray:
    """Rows of length 1; zeros stay zeros, and what rounding leaves of a difference of equals becomes zeros."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 1e-5)


def _ids(learnt: WordVectors) -> list[str]:
    return learnt.words.tokens[1:].tolist()

"""Columns of content vectors for the items of a data set's folder."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from tfllmrec.content.templates import item_texts
from tfllmrec.content.text_vectors import text_vectors
from tfllmrec.content.word2vec import Word2VecContent, Word2VecOptions
from tfllmrec.data.table_checks import check_items
from tfllmrec.data.table_files import read_items
from tfllmrec.errors import InputError
from tfllmrec.files import atomic_folder


def enrich(
    folder: str | Path,
    out: str | Path,
    *,
    columns: Sequence[str] = ("title", "categories", "text"),
    word2vec: str | Path | None = None,
    text_model: str | Path | None = None,
    progress: bool = False,
) -> None:
    """Write a data set's folder once more, with vectors of the items' texts beside what is there.

    Items that come later are to be read as these were: give the same Word2Vec folder and text model.

    Args:
        folder: a data set, or a folder with a table of items alone.
        out: a folder that does not exist.
        columns: what is read of an item; "categories" as names.
        word2vec: a folder of Word2Vec content, for a column "word2vec"; where there is none it is learnt from these
            items and written there.
        text_model: a pretrained BERT, for a column "text_vector"; see `tfllmrec.content.text_vectors.text_vectors`.
        progress: whether to show progress bars.

    Raises:
        InputError: there is no table of items, nothing to add, a folder cannot be read or written, or there is no such
            model. No error leaves anything behind but Word2Vec content that was learnt.
    """
    folder = Path(folder)
    if word2vec is None and text_model is None:
        raise InputError("vectors: give a folder for Word2Vec, a text model, or both")
    items = check_items(read_items(folder))
    with atomic_folder(Path(out)) as hidden:
        if word2vec is not None:
            content = _content(items, Path(word2vec), columns, progress=progress)
            items = items.assign(word2vec=list(content.transform(items, progress=progress)))
        if text_model is not None:
            vectors = text_vectors(item_texts(items, columns), text_model, progress=progress)
            items = items.assign(text_vector=list(vectors))
        items.to_parquet(hidden / "items.parquet", index=False)
        for path in folder.glob("*"):
            if path.stem in ("interactions", "users") and path.suffix in (".parquet", ".csv"):
                shutil.copyfile(path, hidden / path.name)


def _content(items: pd.DataFrame, place: Path, columns: Sequence[str], *, progress: bool) -> Word2VecContent:
    """What is kept at a place, or, where nothing is, what these items teach."""
    if place.exists():
        return Word2VecContent.load(place)
    names = tuple(name for name in columns if name == "categories")
    options = Word2VecOptions(columns=tuple(name for name in columns if name not in names), names=names)
    content = Word2VecContent.fit(items, options=options, progress=progress)
    content.save(place)
    return content

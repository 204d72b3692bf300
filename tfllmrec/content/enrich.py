"""Vector columns for the items of a data set folder, computed by Word2Vec and BERT."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from tfllmrec.content.bert_vectors import text_vectors
from tfllmrec.content.item_texts import items_to_texts
from tfllmrec.content.word2vec import Word2VecContent, Word2VecOptions
from tfllmrec.data.table_checks import check_items
from tfllmrec.data.table_files import read_items, table_file
from tfllmrec.errors import InputError
from tfllmrec.files import atomic_folder


def enrich(
    folder: str | Path,
    out: str | Path,
    *,
    columns: Sequence[str] = ("title", "categories", "text"),
    word2vec: str | Path | None = None,
    text_model: str | Path | None = None,
    separator: str | None = None,
    encoding: str | None = None,
    progress: bool = False,
) -> None:
    """Write a copy of a data set folder with content vectors of the items.

    Encode items that are added later with the same Word2Vec folder and text model.

    Args:
        folder: a data set, or a folder with an items table only.
        out: a folder that does not exist.
        columns: columns of the items table to encode; "categories" contains names.
        word2vec: folder of Word2Vec content, for a column "word2vec"; if it does not exist, the content is fitted on
            these items and stored there.
        text_model: a pretrained BERT, for a column "text_vector"; see `tfllmrec.content.bert_vectors.text_vectors`.
        separator: see `Dataset.from_folder`.
        encoding: see `Dataset.from_folder`.
        progress: whether to show progress bars.

    Raises:
        InputError: If there is no items table, neither `word2vec` nor `text_model` is given, a folder cannot be read
            or written, or there is no such model. After an error nothing is left except newly fitted Word2Vec content.
    """
    folder = Path(folder)
    if word2vec is None and text_model is None:
        raise InputError("vectors: give a folder for Word2Vec, a text model, or both")
    items = check_items(read_items(folder, separator=separator, encoding=encoding))
    with atomic_folder(Path(out)) as staging:
        if word2vec is not None:
            content = _load_or_fit(items, Path(word2vec), columns, progress=progress)
            items = items.assign(word2vec=list(content.transform(items, progress=progress)))
        if text_model is not None:
            vectors = text_vectors(items_to_texts(items, columns), text_model, progress=progress)
            items = items.assign(text_vector=list(vectors))
        items.to_parquet(staging / "items.parquet", index=False)
        for path in filter(None, (table_file(folder, name) for name in ("interactions", "users"))):
            shutil.copyfile(path, staging / path.name)


def _load_or_fit(items: pd.DataFrame, path: Path, columns: Sequence[str], *, progress: bool) -> Word2VecContent:
    """Load stored Word2Vec content; if it does not exist, fit it on the items and store it."""
    if path.exists():
        return Word2VecContent.load(path)
    names = tuple(name for name in columns if name == "categories")
    options = Word2VecOptions(columns=tuple(name for name in columns if name not in names), names=names)
    content = Word2VecContent.fit(items, options=options, progress=progress)
    content.save(path)
    return content

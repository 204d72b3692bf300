"""Vector columns for data set folders: written columns, stored Word2Vec content, invalid input."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tfllmrec.content import enrich as module
from tfllmrec.content.enrich import enrich
from tfllmrec.content.word2vec import Word2VecContent
from tfllmrec.data import Dataset, checkerboard
from tfllmrec.errors import InputError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    checkerboard().data.to_folder(tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture(autouse=True)
def bert(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Replace the pretrained model by the length of a text; return the arguments of the calls."""
    arguments: list[object] = []

    def text_vectors(texts: list[str], model: str, *, progress: bool) -> np.ndarray:
        arguments.extend([model, progress])
        return np.array([[len(text), 1] for text in texts], np.float32)

    monkeypatch.setattr(module, "text_vectors", text_vectors)
    return arguments


def test_vector_columns_are_added(folder: Path, tmp_path: Path, bert: list[object]) -> None:
    enrich(folder, tmp_path / "out", word2vec=tmp_path / "words", text_model="some bert")
    before, after = Dataset.from_folder(folder), Dataset.from_folder(tmp_path / "out")
    pd.testing.assert_frame_equal(after.interactions, before.interactions)
    pd.testing.assert_frame_equal(after.items[before.items.columns], before.items)
    assert bert == ["some bert", False]
    lengths = [len(f"{row.title}. {row.categories}") for row in before.items.itertuples()]
    np.testing.assert_array_equal(np.stack(after.items["text_vector"]), [[length, 1] for length in lengths])
    content = Word2VecContent.load(tmp_path / "words")
    assert (content.options.columns, content.options.names) == (("title", "text"), ("categories",))
    assert content.item2vec is None
    np.testing.assert_array_equal(np.stack(after.items["word2vec"]), content.transform(before.items))


def test_later_items_use_the_stored_content(folder: Path, tmp_path: Path) -> None:
    enrich(folder, tmp_path / "out", word2vec=tmp_path / "words")
    new = tmp_path / "new"
    new.mkdir()
    table = pd.DataFrame({"item_id": ["x"], "title": ["odd item"], "categories": ["odd"]})
    table.to_csv(new / "items.csv", index=False)
    enrich(new, tmp_path / "more", word2vec=tmp_path / "words")
    assert [path.name for path in (tmp_path / "more").iterdir()] == ["items.parquet"]
    vector = pd.read_parquet(tmp_path / "more" / "items.parquet")["word2vec"].iloc[0]
    np.testing.assert_array_equal(vector, Word2VecContent.load(tmp_path / "words").transform(table)[0])


def test_given_columns_are_encoded(folder: Path, tmp_path: Path) -> None:
    enrich(folder, tmp_path / "out", columns=["title"], word2vec=tmp_path / "words", text_model="bert")
    assert Word2VecContent.load(tmp_path / "words").options.names == ()
    table = pd.read_parquet(tmp_path / "out" / "items.parquet")
    assert [row[0] for row in table["text_vector"]] == table["title"].map(len).tolist()


def test_invalid_input_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^vectors: give a folder for Word2Vec, a text model, or both$"):
        enrich(folder, tmp_path / "out")
    with pytest.raises(InputError, match=r"nowhere has neither items\.parquet nor items\.csv$"):
        enrich(tmp_path / "nowhere", tmp_path / "out", text_model="bert")
    with pytest.raises(InputError, match=r"^items: the table has none of the columns plot; it has item_id"):
        enrich(folder, tmp_path / "out", columns=["plot"], text_model="bert")
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="already exists"):
        enrich(folder, folder, text_model="bert")

"""Word2Vec content: both parts compared with a direct computation, saving, invalid input."""

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tfllmrec.content.word2vec import Word2VecContent, Word2VecOptions
from tfllmrec.content.word_vectors import WordVectors
from tfllmrec.errors import InputError

SHORT = Word2VecOptions(dim=8, epochs=2, min_count=1)
BAD_OPTIONS: dict[str, Any] = {"dim": 0, "window": 0, "min_count": -1, "epochs": 0, "seed": -1, "columns": "title"}
BAD_OPTIONS |= {"names": "categories", "language": "cn"}
KITCHEN, STUDIO = "cook oven pan kitchen recipe stove", "camera lens studio flash photo tripod"


def synthetic_items() -> pd.DataFrame:
    """Return 60 items, even ones of the kitchen, odd ones of the studio."""
    random = np.random.default_rng(0)
    titles = [" ".join(random.choice((KITCHEN, STUDIO)[row % 2].split(), 4, replace=False)) for row in range(60)]
    names = ["Home & Garden", "Art|Film Noir"] * 30
    return pd.DataFrame({"item_id": [f"i{row}" for row in range(60)], "title": titles, "categories": names})


def synthetic_interactions() -> pd.DataFrame:
    """Return interactions of 80 users with even or odd items, with many ties in time and in random order."""
    random = np.random.default_rng(1)
    rows = [(f"u{user}", f"i{number * 2 + user % 2}") for user in range(80) for number in random.permutation(30)[:8]]
    table = pd.DataFrame(rows, columns=["user_id", "item_id"])
    return table.assign(timestamp=random.integers(0, 4, len(table))).sample(frac=1, random_state=0)


def vectors_as_text() -> str:
    items = pd.DataFrame({"item_id": ["a", "b", "c"], "title": ["red wine", "white wine", "red beer"]})
    interactions = pd.DataFrame({"user_id": list("uuuvv"), "item_id": list("abcca"), "timestamp": [3, 2, 1, 1, 2]})
    variants = [Word2VecOptions(dim=8, min_count=1, subwords=subwords) for subwords in (False, True)]
    vectors = [Word2VecContent.fit(items, interactions, options).transform(items) for options in variants]
    return " ".join(table.tobytes().hex() for table in vectors)


@pytest.fixture(scope="module")
def content() -> Word2VecContent:
    return Word2VecContent.fit(synthetic_items(), synthetic_interactions(), Word2VecOptions(dim=16, subwords=True))


def assert_same(first: Word2VecContent, second: Word2VecContent) -> None:
    items = pd.DataFrame({"item_id": ["i0", "i1", "new"], "title": ["oven lens", "cooks", "?"]})
    np.testing.assert_array_equal(first.transform(items), second.transform(items))


def test_items_of_one_topic_are_similar_in_both_parts(content: Word2VecContent) -> None:
    vectors = content.transform(synthetic_items())
    assert vectors.shape == (60, 32)
    assert content.transform(synthetic_items().head(0)).shape == (0, 32)
    assert vectors.dtype == np.float32
    for view in (vectors[:, :16], vectors[:, 16:]):
        nearest = np.argsort(-(view @ view.T - 2 * np.eye(60)), axis=1)[:, :5]
        assert ((nearest % 2) == np.arange(60)[:, None] % 2).mean() > 0.95


def test_word_part_compared_with_a_direct_computation() -> None:
    items = synthetic_items().assign(title=lambda table: table["title"].mask(table.index == 7, ""), categories="")
    content = Word2VecContent.fit(items, options=replace(SHORT, phrases=False))
    texts = [title.split() for title in items["title"]]
    means = np.zeros((60, 8))
    for row, text in enumerate(texts):
        for word in text:
            weight = 1 + np.log(61 / (1 + sum(word in other for other in texts)))
            means[row] += weight * content.word_vectors.vectors[content.word_vectors.vocabulary.lookup([word])[0]]
    means = np.delete(means, 7, axis=0)
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    means -= means.mean(axis=0)
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    np.testing.assert_allclose(content.transform(items), np.insert(means, 7, 0, axis=0), atol=1e-4)


def test_word_part_without_removing_the_common_vector() -> None:
    content = Word2VecContent.fit(synthetic_items(), options=replace(SHORT, remove_common=False))
    means = content.word_vectors.weighted_sums([["oven", "pan"]], content.idf)[0]
    vector = content.transform(pd.DataFrame({"title": ["Oven, pan!"]}))[0]
    np.testing.assert_allclose(vector, means / np.linalg.norm(means), rtol=1e-5)


def test_history_part_is_word2vec_of_histories() -> None:
    interactions = pd.DataFrame(
        {"user_id": [2, 1, 2, 1, 1], "item_id": [10, 20, 30, 10, 30], "timestamp": [5, 3, 4, 1, 2]}
    )
    content = Word2VecContent.fit(synthetic_items(), interactions, SHORT)
    expected = WordVectors.train([["10", "30", "20"], ["30", "10"]], dim=8, window=20, min_count=1, epochs=2)
    assert content.item2vec is not None
    np.testing.assert_array_equal(content.item2vec.vectors, expected.vectors)
    vectors = content.transform(pd.DataFrame({"item_id": [30, 99], "title": ["pan", "pan"]}))[:, 8:]
    vector = expected.vectors[expected.vocabulary.lookup(["30"])[0]]
    np.testing.assert_allclose(vectors, [vector / np.linalg.norm(vector), np.zeros(8)], rtol=1e-5)


def test_result_depends_on_the_seed_but_not_on_the_row_order() -> None:
    """Rows with the same time are often sorted by item, which would leak into the histories."""
    items, interactions = synthetic_items(), synthetic_interactions()
    first = Word2VecContent.fit(items, interactions, SHORT)
    shuffled = interactions.sort_values("item_id").assign(scenario="toys", rating="none", text=None)
    assert_same(first, Word2VecContent.fit(items, shuffled, SHORT))
    other = Word2VecContent.fit(items, interactions, replace(SHORT, seed=1))
    changed = first.transform(items) != other.transform(items)
    assert changed[:, :8].any()
    assert changed[:, 8:].any()


def test_columns_and_names_of_any_type() -> None:
    items = pd.DataFrame(
        {"brand": ["Red Wine", None, 7, np.nan], "who": ["Jo Do|Al", pd.NA, "", "jo  do"], "title": "not used"}
    )
    options = replace(SHORT, columns=("brand", "no such"), names=("who",))
    content = Word2VecContent.fit(items, options=options)
    sentences = [["jo do", "al", "red", "wine"], [], ["7"], ["jo do"]]
    expected = WordVectors.train(sentences, dim=8, window=20, min_count=1, epochs=2)
    assert content.word_vectors.vocabulary == expected.vocabulary
    np.testing.assert_array_equal(content.word_vectors.vectors, expected.vectors)
    assert content.transform(items).any(axis=1).tolist() == [True, False, True, True]
    assert content.transform(items[["who"]]).any(axis=1).tolist() == [True, False, False, True]


def test_phrases_are_joined_within_a_column() -> None:
    random = np.random.default_rng(0)
    words = random.choice(["red", "blue", "green", "old", "new", "big"], (300, 3))
    titles, texts = [f"Star Wars {a} {b}" for a, b, _ in words], [f"{c} lens" for *_, c in words]
    items = pd.DataFrame({"title": titles, "text": texts, "categories": "Sci-Fi|Space Opera"})
    content = Word2VecContent.fit(items, options=SHORT)
    assert content.phrases == ["star_wars"]
    vocabulary = set(content.word_vectors.vocabulary.tokens)
    assert {"star_wars", "sci-fi", "space opera", "lens"} < vocabulary
    assert not {"star", "wars"} & vocabulary
    separate = Word2VecContent.fit(items, options=replace(SHORT, phrases=False))
    assert {"star", "wars"} < set(separate.word_vectors.vocabulary.tokens)
    assert separate.phrases == []


def test_language_option() -> None:
    items = pd.DataFrame({"title": ["ハロー石头"]})
    for language, cut in (("zh", {"ハ", "ロ", "ー", "石头"}), ("auto", {"ハロ", "ロー", "ー石", "石头"})):
        content = Word2VecContent.fit(items, options=replace(SHORT, language=language))
        assert set(content.word_vectors.vocabulary.tokens[1:]) == cut


def test_subwords_option(content: Word2VecContent) -> None:
    items = pd.DataFrame({"item_id": "new", "title": ["Kitchens and ovens", "photos, cameras"]})
    similarities = content.transform(items) @ content.transform(synthetic_items()).T
    signs = np.sign(similarities[:, ::2].mean(axis=1) - similarities[:, 1::2].mean(axis=1))
    assert signs.tolist() == [1, -1]
    without = Word2VecContent.fit(synthetic_items(), options=SHORT)
    assert not without.transform(items).any()


@given(st.lists(st.text(st.characters(), max_size=60), min_size=1, max_size=5))
@example(["", "😀", "\ud800", "<p></p>", "Oven " * 3000])
@settings(max_examples=80, deadline=None)
def test_any_text_gives_a_unit_or_zero_vector(content: Word2VecContent, texts: list[str]) -> None:
    cells = pd.Series(texts, dtype=object)
    lengths = np.linalg.norm(
        content.transform(pd.DataFrame({"item_id": cells, "title": cells, "categories": cells})), axis=1
    )
    assert (np.isclose(lengths, 1, atol=1e-5) | (lengths == 0)).all()


@pytest.mark.parametrize(
    ("titles", "min_count", "known"),
    [
        ([], 1, [False, False]),
        (["", "😀"], 1, [False, False]),
        (["oven", "lens"], 2, [False, False]),
        (["oven"], 1, [True, False]),
        (["oven", "lens"], 1, [True, True]),
        (["oven", "Oven!", "oven"], 1, [False, False]),  # all texts are equal
    ],
)
def test_very_few_texts(titles: list[str], min_count: int, known: list[bool]) -> None:
    items = pd.DataFrame({"title": pd.Series(titles, dtype=object)})
    content = Word2VecContent.fit(items, options=replace(SHORT, min_count=min_count))
    assert content.transform(pd.DataFrame({"title": ["oven", "lens"]})).any(axis=1).tolist() == known


def test_vectors_are_identical_in_another_process() -> None:
    """The other process has another hash seed, on which the initial vectors of gensim can depend."""
    imports = "import pandas as pd\nfrom tfllmrec.content.word2vec import Word2VecContent, Word2VecOptions\n"
    command = [sys.executable, "-c", f"{imports}{inspect.getsource(vectors_as_text)}\nprint(vectors_as_text())"]
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert result.stdout.strip() == vectors_as_text()


def test_progress_bars_are_optional(capsys: pytest.CaptureFixture[str]) -> None:
    content = Word2VecContent.fit(synthetic_items(), synthetic_interactions(), SHORT)
    content.transform(synthetic_items())
    assert capsys.readouterr().err == ""
    Word2VecContent.fit(synthetic_items(), synthetic_interactions(), SHORT, workers=2, progress=True)
    shown = capsys.readouterr().err
    assert all(bar in shown for bar in ("title", "words", "histories", "60/60", "2/2"))
    content.transform(synthetic_items(), progress=True)
    assert "60/60" in capsys.readouterr().err


@pytest.mark.parametrize("variant", ["both parts", "word part", "options of a subclass"])
def test_save_and_load(content: Word2VecContent, tmp_path: Path, variant: str) -> None:
    @dataclass(frozen=True)
    class Extended(Word2VecOptions):
        decay: float = 0.9

    options = {"both parts": None, "word part": SHORT, "options of a subclass": Extended(dim=8, epochs=1)}[variant]
    content = Word2VecContent.fit(synthetic_items(), options=options) if options else content
    content = replace(content, phrases=["oven_lens"])
    content.save(tmp_path / "saved")
    loaded = Word2VecContent.load(tmp_path / "saved")
    assert_same(loaded, content)
    assert loaded.phrases == content.phrases
    options_of_content = {name: getattr(content.options, name) for name in Word2VecOptions.__dataclass_fields__}
    assert loaded.options == Word2VecOptions(**options_of_content)
    loaded.save(tmp_path / "again")
    assert sorted(path.name for path in (tmp_path / "again").iterdir()) == ["word2vec.json", "word2vec.npz"]
    with np.load(tmp_path / "saved" / "word2vec.npz", allow_pickle=False) as arrays:
        assert all(arrays[name].dtype == np.float32 for name in arrays)
    with pytest.raises(InputError, match="already exists"):
        content.save(tmp_path / "saved")


def change_json(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    content = json.loads((folder / "word2vec.json").read_text())
    change(content)
    (folder / "word2vec.json").write_text(json.dumps(content))


def change_array(folder: Path, name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    with np.load(folder / "word2vec.npz") as file:
        arrays = dict(file)
    np.savez(folder / "word2vec.npz", **(arrays | {name: change(arrays[name])}))


def change_bytes(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


DAMAGES: dict[str, Callable[[Path], Any]] = {
    "no json": lambda folder: (folder / "word2vec.json").unlink(),
    "no arrays": lambda folder: (folder / "word2vec.npz").unlink(),
    "half a json": lambda folder: change_bytes(folder / "word2vec.json", lambda content: content[: len(content) // 2]),
    "half the arrays": lambda folder: change_bytes(
        folder / "word2vec.npz", lambda content: content[: len(content) // 2]
    ),
    "other numbers": lambda folder: change_bytes(
        folder / "word2vec.npz", lambda content: content[:500_000] + b"12345678" + content[500_008:]
    ),
    "an unknown option": lambda folder: change_json(folder, lambda content: content["options"].update(colour="red")),
    "a bad option": lambda folder: change_json(folder, lambda content: content["options"].update(epochs=0)),
    "another width": lambda folder: change_json(folder, lambda content: content["options"].update(dim=17)),
    "a missing word": lambda folder: change_json(folder, lambda content: content["words"].pop()),
    "a repeated word": lambda folder: change_json(
        folder, lambda content: content["words"].__setitem__(0, content["words"][1])
    ),
    "narrow item vectors": lambda folder: change_array(folder, "neighbours", lambda table: table[:, :15]),
    "too few IDF weights": lambda folder: change_array(folder, "rarity", lambda table: table[:-1]),
    "narrow common vector": lambda folder: change_array(folder, "common", lambda table: table[:-1]),
    "IDF weights that are not finite": lambda folder: change_array(folder, "rarity", lambda table: table * np.nan),
    "common vector that is not finite": lambda folder: change_array(folder, "common", lambda table: table * np.inf),
    "object array": lambda folder: change_array(folder, "common", lambda table: table.astype(object)),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_folder_is_refused(content: Word2VecContent, tmp_path: Path, name: str) -> None:
    content.save(tmp_path / "saved")
    DAMAGES[name](tmp_path / "saved")
    with pytest.raises(InputError) as error:
        Word2VecContent.load(tmp_path / "saved")
    assert str(error.value) == f"{tmp_path / 'saved'} does not contain Word2Vec content: a file is missing or damaged"


def test_invalid_tables_are_refused(content: Word2VecContent) -> None:
    with pytest.raises(
        InputError, match=r"^items: the table has none of the columns title, text, categories; it has name$"
    ):
        content.transform(pd.DataFrame({"name": ["A"]}))
    with pytest.raises(InputError, match="column item_id is missing; the table has title"):
        content.transform(pd.DataFrame({"title": ["A"]}))
    with pytest.raises(InputError, match="interactions: column timestamp is missing"):
        Word2VecContent.fit(synthetic_items(), pd.DataFrame({"user_id": ["u"], "item_id": ["a"]}))


@pytest.mark.parametrize("option", BAD_OPTIONS)
def test_invalid_options_are_refused(option: str) -> None:
    with pytest.raises(InputError, match=f"option {option}="):
        Word2VecOptions(**{option: BAD_OPTIONS[option]})

"""Vectors of items from words and histories: the same as by hand, never NaN, the same again from a folder."""

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


def made_items() -> pd.DataFrame:
    """60, the even ones of the kitchen, the odd ones of the studio."""
    random = np.random.default_rng(0)
    titles = [" ".join(random.choice((KITCHEN, STUDIO)[row % 2].split(), 4, replace=False)) for row in range(60)]
    names = ["Home & Garden", "Art|Film Noir"] * 30
    return pd.DataFrame({"item_id": [f"i{row}" for row in range(60)], "title": titles, "categories": names})


def made_interactions() -> pd.DataFrame:
    """80 users, half of them with even items, half with odd ones; times are often equal, rows in no order."""
    random = np.random.default_rng(1)
    rows = [(f"u{user}", f"i{place * 2 + user % 2}") for user in range(80) for place in random.permutation(30)[:8]]
    table = pd.DataFrame(rows, columns=["user_id", "item_id"])
    return table.assign(timestamp=random.integers(0, 4, len(table))).sample(frac=1, random_state=0)


def vectors_as_text() -> str:
    items = pd.DataFrame({"item_id": ["a", "b", "c"], "title": ["red wine", "white wine", "red beer"]})
    interactions = pd.DataFrame({"user_id": list("uuuvv"), "item_id": list("abcca"), "timestamp": [3, 2, 1, 1, 2]})
    kinds = [Word2VecOptions(dim=8, min_count=1, subwords=subwords) for subwords in (False, True)]
    vectors = [Word2VecContent.fit(items, interactions, options).transform(items) for options in kinds]
    return " ".join(table.tobytes().hex() for table in vectors)


@pytest.fixture(scope="module")
def content() -> Word2VecContent:
    return Word2VecContent.fit(made_items(), made_interactions(), Word2VecOptions(dim=16, subwords=True))


def same(first: Word2VecContent, second: Word2VecContent) -> None:
    items = pd.DataFrame({"item_id": ["i0", "i1", "new"], "title": ["oven lens", "cooks", "?"]})
    np.testing.assert_array_equal(first.transform(items), second.transform(items))


def test_both_views_know_what_is_alike(content: Word2VecContent) -> None:
    vectors = content.transform(made_items())
    assert vectors.shape == (60, 32)
    assert content.transform(made_items().head(0)).shape == (0, 32)
    assert vectors.dtype == np.float32
    for view in (vectors[:, :16], vectors[:, 16:]):
        nearest = np.argsort(-(view @ view.T - 2 * np.eye(60)), axis=1)[:, :5]
        assert ((nearest % 2) == np.arange(60)[:, None] % 2).mean() > 0.95


def test_the_view_of_words_by_hand() -> None:
    items = made_items().assign(title=lambda table: table["title"].mask(table.index == 7, ""), categories="")
    content = Word2VecContent.fit(items, options=replace(SHORT, phrases=False))
    texts = [title.split() for title in items["title"]]
    means = np.zeros((60, 8))
    for row, text in enumerate(texts):
        for word in text:
            weight = 1 + np.log(61 / (1 + sum(word in other for other in texts)))
            means[row] += weight * content.words.vectors[content.words.words.lookup([word])[0]]
    means = np.delete(means, 7, axis=0)
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    means -= means.mean(axis=0)
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    np.testing.assert_allclose(content.transform(items), np.insert(means, 7, 0, axis=0), atol=1e-4)


def test_without_taking_out_what_all_share() -> None:
    content = Word2VecContent.fit(made_items(), options=replace(SHORT, remove_common=False))
    means = content.words.weighted_sums([["oven", "pan"]], content.rarity)[0]
    found = content.transform(pd.DataFrame({"title": ["Oven, pan!"]}))[0]
    np.testing.assert_allclose(found, means / np.linalg.norm(means), rtol=1e-5)


def test_the_view_of_histories_is_word2vec_of_what_users_had_in_its_order() -> None:
    interactions = pd.DataFrame(
        {"user_id": [2, 1, 2, 1, 1], "item_id": [10, 20, 30, 10, 30], "timestamp": [5, 3, 4, 1, 2]}
    )
    content = Word2VecContent.fit(made_items(), interactions, SHORT)
    expected = WordVectors.train([["10", "30", "20"], ["30", "10"]], dim=8, window=20, min_count=1, epochs=2)
    assert content.neighbours is not None
    np.testing.assert_array_equal(content.neighbours.vectors, expected.vectors)
    found = content.transform(pd.DataFrame({"item_id": [30, 99], "title": ["pan", "pan"]}))[:, 8:]
    vector = expected.vectors[expected.words.lookup(["30"])[0]]
    np.testing.assert_allclose(found, [vector / np.linalg.norm(vector), np.zeros(8)], rtol=1e-5)


def test_the_order_of_rows_and_further_columns_change_nothing_and_a_seed_all() -> None:
    """Rows of one time are often sorted by item, which would leak into the histories."""
    items, interactions = made_items(), made_interactions()
    first = Word2VecContent.fit(items, interactions, SHORT)
    shuffled = interactions.sort_values("item_id").assign(scenario="toys", rating="none", text=None)
    same(first, Word2VecContent.fit(items, shuffled, SHORT))
    other = Word2VecContent.fit(items, interactions, replace(SHORT, seed=1))
    changed = first.transform(items) != other.transform(items)
    assert changed[:, :8].any()
    assert changed[:, 8:].any()


def test_columns_names_and_cells_of_any_kind() -> None:
    items = pd.DataFrame(
        {"brand": ["Red Wine", None, 7, np.nan], "who": ["Jo Do|Al", pd.NA, "", "jo  do"], "title": "never read"}
    )
    options = replace(SHORT, columns=("brand", "no such"), names=("who",))
    content = Word2VecContent.fit(items, options=options)
    read = [["jo do", "al", "red", "wine"], [], ["7"], ["jo do"]]
    expected = WordVectors.train(read, dim=8, window=20, min_count=1, epochs=2)
    assert content.words.words == expected.words
    np.testing.assert_array_equal(content.words.vectors, expected.vectors)
    assert content.transform(items).any(axis=1).tolist() == [True, False, True, True]
    assert content.transform(items[["who"]]).any(axis=1).tolist() == [True, False, False, True]


def test_phrases_are_joined_inside_one_column() -> None:
    random = np.random.default_rng(0)
    words = random.choice(["red", "blue", "green", "old", "new", "big"], (300, 3))
    titles, texts = [f"Star Wars {a} {b}" for a, b, _ in words], [f"{c} lens" for *_, c in words]
    items = pd.DataFrame({"title": titles, "text": texts, "categories": "Sci-Fi|Space Opera"})
    content = Word2VecContent.fit(items, options=SHORT)
    assert content.phrases == ["star_wars"]
    vocabulary = set(content.words.words.tokens)
    assert {"star_wars", "sci-fi", "space opera", "lens"} < vocabulary
    assert not {"star", "wars"} & vocabulary
    alone = Word2VecContent.fit(items, options=replace(SHORT, phrases=False))
    assert {"star", "wars"} < set(alone.words.words.tokens)
    assert alone.phrases == []


def test_the_language_is_handed_on() -> None:
    items = pd.DataFrame({"title": ["ハロー石头"]})
    for language, cut in (("zh", {"ハ", "ロ", "ー", "石头"}), ("auto", {"ハロ", "ロー", "ー石", "石头"})):
        content = Word2VecContent.fit(items, options=replace(SHORT, language=language))
        assert set(content.words.words.tokens[1:]) == cut


def test_unknown_words_on_request(content: Word2VecContent) -> None:
    asked = pd.DataFrame({"item_id": "new", "title": ["Kitchens and ovens", "photos, cameras"]})
    found, known = content.transform(asked), content.transform(made_items())
    sides = np.sign((found @ known.T)[:, ::2].mean(axis=1) - (found @ known.T)[:, 1::2].mean(axis=1))
    assert sides.tolist() == [1, -1]
    without = Word2VecContent.fit(made_items(), options=SHORT)
    assert not without.transform(asked).any()


@given(st.lists(st.text(st.characters(), max_size=60), min_size=1, max_size=5))
@example(["", "😀", "\ud800", "<p></p>", "Oven " * 3000])
@settings(max_examples=80, deadline=None)
def test_no_text_gives_a_vector_that_is_none(content: Word2VecContent, texts: list[str]) -> None:
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
        (["oven", "Oven!", "oven"], 1, [False, False]),  # nothing sets a text apart
    ],
)
def test_little_or_nothing_to_learn_from(titles: list[str], min_count: int, known: list[bool]) -> None:
    items = pd.DataFrame({"title": pd.Series(titles, dtype=object)})
    content = Word2VecContent.fit(items, options=replace(SHORT, min_count=min_count))
    assert content.transform(pd.DataFrame({"title": ["oven", "lens"]})).any(axis=1).tolist() == known


def test_the_same_bits_in_a_fresh_process() -> None:
    """One whose strings have other hashes: gensim can draw the starting vectors by them."""
    imports = "import pandas as pd\nfrom tfllmrec.content.word2vec import Word2VecContent, Word2VecOptions\n"
    command = [sys.executable, "-c", f"{imports}{inspect.getsource(vectors_as_text)}\nprint(vectors_as_text())"]
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    found = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert found.stdout.strip() == vectors_as_text()


def test_bars_on_request_only(capsys: pytest.CaptureFixture[str]) -> None:
    content = Word2VecContent.fit(made_items(), made_interactions(), SHORT)
    content.transform(made_items())
    assert capsys.readouterr().err == ""
    Word2VecContent.fit(made_items(), made_interactions(), SHORT, workers=2, progress=True)
    shown = capsys.readouterr().err
    assert all(bar in shown for bar in ("title", "words", "histories", "60/60", "2/2"))
    content.transform(made_items(), progress=True)
    assert "60/60" in capsys.readouterr().err


@pytest.mark.parametrize("kept", ["all", "words alone", "options of a family"])
def test_the_same_from_a_folder(content: Word2VecContent, tmp_path: Path, kept: str) -> None:
    @dataclass(frozen=True)
    class Family(Word2VecOptions):
        decay: float = 0.9

    options = {"all": None, "words alone": SHORT, "options of a family": Family(dim=8, epochs=1)}[kept]
    content = Word2VecContent.fit(made_items(), options=options) if options else content
    content = replace(content, phrases=["oven_lens"])
    content.save(tmp_path / "kept")
    loaded = Word2VecContent.load(tmp_path / "kept")
    same(loaded, content)
    assert loaded.phrases == content.phrases
    told = {name: getattr(content.options, name) for name in Word2VecOptions.__dataclass_fields__}
    assert loaded.options == Word2VecOptions(**told)
    loaded.save(tmp_path / "again")
    assert sorted(path.name for path in (tmp_path / "again").iterdir()) == ["word2vec.json", "word2vec.npz"]
    with np.load(tmp_path / "kept" / "word2vec.npz", allow_pickle=False) as arrays:
        assert all(arrays[name].dtype == np.float32 for name in arrays)
    with pytest.raises(InputError, match="already exists"):
        content.save(tmp_path / "kept")


def change_told(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    told = json.loads((folder / "word2vec.json").read_text())
    change(told)
    (folder / "word2vec.json").write_text(json.dumps(told))


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
    "an unknown option": lambda folder: change_told(folder, lambda told: told["options"].update(colour="red")),
    "a bad option": lambda folder: change_told(folder, lambda told: told["options"].update(epochs=0)),
    "another width": lambda folder: change_told(folder, lambda told: told["options"].update(dim=17)),
    "a word less": lambda folder: change_told(folder, lambda told: told["words"].pop()),
    "a word twice": lambda folder: change_told(folder, lambda told: told["words"].__setitem__(0, told["words"][1])),
    "narrow neighbours": lambda folder: change_array(folder, "neighbours", lambda table: table[:, :15]),
    "short rarity": lambda folder: change_array(folder, "rarity", lambda table: table[:-1]),
    "narrow common": lambda folder: change_array(folder, "common", lambda table: table[:-1]),
    "rarity that is no number": lambda folder: change_array(folder, "rarity", lambda table: table * np.nan),
    "common that is no number": lambda folder: change_array(folder, "common", lambda table: table * np.inf),
    "objects": lambda folder: change_array(folder, "common", lambda table: table.astype(object)),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_one_clear_error(content: Word2VecContent, tmp_path: Path, name: str) -> None:
    content.save(tmp_path / "kept")
    DAMAGES[name](tmp_path / "kept")
    with pytest.raises(InputError) as error:
        Word2VecContent.load(tmp_path / "kept")
    assert str(error.value) == f"{tmp_path / 'kept'} holds no Word2Vec content: a file is missing or damaged"


def test_tables_that_do_not_fit(content: Word2VecContent) -> None:
    with pytest.raises(InputError, match=r"none of the columns title, text, categories is .* table has name"):
        content.transform(pd.DataFrame({"name": ["A"]}))
    with pytest.raises(InputError, match="column item_id is missing; the table has title"):
        content.transform(pd.DataFrame({"title": ["A"]}))
    with pytest.raises(InputError, match="interactions: column timestamp is missing"):
        Word2VecContent.fit(made_items(), pd.DataFrame({"user_id": ["u"], "item_id": ["a"]}))


@pytest.mark.parametrize("option", BAD_OPTIONS)
def test_options_that_are_none(option: str) -> None:
    with pytest.raises(InputError, match=f"option {option}="):
        Word2VecOptions(**{option: BAD_OPTIONS[option]})

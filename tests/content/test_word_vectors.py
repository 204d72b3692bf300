"""Vectors and phrases: the same as gensim's, the sums the same as by hand, and what is refused."""

from typing import Any

import numpy as np
import pytest
from gensim.models import FastText, Word2Vec
from hypothesis import given, settings
from hypothesis import strategies as st

from tfllmrec.content.word_vectors import WordVectors, enough_epochs, join_phrases, learn_phrases, rarity
from tfllmrec.data import Vocabulary
from tfllmrec.errors import InputError

KITCHEN = ["cook", "cooking", "oven", "pan", "kitchen", "recipe"]
STUDIO = ["photograph", "photography", "camera", "lens", "studio", "flash"]
SMALL = {"dim": 8, "window": 5, "min_count": 1, "epochs": 2}


@pytest.fixture(scope="module")
def sentences() -> list[list[str]]:
    """Of the kitchen or of the studio, never of both."""
    random = np.random.default_rng(0)
    return [random.permutation((KITCHEN, STUDIO)[turn % 2])[:4].tolist() for turn in range(400)]


def cosine(first: np.ndarray, second: np.ndarray) -> float:
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


@pytest.mark.parametrize("subwords", [False, True])
def test_the_vectors_are_gensims(sentences: list[list[str]], subwords: bool) -> None:
    learnt = WordVectors.train(sentences, dim=12, window=3, min_count=2, epochs=3, seed=5, subwords=subwords)
    kind: Any = FastText if subwords else Word2Vec
    more = {"min_n": 3, "max_n": 6, "bucket": 20_000} if subwords else {}
    told = {"vector_size": 12, "window": 3, "min_count": 2, "epochs": 3, "seed": 5, "workers": 1, "alpha": 0.05}
    gensims = kind(sentences, sg=1, **told, **more).wv
    assert learnt.words.tokens[1:].tolist() == gensims.index_to_key
    np.testing.assert_array_equal(learnt.vectors[1:], gensims.vectors)
    np.testing.assert_array_equal(learnt.vectors[0], np.zeros(12))
    assert learnt.vectors.dtype == np.float32
    assert (learnt.parts is not None) == subwords


def test_words_of_one_subject_are_near_each_other(sentences: list[list[str]]) -> None:
    learnt = WordVectors.train(sentences, dim=16, window=5, min_count=1)
    vectors = {word: learnt.vectors[learnt.words.lookup([word])[0]] for word in KITCHEN + STUDIO}
    assert cosine(vectors["oven"], vectors["pan"]) > cosine(vectors["oven"], vectors["lens"]) + 0.5


def test_an_unknown_word_is_near_its_relatives(sentences: list[list[str]]) -> None:
    learnt = WordVectors.train(sentences, dim=16, window=5, min_count=1, subwords=True)
    for unknown, near, far in (("photographer", "camera", "oven"), ("cookings", "oven", "camera")):
        vectors = learnt.vectors[learnt.words.lookup([near, far])]
        assert cosine(learnt.of_unknown(unknown), vectors[0]) > cosine(learnt.of_unknown(unknown), vectors[1]) + 0.3


def test_an_unknown_word_of_known_parts_has_gensims_vector() -> None:
    known = [["aaaaaaaa", "bbbbbbbb"]] * 3
    learnt = WordVectors.train(known, **SMALL, subwords=True)
    told = {"vector_size": 8, "window": 5, "min_count": 1, "epochs": 2, "seed": 0, "workers": 1, "alpha": 0.05}
    gensims = FastText(known, sg=1, min_n=3, max_n=6, bucket=20_000, **told).wv
    np.testing.assert_allclose(learnt.of_unknown("aaaaaaa"), gensims["aaaaaaa"], rtol=1e-5)


def test_an_unknown_word_of_unknown_parts_has_zeros(sentences: list[list[str]]) -> None:
    with_parts = WordVectors.train(sentences, **SMALL, subwords=True)
    np.testing.assert_array_equal([with_parts.of_unknown(word) for word in ("zzzz", "")], np.zeros((2, 8)))
    np.testing.assert_array_equal(WordVectors.train(sentences, **SMALL).of_unknown("cooks"), np.zeros(8))


@pytest.mark.parametrize("subwords", [False, True])
@pytest.mark.parametrize("given_", [[], [[]], [["rare"], ["words", "all"]]], ids=["nothing", "no words", "rare words"])
def test_a_vocabulary_of_nothing(given_: list[list[str]], subwords: bool) -> None:
    learnt = WordVectors.train(given_, dim=4, window=5, min_count=2, epochs=2, subwords=subwords)
    np.testing.assert_array_equal(learnt.vectors, np.zeros((1, 4)))
    np.testing.assert_array_equal(learnt.of_unknown("rare"), np.zeros(4))
    np.testing.assert_array_equal(learnt.weighted_sums([["rare"], []], np.ones(1, np.float32)), np.zeros((2, 4)))


def test_rare_words_are_unknown() -> None:
    learnt = WordVectors.train([["a", "b", "b"], ["a", "c"]], **(SMALL | {"min_count": 2}))
    assert set(learnt.words.tokens[1:]) == {"a", "b"}


def test_the_end_of_a_very_long_text_is_read_too() -> None:
    """Gensim alone takes the first 10,000 words of a sentence."""
    text = ["a", "b"] * 5000 + ["c", "d"] * 5000
    whole = WordVectors.train([text], **SMALL)
    halves = WordVectors.train([text[:10_000], text[10_000:]], **SMALL)
    np.testing.assert_array_equal(whole.vectors, halves.vectors)
    beginning = Word2Vec([text], vector_size=8, min_count=1, epochs=2, seed=0, workers=1, sg=1, alpha=0.05).wv
    assert not np.array_equal(whole.vectors[1:], beginning.vectors)


def test_seeds(sentences: list[list[str]]) -> None:
    first, again, other = (WordVectors.train(sentences, **SMALL, seed=seed).vectors for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_few_words_are_read_more_often() -> None:
    assert [enough_epochs(words) for words in (1, 99_000, 400_000, 700_000, 10**9)] == [40, 40, 10, 6, 5]
    few = [["red", "wine"], ["red", "beer"]]
    unsaid, said = (WordVectors.train(few, **(SMALL | {"epochs": epochs})).vectors for epochs in (None, 40))
    np.testing.assert_array_equal(unsaid, said)


def test_a_bar_an_epoch_on_request_only(sentences: list[list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    WordVectors.train(sentences, **SMALL)
    assert capsys.readouterr().err == ""
    WordVectors.train(sentences, **SMALL, progress="letters")
    shown = capsys.readouterr().err
    assert "letters" in shown
    assert "2/2" in shown


def test_sums_by_hand() -> None:
    learnt = WordVectors(Vocabulary(["red", "wine"]), np.array([[0, 0], [1, 3], [0, 2]], np.float32))
    weights = np.array([9, 10, 0.5], np.float32)
    sums = learnt.weighted_sums([["red", "wine", "red"], [], ["beer"], ["wine", "beer"]], weights)
    np.testing.assert_array_equal(sums, [[20, 61], [0, 0], [0, 0], [0, 1]])
    assert sums.dtype == np.float32


def test_sums_with_parts_of_unknown_words(sentences: list[list[str]]) -> None:
    learnt = WordVectors.train(sentences, **SMALL, subwords=True)
    weights = np.linspace(3, 2, len(learnt.words) + 1).astype(np.float32)
    asked = [["cooks", "pan", "cooks"], [], ["photo"], ["zzzz"]]
    expected = np.zeros((4, 8))
    for row, sentence in enumerate(asked):
        for word in sentence:
            index = learnt.words.lookup([word])[0]
            expected[row] += weights[index] * (learnt.vectors[index] if index else learnt.of_unknown(word))
    assert expected[[0, 2]].any(axis=1).all()
    np.testing.assert_allclose(learnt.weighted_sums(asked, weights), expected, rtol=1e-5, atol=1e-7)


@given(st.lists(st.lists(st.sampled_from("abcdx"), max_size=8), max_size=8))
@settings(max_examples=60, deadline=None)
def test_rarity_and_sums_are_those_of_a_loop(sentences: list[list[str]]) -> None:
    words = Vocabulary(["a", "b", "c", "d"])
    learnt = WordVectors(words, np.vstack([np.zeros(3), np.arange(12).reshape(4, 3)]).astype(np.float32))
    weights = rarity(sentences, words)
    counts = [0, *(sum(word in sentence for sentence in sentences) for word in "abcd")]
    np.testing.assert_allclose(weights, [1 + np.log((1 + len(sentences)) / (1 + count)) for count in counts], rtol=1e-6)
    sums = [sum((weights[i] * learnt.vectors[i] for i in words.lookup(s)), np.zeros(3)) for s in sentences]
    np.testing.assert_allclose(learnt.weighted_sums(sentences, weights), np.reshape(sums, (-1, 3)), rtol=1e-5)


def test_phrases_are_words_that_come_together_more_than_apart() -> None:
    random = np.random.default_rng(0)
    plain = [random.choice(["red", "blue", "old", "big", "the"], 6).tolist() for _ in range(200)]
    texts = [[*text[:3], "star", "wars", *text[3:], "lord", "of", "the", "rings"] for text in plain]
    phrases = learn_phrases(texts)
    assert set(phrases) == {"star_wars", "lord_of_the_rings"}
    assert join_phrases(texts[:1], phrases) == [[*plain[0][:3], "star_wars", *plain[0][3:], "lord_of_the_rings"]]


def test_joining_leaves_other_words_as_they_are() -> None:
    sentences = [[], ["wars", "star"], ["lord", "of"], ["star", "star", "wars", "of"]]
    joined = [[], ["wars", "star"], ["lord", "of"], ["star", "star_wars", "of"]]
    assert join_phrases(sentences, ["star_wars"]) == joined
    assert join_phrases(sentences, []) == sentences
    assert join_phrases([], ["star_wars"]) == []


@pytest.mark.parametrize("texts", [[], [[]], [["star", "wars"]] * 4], ids=["nothing", "no words", "too few"])
def test_no_phrases(texts: list[list[str]]) -> None:
    assert learn_phrases(texts) == []


BAD: dict[str, tuple[Any, Any, str]] = {
    "too few rows": (np.zeros((2, 4)), None, "2 words"),
    "one row too many": (np.zeros((4, 4)), None, "2 words"),
    "a list of lists": (np.zeros(3), None, "2 words"),
    "something for the unknown": (np.ones((3, 4)), None, "2 words"),
    "not a number": (np.array([[0.0], [np.nan], [1.0]]), None, "not finite"),
    "infinity": (np.array([[0.0], [np.inf], [1.0]]), None, "not finite"),
    "narrow parts": (np.zeros((3, 4)), np.zeros((20_000, 3)), "20000 vectors"),
    "few parts": (np.zeros((3, 4)), np.zeros((10, 4)), "20000 vectors"),
    "parts that are no numbers": (np.zeros((3, 4)), np.full((20_000, 4), np.nan), "not finite"),
}


@pytest.mark.parametrize("name", BAD)
def test_no_word_vectors(name: str) -> None:
    vectors, parts, message = BAD[name]
    with pytest.raises(InputError, match=message):
        WordVectors(Vocabulary(["a", "b"]), vectors, parts)

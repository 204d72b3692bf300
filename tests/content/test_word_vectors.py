"""Word vectors and phrases compared with gensim, weighted sums, invalid vectors."""

from typing import Any

import numpy as np
import pytest
from gensim.models import FastText, Word2Vec
from hypothesis import given, settings
from hypothesis import strategies as st

from tfllmrec.content.phrases import join_phrases, learn_phrases
from tfllmrec.content.word_vectors import WordVectors, default_epochs, idf_weights
from tfllmrec.data import Vocabulary
from tfllmrec.errors import InputError

KITCHEN = ["cook", "cooking", "oven", "pan", "kitchen", "recipe"]
STUDIO = ["photograph", "photography", "camera", "lens", "studio", "flash"]
SMALL = {"dim": 8, "window": 5, "min_count": 1, "epochs": 2}


@pytest.fixture(scope="module")
def sentences() -> list[list[str]]:
    """Sentences of words of the kitchen or of the studio, never of both."""
    random = np.random.default_rng(0)
    return [random.permutation((KITCHEN, STUDIO)[turn % 2])[:4].tolist() for turn in range(400)]


def cosine(first: np.ndarray, second: np.ndarray) -> float:
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


@pytest.mark.parametrize("subwords", [False, True])
def test_vectors_are_those_of_gensim(sentences: list[list[str]], subwords: bool) -> None:
    trained = WordVectors.train(sentences, dim=12, window=3, min_count=2, epochs=3, seed=5, subwords=subwords)
    kind: Any = FastText if subwords else Word2Vec
    subword_options = {"min_n": 3, "max_n": 6, "bucket": 20_000} if subwords else {}
    gensim_options = {
        "vector_size": 12,
        "window": 3,
        "min_count": 2,
        "epochs": 3,
        "seed": 5,
        "workers": 1,
        "alpha": 0.05,
    }
    expected = kind(sentences, sg=1, **gensim_options, **subword_options).wv
    assert trained.vocabulary.tokens[1:].tolist() == expected.index_to_key
    np.testing.assert_array_equal(trained.vectors[1:], expected.vectors)
    np.testing.assert_array_equal(trained.vectors[0], np.zeros(12))
    assert trained.vectors.dtype == np.float32
    assert (trained.subword_vectors is not None) == subwords


def test_words_of_one_topic_are_similar(sentences: list[list[str]]) -> None:
    trained = WordVectors.train(sentences, dim=16, window=5, min_count=1)
    vectors = {word: trained.vectors[trained.vocabulary.lookup([word])[0]] for word in KITCHEN + STUDIO}
    assert cosine(vectors["oven"], vectors["pan"]) > cosine(vectors["oven"], vectors["lens"]) + 0.5


def test_unknown_word_is_similar_to_related_words(sentences: list[list[str]]) -> None:
    trained = WordVectors.train(sentences, dim=16, window=5, min_count=1, subwords=True)
    for unknown, near, far in (("photographer", "camera", "oven"), ("cookings", "oven", "camera")):
        vectors = trained.vectors[trained.vocabulary.lookup([near, far])]
        vector = trained.unknown_word_vector(unknown)
        assert cosine(vector, vectors[0]) > cosine(vector, vectors[1]) + 0.3


def test_unknown_word_with_known_ngrams_has_the_vector_of_gensim() -> None:
    known = [["aaaaaaaa", "bbbbbbbb"]] * 3
    trained = WordVectors.train(known, **SMALL, subwords=True)
    gensim_options = {
        "vector_size": 8,
        "window": 5,
        "min_count": 1,
        "epochs": 2,
        "seed": 0,
        "workers": 1,
        "alpha": 0.05,
    }
    expected = FastText(known, sg=1, min_n=3, max_n=6, bucket=20_000, **gensim_options).wv
    np.testing.assert_allclose(trained.unknown_word_vector("aaaaaaa"), expected["aaaaaaa"], rtol=1e-5)


def test_unknown_word_with_unknown_ngrams_is_zero(sentences: list[list[str]]) -> None:
    with_parts = WordVectors.train(sentences, **SMALL, subwords=True)
    np.testing.assert_array_equal([with_parts.unknown_word_vector(word) for word in ("zzzz", "")], np.zeros((2, 8)))
    np.testing.assert_array_equal(WordVectors.train(sentences, **SMALL).unknown_word_vector("cooks"), np.zeros(8))


@pytest.mark.parametrize("subwords", [False, True])
@pytest.mark.parametrize("texts", [[], [[]], [["rare"], ["words", "all"]]], ids=["nothing", "no words", "rare words"])
def test_empty_vocabulary(texts: list[list[str]], subwords: bool) -> None:
    trained = WordVectors.train(texts, dim=4, window=5, min_count=2, epochs=2, subwords=subwords)
    np.testing.assert_array_equal(trained.vectors, np.zeros((1, 4)))
    np.testing.assert_array_equal(trained.unknown_word_vector("rare"), np.zeros(4))
    np.testing.assert_array_equal(trained.weighted_sums([["rare"], []], np.ones(1, np.float32)), np.zeros((2, 4)))


def test_rare_words_are_unknown() -> None:
    trained = WordVectors.train([["a", "b", "b"], ["a", "c"]], **(SMALL | {"min_count": 2}))
    assert set(trained.vocabulary.tokens[1:]) == {"a", "b"}


def test_very_long_texts_are_used_whole() -> None:
    """Gensim ignores the words of a sentence after the first 10,000."""
    text = ["a", "b"] * 5000 + ["c", "d"] * 5000
    whole = WordVectors.train([text], **SMALL)
    halves = WordVectors.train([text[:10_000], text[10_000:]], **SMALL)
    np.testing.assert_array_equal(whole.vectors, halves.vectors)
    beginning = Word2Vec([text], vector_size=8, min_count=1, epochs=2, seed=0, workers=1, sg=1, alpha=0.05).wv
    assert not np.array_equal(whole.vectors[1:], beginning.vectors)


def test_vectors_depend_on_the_seed(sentences: list[list[str]]) -> None:
    first, again, other = (WordVectors.train(sentences, **SMALL, seed=seed).vectors for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_default_epochs() -> None:
    assert [default_epochs(words) for words in (1, 99_000, 400_000, 700_000, 10**9)] == [40, 40, 10, 6, 5]
    few = [["red", "wine"], ["red", "beer"]]
    default, explicit = (WordVectors.train(few, **(SMALL | {"epochs": epochs})).vectors for epochs in (None, 40))
    np.testing.assert_array_equal(default, explicit)


def test_progress_bar_is_optional(sentences: list[list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    WordVectors.train(sentences, **SMALL)
    assert capsys.readouterr().err == ""
    WordVectors.train(sentences, **SMALL, progress="letters")
    shown = capsys.readouterr().err
    assert "letters" in shown
    assert "2/2" in shown


def test_weighted_sums() -> None:
    trained = WordVectors(Vocabulary(["red", "wine"]), np.array([[0, 0], [1, 3], [0, 2]], np.float32))
    weights = np.array([9, 10, 0.5], np.float32)
    sums = trained.weighted_sums([["red", "wine", "red"], [], ["beer"], ["wine", "beer"]], weights)
    np.testing.assert_array_equal(sums, [[20, 61], [0, 0], [0, 0], [0, 1]])
    assert sums.dtype == np.float32


def test_weighted_sums_with_subwords(sentences: list[list[str]]) -> None:
    trained = WordVectors.train(sentences, **SMALL, subwords=True)
    weights = np.linspace(3, 2, len(trained.vocabulary) + 1).astype(np.float32)
    texts = [["cooks", "pan", "cooks"], [], ["photo"], ["zzzz"]]
    expected = np.zeros((4, 8))
    for row, sentence in enumerate(texts):
        for word in sentence:
            index = trained.vocabulary.lookup([word])[0]
            expected[row] += weights[index] * (trained.vectors[index] if index else trained.unknown_word_vector(word))
    assert expected[[0, 2]].any(axis=1).all()
    np.testing.assert_allclose(trained.weighted_sums(texts, weights), expected, rtol=1e-5, atol=1e-7)


@given(st.lists(st.lists(st.sampled_from("abcdx"), max_size=8), max_size=8))
@settings(max_examples=60, deadline=None)
def test_idf_weights_and_sums_compared_with_a_loop(sentences: list[list[str]]) -> None:
    words = Vocabulary(["a", "b", "c", "d"])
    trained = WordVectors(words, np.vstack([np.zeros(3), np.arange(12).reshape(4, 3)]).astype(np.float32))
    weights = idf_weights(sentences, words)
    counts = [0, *(sum(word in sentence for sentence in sentences) for word in "abcd")]
    np.testing.assert_allclose(weights, [1 + np.log((1 + len(sentences)) / (1 + count)) for count in counts], rtol=1e-6)
    sums = [sum((weights[i] * trained.vectors[i] for i in words.lookup(s)), np.zeros(3)) for s in sentences]
    np.testing.assert_allclose(trained.weighted_sums(sentences, weights), np.reshape(sums, (-1, 3)), rtol=1e-5)


def test_learn_phrases() -> None:
    random = np.random.default_rng(0)
    plain = [random.choice(["red", "blue", "old", "big", "the"], 6).tolist() for _ in range(200)]
    texts = [[*text[:3], "star", "wars", *text[3:], "lord", "of", "the", "rings"] for text in plain]
    phrases = learn_phrases(texts)
    assert set(phrases) == {"star_wars", "lord_of_the_rings"}
    assert join_phrases(texts[:1], phrases) == [[*plain[0][:3], "star_wars", *plain[0][3:], "lord_of_the_rings"]]


def test_join_phrases_keeps_other_words() -> None:
    sentences = [[], ["wars", "star"], ["lord", "of"], ["star", "star", "wars", "of"]]
    joined = [[], ["wars", "star"], ["lord", "of"], ["star", "star_wars", "of"]]
    assert join_phrases(sentences, ["star_wars"]) == joined
    assert join_phrases(sentences, []) == sentences
    assert join_phrases([], ["star_wars"]) == []


@pytest.mark.parametrize("texts", [[], [[]], [["star", "wars"]] * 4], ids=["nothing", "no words", "too few"])
def test_texts_without_phrases(texts: list[list[str]]) -> None:
    assert learn_phrases(texts) == []


BAD: dict[str, tuple[Any, Any, str]] = {
    "too few rows": (np.zeros((2, 4)), None, "2 words"),
    "one row too many": (np.zeros((4, 4)), None, "2 words"),
    "a list of lists": (np.zeros(3), None, "2 words"),
    "non-zero row of the unknown word": (np.ones((3, 4)), None, "2 words"),
    "not a number": (np.array([[0.0], [np.nan], [1.0]]), None, "not finite"),
    "infinity": (np.array([[0.0], [np.inf], [1.0]]), None, "not finite"),
    "narrow subword vectors": (np.zeros((3, 4)), np.zeros((20_000, 3)), "20000 vectors"),
    "few subword vectors": (np.zeros((3, 4)), np.zeros((10, 4)), "20000 vectors"),
    "subword vectors that are not finite": (np.zeros((3, 4)), np.full((20_000, 4), np.nan), "not finite"),
}


@pytest.mark.parametrize("name", BAD)
def test_invalid_vectors_are_refused(name: str) -> None:
    vectors, parts, message = BAD[name]
    with pytest.raises(InputError, match=message):
        WordVectors(Vocabulary(["a", "b"]), vectors, parts)

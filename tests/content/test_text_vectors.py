"""Vectors of texts by a small BERT of our own: what they are, what is kept, and what is no BERT."""

from pathlib import Path

import keras
import numpy as np
import pytest

from tfllmrec.content import text_vectors as module
from tfllmrec.content.pretrained import Bert, pretrained
from tfllmrec.content.text_vectors import text_vectors
from tfllmrec.errors import InputError

LETTERS = "abcdefghijklmnopqrstuvwxyz花样年华"
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *(f"##{letter}" for letter in LETTERS)]
TEXTS = ["alien", "", "the cat and the dog", "花样年华", "   ", "a"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in Keras's format."""
    keras_nlp = pytest.importorskip("keras_nlp")
    keras.utils.set_random_seed(0)
    folder = tmp_path_factory.mktemp("bert")
    sizes = {"num_layers": 2, "num_heads": 2, "hidden_dim": 8, "intermediate_dim": 16, "max_sequence_length": 32}
    keras_nlp.models.BertBackbone(len(VOCABULARY), **sizes).save_to_preset(folder)
    keras_nlp.models.BertTokenizer(VOCABULARY, lowercase=True).save_to_preset(folder)
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def one_by_one(model: Path, texts: list[str]) -> np.ndarray:
    """By KerasNLP's own means, a text at a time."""
    import keras_nlp

    backbone = keras_nlp.models.BertBackbone.from_preset(str(model))
    tokenizer = keras_nlp.models.BertTokenizer.from_preset(str(model))
    found = []
    for text in texts:
        ids = [2, *np.asarray(tokenizer(text)).tolist(), 3]
        given = {"token_ids": [ids], "segment_ids": [[0] * len(ids)], "padding_mask": [[1] * len(ids)]}
        states = backbone({name: np.array(part) for name, part in given.items()})["sequence_output"].numpy()[0]
        found.append(states.mean(axis=0) / np.linalg.norm(states.mean(axis=0)))
    return np.array(found)


def test_the_normalised_mean_of_the_token_states(model: Path, cache: Path) -> None:
    found = text_vectors(TEXTS, model, length=24, cache=cache)
    assert (found.shape, found.dtype) == ((6, 8), np.float32)
    np.testing.assert_array_equal(found[[1, 4]], 0)
    written = [0, 2, 3, 5]
    np.testing.assert_allclose(found[written], one_by_one(model, [TEXTS[place] for place in written]), atol=1e-5)


def test_accents_and_odd_spaces_are_read(model: Path, cache: Path) -> None:
    same = text_vectors(["AMÉLIE\xa0et l", "amelie et l", "am[UNK]lie et l"], model, cache=cache)
    np.testing.assert_allclose(same[0], same[1], atol=1e-6)
    assert np.abs(same[0] - same[2]).max() > 1e-3


def test_every_text_is_encoded_once(model: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[str] = []
    encode = module._encode

    def counting(texts: list[str], *rest: object, **options: bool) -> np.ndarray:
        encoded.extend(texts)
        return encode(texts, *rest, **options)

    monkeypatch.setattr(module, "_encode", counting)
    first = text_vectors(["one", "two", "one"], model, cache=cache)
    np.testing.assert_array_equal(first[0], first[2])
    assert sorted(encoded) == ["one", "two"]
    again = text_vectors(["two", "three", "one"], model, cache=cache)
    assert sorted(encoded) == ["one", "three", "two"]
    np.testing.assert_array_equal(again[[2, 0]], first[:2])
    text_vectors(["one"], model, length=9, cache=cache)  # another length is another vector
    assert encoded.count("one") == 2
    assert len(list(cache.iterdir())) == 2


def test_another_model_in_the_same_place_is_another(model: Path, cache: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    changed = pretrained(model)
    changed.backbone.token_embedding.embeddings.assign(changed.backbone.token_embedding.embeddings * -2)
    for number, bert in enumerate([pretrained(model), changed], start=1):
        bert.save(folder)
        text_vectors(["one"], folder, cache=cache)
        assert len(list(cache.iterdir())) == number
        folder.rename(tmp_path / str(number))


def test_a_model_is_known_again_wherever_it_lies(model: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bert = pretrained(model)
    first = text_vectors(["one", ""], bert, cache=cache)
    monkeypatch.setattr(module, "_encode", None)
    np.testing.assert_array_equal(text_vectors(["one", ""], model, cache=cache), first)
    np.testing.assert_array_equal(text_vectors(["one", ""], Bert(bert.backbone, bert.tokenizer), cache=cache), first)


def test_texts_longer_than_the_model(model: Path, cache: Path) -> None:
    long, cut = text_vectors(["a " * 1000, "a " * 30], model, length=999, cache=cache)
    np.testing.assert_allclose(long, cut, atol=1e-6)


def test_a_damaged_cache_is_made_anew(model: Path, cache: Path) -> None:
    before = text_vectors(["one"], model, cache=cache)
    next(cache.iterdir()).write_bytes(b"no zip")
    np.testing.assert_array_equal(text_vectors(["one"], model, cache=cache), before)
    assert len(list(cache.iterdir())) == 1


def test_nothing_to_encode_needs_no_model(cache: Path) -> None:
    assert text_vectors(["", " "], "nowhere", cache=cache).shape == (2, 0)
    assert not cache.exists()


def test_no_bert(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"^there is no BERT to be had from .*empty.*: give a folder in Keras's"):
        text_vectors(["one"], tmp_path / "empty", cache=cache)

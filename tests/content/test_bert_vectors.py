"""Text vectors of a BERT: values, cache, invalid models."""

from pathlib import Path

import keras
import numpy as np
import pytest

from tfllmrec.content import bert_vectors as module
from tfllmrec.content.bert import Bert
from tfllmrec.content.bert_loading import pretrained_bert
from tfllmrec.content.bert_vectors import text_vectors
from tfllmrec.errors import InputError

LETTERS = "abcdefghijklmnopqrstuvwxyz花样年华"
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *(f"##{letter}" for letter in LETTERS)]
TEXTS = ["alien", "", "the cat and the dog", "花样年华", "   ", "a"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT as a folder in Keras format."""
    import keras_nlp

    keras.utils.set_random_seed(0)
    folder = tmp_path_factory.mktemp("bert")
    sizes = {"num_layers": 2, "num_heads": 2, "hidden_dim": 8, "intermediate_dim": 16, "max_sequence_length": 32}
    keras_nlp.models.BertBackbone(len(VOCABULARY), **sizes).save_to_preset(folder)
    keras_nlp.models.BertTokenizer(VOCABULARY, lowercase=True).save_to_preset(folder)
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def reference_vectors(model: Path, texts: list[str]) -> np.ndarray:
    """Encode one text at a time with KerasNLP alone."""
    import keras_nlp

    backbone = keras_nlp.models.BertBackbone.from_preset(str(model))
    tokenizer = keras_nlp.models.BertTokenizer.from_preset(str(model))
    vectors = []
    for text in texts:
        ids = [2, *np.asarray(tokenizer(text)).tolist(), 3]
        inputs = {"token_ids": [ids], "segment_ids": [[0] * len(ids)], "padding_mask": [[1] * len(ids)]}
        states = backbone({name: np.array(part) for name, part in inputs.items()})["sequence_output"].numpy()[0]
        vectors.append(states.mean(axis=0) / np.linalg.norm(states.mean(axis=0)))
    return np.array(vectors)


def test_vectors_are_normalised_means_of_token_states(model: Path, cache: Path) -> None:
    vectors = text_vectors(TEXTS, model, length=24, cache=cache)
    assert (vectors.shape, vectors.dtype) == ((6, 8), np.float32)
    np.testing.assert_array_equal(vectors[[1, 4]], 0)
    rows = [0, 2, 3, 5]
    np.testing.assert_allclose(vectors[rows], reference_vectors(model, [TEXTS[row] for row in rows]), atol=1e-5)


def test_accents_and_unicode_spaces_are_normalised(model: Path, cache: Path) -> None:
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
    text_vectors(["one"], model, length=9, cache=cache)  # the length is part of the key
    assert encoded.count("one") == 2
    assert len(list(cache.iterdir())) == 2


def test_model_that_was_replaced_in_its_folder_is_not_confused(model: Path, cache: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    changed = pretrained_bert(model)
    changed.backbone.token_embedding.embeddings.assign(changed.backbone.token_embedding.embeddings * -2)
    for number, bert in enumerate([pretrained_bert(model), changed], start=1):
        bert.save(folder)
        text_vectors(["one"], folder, cache=cache)
        assert len(list(cache.iterdir())) == number
        folder.rename(tmp_path / str(number))


def test_cache_does_not_depend_on_the_folder_of_the_model(
    model: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bert = pretrained_bert(model)
    first = text_vectors(["one", ""], bert, cache=cache)
    monkeypatch.setattr(module, "_encode", None)
    np.testing.assert_array_equal(text_vectors(["one", ""], model, cache=cache), first)
    np.testing.assert_array_equal(text_vectors(["one", ""], Bert(bert.backbone, bert.tokenizer), cache=cache), first)


def test_long_texts_are_truncated_to_the_model(model: Path, cache: Path) -> None:
    long, cut = text_vectors(["a " * 1000, "a " * 30], model, length=999, cache=cache)
    np.testing.assert_allclose(long, cut, atol=1e-6)


def test_damaged_cache_is_replaced(model: Path, cache: Path) -> None:
    before = text_vectors(["one"], model, cache=cache)
    next(cache.iterdir()).write_bytes(b"no zip")
    np.testing.assert_array_equal(text_vectors(["one"], model, cache=cache), before)
    assert len(list(cache.iterdir())) == 1


def test_blank_texts_need_no_model(cache: Path) -> None:
    assert text_vectors(["", " "], "nowhere", cache=cache).shape == (2, 0)
    assert not cache.exists()


def test_folder_without_a_model_is_refused(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"^no BERT can be loaded from .*empty.*: give a folder in Keras or"):
        text_vectors(["one"], tmp_path / "empty", cache=cache)

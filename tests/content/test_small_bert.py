"""WordPiece vocabulary and small BERT of the catalog's texts."""

import re
from pathlib import Path

import keras_nlp
import numpy as np
import pytest

from tfllmrec.content.bert import Bert
from tfllmrec.content.bert_loading import pretrained_bert
from tfllmrec.content.bert_vectors import text_vectors
from tfllmrec.content.small_bert import train_small_bert
from tfllmrec.content.wordpieces import learn_wordpieces
from tfllmrec.errors import InputError

CHINESE = ["霸王别姬", "大红灯笼高高挂", "无间道", "英雄", "卧虎藏龙", "让子弹飞", "活着", "红高粱"]
HOSTILE = [
    "[SEP] [MASK] ##x #1",
    "\0\x07\u200b",
    "a\xa0b\u3000c",
    "🎬🇫🇷 film",
    "Amélie ÉTÉ naïve",
    "Say Anything… 8½ ™ ﬁn",
    "펜트하우스 コールドケース3 ？",
    "word " * 3000,
    "x" * 5000,
    "\ud800",
    "",
]
SMALL = {"layers": 1, "dim": 8, "heads": 2, "length": 12, "epochs": 1}


def bert_of(vocabulary: list[str]) -> Bert:
    return Bert(None, keras_nlp.models.BertTokenizer(vocabulary, lowercase=True, strip_accents=True))


def test_vocabulary_of_two_words() -> None:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert learn_wordpieces(["Bé", "花样 ab"], 100) == [*special, "##b", "##e", "a", "b", "样", "花", "e"]


def test_frequent_pieces_are_added_up_to_the_size() -> None:
    texts = ["dog", "DÒG", "dot"]
    letters = learn_wordpieces(texts, 1)
    assert letters[5:] == ["##g", "##o", "##t", "d", "g", "o", "t"]
    assert learn_wordpieces(texts, 13)[5:] == [*letters[5:], "do"]
    assert learn_wordpieces(texts, 100)[5:] == [*letters[5:], "do", "dog"]


def test_every_character_of_the_texts_is_known() -> None:
    rare = ["".join(map(chr, range(0x4E00, 0x4E00 + 3000)))]
    assert bert_of(learn_wordpieces(CHINESE + rare, 100)).unknown_share(CHINESE + rare) == 0
    hostile = [text for text in HOSTILE if text != "x" * 5000]  # a word that exceeds the maximum length of tokenizers
    assert bert_of(learn_wordpieces(HOSTILE, 100)).unknown_share(hostile) == 0


def test_chinese_is_split_into_characters() -> None:
    bert = bert_of(learn_wordpieces(CHINESE, 1000))
    assert {"霸", "虎", "藏"} <= set(bert.tokenizer.vocabulary)
    assert not any(piece.startswith("##") for piece in bert.tokenizer.vocabulary)  # every character is a word
    assert bert.unknown_share(CHINESE) == 0
    assert bert.unknown_share(["龙虎门", "英雄本色"]) == pytest.approx(3 / 7)
    assert bert_of(learn_wordpieces(["Alien", "Heat"], 1000)).unknown_share(CHINESE) == 1


@pytest.fixture(scope="module")
def bert() -> Bert:
    return train_small_bert(CHINESE + HOSTILE, **SMALL)


@pytest.mark.slow
def test_weights_depend_on_the_seed_only(bert: Bert) -> None:
    assert train_small_bert(CHINESE + HOSTILE, **SMALL).fingerprint == bert.fingerprint
    assert train_small_bert(CHINESE + HOSTILE, **SMALL, seed=1).fingerprint != bert.fingerprint
    assert all(np.isfinite(weight.numpy()).all() for weight in bert.backbone.weights)


def test_vectors_are_the_same_from_a_folder(bert: Bert, tmp_path: Path) -> None:
    assert (bert.backbone.num_layers, bert.backbone.hidden_dim, bert.backbone.max_sequence_length) == (1, 8, 12)
    bert.save(tmp_path / "model")
    again = pretrained_bert(tmp_path / "model")
    assert again.fingerprint == bert.fingerprint
    vectors = [text_vectors(CHINESE + HOSTILE, model, use_cache=False) for model in (bert, again)]
    np.testing.assert_array_equal(*vectors)
    np.testing.assert_allclose(np.linalg.norm(vectors[0][:-1], axis=1), 1, atol=1e-5)


@pytest.mark.slow
def test_masked_words_are_predicted_from_the_context(capsys: pytest.CaptureFixture[str]) -> None:
    texts = ["alien rocket star ship", "wedding bride kiss rose"] * 100
    train_small_bert(texts, layers=1, dim=16, heads=2, length=8, epochs=50, verbose=True)
    losses = [float(loss) for loss in re.findall(r"loss: ([0-9.]+)", capsys.readouterr().out)]
    assert losses[0] > 3.5  # uniform over all tokens
    assert losses[-1] < np.log(8)  # uniform over the eight words; the context leaves four of them


@pytest.mark.parametrize("texts", [[], ["", " \xa0"], ["\0\x07"], ["!", "?! …"]])
def test_texts_without_a_word_are_refused(texts: list[str]) -> None:
    number = len(texts)
    message = rf"^texts: there is no word to learn from in {number} texts; give titles, names or plots$"
    with pytest.raises(InputError, match=message):
        train_small_bert(texts)


def test_one_word_is_enough() -> None:
    bert = train_small_bert(["花"], **SMALL)
    assert bert.tokenizer.vocabulary[5:] == ["花"]
    assert all(np.isfinite(weight.numpy()).all() for weight in bert.backbone.weights)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vocabulary_size": 0}, r"^vocabulary_size is 0: give 1 or more$"),
        ({"layers": 0}, r"^layers is 0: give 1 or more$"),
        ({"dim": 0}, r"^dim is 0: give 1 or more$"),
        ({"heads": 0}, r"^heads is 0: give 1 or more$"),
        ({"epochs": 0}, r"^epochs is 0: give 1 or more$"),
        ({"length": 2}, r"^length is 2: give 3 or more$"),
        ({"seed": -1}, r"^seed is -1: give 0 or more$"),
        ({"dim": 9, "heads": 2}, r"^dim is 9 and heads is 2: give a dim that is a multiple of heads$"),
    ],
)
def test_invalid_options_are_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        train_small_bert(["one"], **options)

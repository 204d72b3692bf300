"""Text as words: markup taken off, Chinese cut by jieba, other scripts at their word boundaries."""

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
# Python's \w lacks them, and without its vowel signs a word of Hindi is several. No emoji selectors (\ufe0f).
_MARKS = "".join(c for c in map(chr, range(0x300, 0xFE00)) if unicodedata.category(c) in ("Mn", "Mc"))
_WORD = re.compile(rf"[{_UNSPACED}]+|\d+(?:\.\d+)+|{_LETTER}+(?:[{_MARKS}]{_LETTER}*|'{_LETTER}+)*")
_STARTS_UNSPACED, _ONLY_HAN = re.compile(f"[{_UNSPACED}]"), re.compile(f"[{_HAN}]+")

_HIDDEN = re.compile(r"<(script|style)\b[^<>]*>.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"</?[a-z][\w:-]*(?:[\s/][^<>]*)?>", re.IGNORECASE)
_UNSEEN = re.compile("[\u00ad\u200c\u200d\u2060\ufeff]")  # where a word may break or must not
_TRADE_MARK = re.compile("[™℠]")  # NFKC would make "nike™" the word "niketm"
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")


def words(text: str, language: Language = "auto") -> list[str]:
    """The words of a text in lower case, without markup, punctuation and symbols.

    Full-width letters become plain ones (NFKC). Numbers are words, without commas between thousands: "2.5m" is 2.5
    and m. A possessive 's goes. Chinese is cut by jieba; Japanese, Thai, Lao, Burmese and Khmer, which have no
    spaces either, become overlapping pairs of characters.

    Args:
        text: any text, perhaps with HTML in it.
        language: "auto" takes Chinese characters for Chinese where no kana touch them; "zh" has jieba cut all that is
            written without spaces, and "other" nothing.

    Example:
        >>> words("<b>The Ocean&#39;s 1,000 wonders</b>: 2.5m deep")
        ['the', 'ocean', '1000', 'wonders', '2.5', 'm', 'deep']
        >>> words("我在重庆看了《疯狂的石头》")
        ['我', '在', '重庆', '看', '了', '疯狂', '的', '石头']
        >>> words("千与千寻 千と千尋の神隠し")
        ['千与千寻', '千と', 'と千', '千尋', '尋の', 'の神', '神隠', '隠し']
    """
    found: list[str] = []
    for run in _WORD.findall(_THOUSANDS.sub("", _plain(text))):
        if not _STARTS_UNSPACED.match(run):
            found.append(run.removesuffix("'s"))
        elif language == "zh" or (language == "auto" and _ONLY_HAN.fullmatch(run)):
            found += _jieba().lcut(run)
        else:
            found += pairs(run)
    return found


def names(cell: str) -> list[str]:
    """Names with `|` between, each as one word; written as `words` writes them, but for spaces and signs.

    Example:
        >>> names("Sci-Fi|Film  Noir||Home &amp; Kitchen")
        ['sci-fi', 'film noir', 'home & kitchen']
    """
    stripped = (" ".join(name.split()) for name in _plain(cell).split("|"))
    return [name for name in stripped if name]


def pairs(characters: str) -> list[str]:
    """Overlapping pairs of neighbours; a single character stays as it is."""
    return [characters[place : place + 2] for place in range(max(len(characters) - 1, 1))]


def _plain(text: str) -> str:
    text = text.encode("utf-8", "ignore").decode("utf-8")  # half an emoji, cut in two by somebody, is no character
    if "<" in text or "&" in text:
        text = _without_markup(text)
    text = _TRADE_MARK.sub(" ", _UNSEEN.sub("", text))
    return unicodedata.normalize("NFKC", text).lower().replace("’", "'")


def _without_markup(text: str) -> str:
    """Markup as spaces, and entities as what they stand for.

    By patterns that take linear time: HTML parsers lose all that follows a "<" which is none, or take quadratic time
    for tags in tags. Tables often hold markup that was escaped once more, so it is looked for after unescaping.
    """
    text = _HIDDEN.sub(" ", html.unescape(text))
    return html.unescape(_TAG.sub(" ", text))


@cache
def _jieba() -> Any:
    """Jieba with its dictionary read from its own text.

    Left alone it reads a cache from the temporary folder that all users of a machine share, in a format (marshal)
    that trusts whoever wrote it, and tells about it on stderr.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it imports pkg_resources, and has escapes that Python complains of
        import jieba

    tokenizer = jieba.Tokenizer()
    tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(tokenizer.get_dict_file())
    tokenizer.initialized = True
    return tokenizer

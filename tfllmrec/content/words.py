"""Text as words: markup taken off, Chinese cut by jieba, other scripts at their word boundaries."""

import html
import logging
import re
import tempfile
import unicodedata
import warnings
from functools import cache
from typing import Any, Literal

import nh3

Language = Literal["auto", "zh", "other"]

_WORD = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff]+"  # Chinese and Japanese, which have no spaces
    r"|\d+(?:[.,]\d+)+(?![^\W_])"  # 1,000 or 2.5 is one number
    r"|[^\W_\u3040-\u30ff\u3400-\u9fff]+(?:'[^\W_\u3040-\u30ff\u3400-\u9fff]+)*"
)
_CHINESE, _KANA = re.compile(r"[\u3400-\u9fff]"), re.compile(r"[\u3040-\u30ff]")


def words(text: str, language: Language = "auto") -> list[str]:
    """The words of a text in lower case, without markup, punctuation and symbols.

    Full-width letters become plain ones (NFKC). Numbers are words, "1,000" and "2.5" are one each; a possessive 's
    goes. Chinese is cut by jieba; Japanese, and Chinese that is said to be no Chinese, into overlapping pairs of
    characters.

    Args:
        text: any text, perhaps with HTML in it.
        language: "zh" has jieba cut whatever is written in Chinese characters, "other" nothing, "auto" what stands in
            a text without kana.

    Example:
        >>> words("<b>The Ocean&#39;s 2.5 m</b> deep")
        ['the', 'ocean', '2.5', 'm', 'deep']
        >>> words("我在重庆看了《疯狂的石头》")
        ['我', '在', '重庆', '看', '了', '疯狂', '的', '石头']
    """
    text = unicodedata.normalize("NFKC", _without_markup(text)).lower().replace("’", "'")
    chinese = language == "zh" or (language == "auto" and not _KANA.search(text))
    found: list[str] = []
    for run in _WORD.findall(text):
        if not (_CHINESE.match(run) or _KANA.match(run)):
            found.append(run.removesuffix("'s"))
        elif chinese:
            found += _jieba().lcut(run)
        else:
            found += pairs(run)
    return found


def pairs(characters: str) -> list[str]:
    """Overlapping pairs of neighbours; a single character stays as it is."""
    return [characters[place : place + 2] for place in range(max(len(characters) - 1, 1))]


def _without_markup(text: str) -> str:
    if "<" not in text and "&" not in text:
        return text
    # A space before every tag keeps words apart that only a tag divides.
    return html.unescape(nh3.clean(text.replace("<", " <"), tags=set()))


@cache
def _jieba() -> Any:
    """jieba, quiet, with its dictionary read from its own text.

    It would rather read a cache from the temporary folder that all users of a machine share, in a format that
    trusts whoever wrote it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it imports pkg_resources, and has escapes that Python complains of
        import jieba

    jieba.setLogLevel(logging.WARNING)
    tokenizer = jieba.Tokenizer()
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.tmp_dir = folder
        tokenizer.initialize()
    return tokenizer

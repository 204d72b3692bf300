"""Word splitting of texts in many scripts."""

import marshal
import os
import subprocess
import sys
import time
import unicodedata
from ast import literal_eval
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tfllmrec.content.words import character_bigrams, split_names, split_words

ANY_TEXT = st.text(st.characters(), max_size=200)  # lone surrogates too
PLAIN_TEXT = st.text(st.characters(exclude_characters="<>&"), max_size=200)

ENGLISH = {
    "Toy Story (1995)": "toy story 1995",
    "Don't look: the Ocean's Eleven!": "don't look the ocean eleven",
    "rock’n’roll for l’été": "rock'n'roll for l'été",
    "James' 'quoted' words'": "james quoted words",
    "T-shirt, 3-pack; X-Men/Y_men": "t shirt 3 pack x men y men",
    "1,000 of 1,234,567 cost 12.50": "1000 of 1234567 cost 12.50",
    "2.5m or 2.5 m, v1.2.3, mp3, 4K, 7,5": "2.5 m or 2.5 m v1 2.3 mp3 4k 7 5",
    "on 2021-03-31.": "on 2021 03 31",
    "Nike™ Air®, ℠ Ⓡ": "nike air r",
    "co\u00adoperate a\u200bb \ufeffc": "cooperate a b c",
    "Cafe\u0301 = Café, ﬁne": "café café fine",
    "ＦＵＬＬ　ｗｉｄｔｈ，１２３": "full width 123",
}

HTML = {
    "<b>bold</b> and <I CLASS='x y'>more</I>": "bold and more",
    "one<br>two<br/>three</p>four": "one two three four",
    "black &amp; white &lt;3 &#39;s &eacute;t&eacute;&nbsp;x": "black white 3 s été x",
    "&lt;b&gt;twice&lt;/b&gt; &amp;quot;escaped&amp;quot;": "twice escaped",
    "<script>alert('no')</script>yes<STYLE type=a>p {x: y}</STYLE >": "yes",
    "before <script src='x'>never closed": "before",
    "seen <!-- not <b>seen</b> --> too <!-- nor this": "seen too",
    "one<!-- no letter of it -->two": "one two",
    "<o:p>office</o:p> <my-tag a=1>mine</my-tag>": "office mine",
    "cost <100mA, CC <= 0.2%, <li.Fits most <wow": "cost 100ma cc 0.2 li fits most wow",  # from real tables
    "a < b and c > d": "a b and c d",
    "R&D at AT&T": "r d at at t",
    "<霸王别姬>": "霸王别姬",
}

CHINESE = {
    "疯狂的石头": "疯狂 的 石头",
    "你好，李焕英": "你好 李焕英",
    "公民凯恩 Citizen Kane (1941)": "公民 凯恩 citizen kane 1941",
    "X战警：黑凤凰 Dark Phoenix": "x 战警 黑 凤凰 dark phoenix",
    "《霸王别姬》真好看，值得一看！": "霸王别姬 真 好看 值得一看",
    "演员们的表演很精彩，剧情却有点烂尾……": "演员 们 的 表演 很 精彩 剧情 却 有点 烂尾",
    "奥逊·威尔斯&nbsp;<em>导演</em>": "奥逊 威尔斯 导演",
    "第２部 ３Ｄ版😀": "第 2 部 3d 版",
}

OTHER_SCRIPTS = {
    "千と千尋の神隠し": "千と と千 千尋 尋の の神 神隠 隠し",
    "ハロー・ワールド ﾊﾛｰ": "ハロ ロー ワー ール ルド ハロ ロー",
    "佐々木の 𠮷野家の": "佐々 々木 木の 𠮷野 野家 家の",
    "기생충, 봉준호 감독": "기생충 봉준호 감독",
    "مرحبا، بالعالم": "مرحبا بالعالم",
    "שלום עולם": "שלום עולם",
    "Война и мир": "война и мир",
    "हिन्दी फ़िल्म": unicodedata.normalize("NFKC", "हिन्दी फ़िल्म"),  # vowel signs and viramas do not split words
    "สวัสดี 5": "สว วั ัส สด ดี 5",
    "１٢": "1٢",
    "1\ufe0f\u20e3 2\u20e3": "1 2",  # a key-cap emoji
}

NOTHING = [
    "",
    " \t\n",
    "😀🎬👨‍👩‍👧",
    "❤️ ♥ ☆",
    "?! … — 《》 ___",
    "<br/><!-- x -->",
    "&nbsp;&#0;",
    "\u0301\u200d",
    "\ud800",
    "฿ ・ ䷀",
]


@pytest.mark.parametrize("text", ENGLISH | HTML | CHINESE | OTHER_SCRIPTS)
def test_split_words(text: str) -> None:
    assert split_words(text) == (ENGLISH | HTML | CHINESE | OTHER_SCRIPTS)[text].split()


@pytest.mark.parametrize("text", NOTHING)
def test_text_without_words(text: str) -> None:
    assert split_words(text) == []


def test_lone_surrogates_are_removed() -> None:
    assert split_words("good \ud83d film\ude00s") == ["good", "films"]
    assert split_names("\ud83dfilm|tv") == ["film", "tv"]


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("auto", "千与千寻 千と と千 千尋 尋の の神 神隠 隠し spirited away"),
        ("zh", "千与千寻 千 と 千尋 の 神 隠 し spirited away"),
        ("other", "千与 与千 千寻 千と と千 千尋 尋の の神 神隠 隠し spirited away"),
    ],
)
def test_languages(language: str, expected: str) -> None:
    assert split_words("千与千寻 千と千尋の神隠し Spirited Away", language) == expected.split()


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("Sci-Fi|Film  Noir", ["sci-fi", "film noir"]),
        (" Drama ||drama|", ["drama", "drama"]),
        ("Home &amp; Kitchen|<b>Toys</b>", ["home & kitchen", "toys"]),
        ("剧情｜爱情|ＴＶ", ["剧情", "爱情", "tv"]),
        ("🎬|a_b", ["🎬", "a_b"]),
        ("", []),
        (" | ", []),
    ],
)
def test_split_names(cell: str, expected: list[str]) -> None:
    assert split_names(cell) == expected


def test_character_bigrams() -> None:
    assert (character_bigrams("abc"), character_bigrams("ab"), character_bigrams("a")) == (["ab", "bc"], ["ab"], ["a"])


@given(ANY_TEXT, st.sampled_from(["auto", "zh", "other"]))
@example("a\x1c\x85\u2028b", "auto")
@settings(max_examples=300, deadline=None)
def test_any_text_gives_valid_words(text: str, language: str) -> None:
    for word in split_words(text, language):
        assert word
        assert word == word.lower()
        kinds = {unicodedata.category(character) for character in word if character not in "'."}
        assert all(kind[0] in "LNM" or kind == "Cn" for kind in kinds)  # unassigned code points of a script
    for name in split_names(text):
        assert name == " ".join(name.split())
        assert "|" not in name
        assert name.encode("utf-8")


@given(PLAIN_TEXT)
@settings(max_examples=200, deadline=None)
def test_surrounding_markup_is_removed(text: str) -> None:
    assert split_words(f"<p class='a b'>{text}</p><script>var x = 1;</script>&nbsp;<!-- y -->") == split_words(text)


@given(
    st.text(st.characters(max_codepoint=0x24F), max_size=50), st.text(st.characters(max_codepoint=0x24F), max_size=50)
)
@settings(max_examples=200, deadline=None)
def test_space_separates_words(first: str, second: str) -> None:
    first, second = first.replace("<", ""), second.replace(">", "")
    assert split_words(f"{first}\n{second}") == split_words(first) + split_words(second)


@pytest.mark.parametrize(
    "text",
    [
        "<div>",
        "<",
        "<a ",
        "<script>",
        "<script",
        "</script ",
        "<!--",
        "&",
        "&lt;",
        "a'",
        "1,000",
        "1.",
        "a\u0301",
        "啊",
        "ก",
    ],
)
def test_time_is_linear(text: str) -> None:
    started = time.process_time()
    split_words(text * 100_000)
    assert time.process_time() - started < 5  # linear time is about 0.1 s


def test_jieba_is_quiet_and_uses_no_shared_cache(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    planted = folder / "jieba.cache"
    planted.write_bytes(marshal.dumps(({}, 1)))
    code = "from tfllmrec.content.words import split_words; print(ascii(split_words('重庆的石头')))"
    loud = ["-W", "error", "-X", f"pycache_prefix={tmp_path / 'compiled'}"]  # compiled again, with its warnings
    environment = {**os.environ, "TMPDIR": str(folder)}
    command = [sys.executable, *loud, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert literal_eval(result.stdout) == ["重庆", "的", "石头"]
    assert result.stderr == ""
    assert [path.name for path in folder.iterdir()] == ["jieba.cache"]
    assert marshal.loads(planted.read_bytes()) == ({}, 1)

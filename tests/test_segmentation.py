"""Words of Japanese and Chinese texts by dictionary, where the extra `[cjk]` is installed; characters where not."""

import subprocess
import sys
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from project import ROOT

from pipeline.segmentation import READINGS, cutter, dictionaries, reading
from pipeline.text import normalised, undoubled, word_spans, words

MISSING = [package for package in ("fugashi", "unidic_lite", "rjieba") if find_spec(package) is None]
WITH_JAPANESE = pytest.mark.skipif(
    bool({"fugashi", "unidic_lite"} & {*MISSING}), reason=f"{', '.join(MISSING)}: install the extra [cjk]"
)
WITH_CHINESE = pytest.mark.skipif("rjieba" in MISSING, reason="rjieba: install the extra [cjk]")
WITH_BOTH = pytest.mark.skipif(bool(MISSING), reason=f"{', '.join(MISSING)}: install the extra [cjk]")

KANA_AND_HAN = "味最高服务很好カフェｶﾞ々〆\U00020bb7かき"
MIXED = st.text(st.sampled_from(list(KANA_AND_HAN + "\u3099\u309aﾞ\u00ad\U000e0100。！ \nabé'’3😀맛_")), max_size=40)
ANY = st.one_of(MIXED, st.text(st.characters(exclude_categories=["Cs"]), max_size=40))


def in_threes(run: str) -> list[str]:
    """Cut a run after each third character: a dictionary that needs no package."""
    return [run[start : start + 3] for start in range(0, len(run), 3)]


def by_dictionary(text: str) -> list[str]:
    return words(text, cutter(text))


class TestRuns:
    """What holds for any dictionary."""

    def test_runs_are_cut_and_other_words_stay(self) -> None:
        assert words("駅前のCafe Blueは4.5点、맛있어요", in_threes) == [
            "駅前の",
            "Cafe",
            "Blue",
            "は",
            "4",
            "5",
            "点",
            "맛있어요",
        ]

    def test_a_dictionary_sees_one_full_width_character_for_each_of_the_text(self) -> None:
        seen: list[str] = []

        def whole(run: str) -> list[str]:
            seen.append(run)
            return [run]

        assert words("ｶﾞｽﾄ か\u3099き\u309a 葛\U000e0100城", whole) == ["ｶﾞｽﾄ", "がき\u309a", "葛城"]
        assert seen == ["ガスト", "がき", "葛城"]

    @given(ANY)
    def test_words_by_dictionary_are_the_characters_put_together(self, text: str) -> None:
        assert "".join(words(text, in_threes)) == "".join(words(text))
        assert words(text, list) == words(text)

    @given(ANY)
    def test_spans_are_where_the_words_are(self, text: str) -> None:
        spans = word_spans(text, in_threes)
        assert [normalised(text[start:end]) for start, end in spans] == words(text, in_threes)
        assert all(end <= start for (_, end), (start, _) in pairwise(spans))

    @given(ANY)
    def test_a_text_reads_alike_composed_and_decomposed(self, text: str) -> None:
        for form in ("NFC", "NFD"):
            assert words(unicodedata.normalize(form, text), in_threes) == words(text, in_threes)


@given(st.text(st.characters(codec="latin-1"), max_size=60))
def test_texts_in_latin_letters_have_nothing_to_cut(text: str) -> None:
    assert cutter(text) is None
    assert words(text, in_threes) == words(text)
    assert word_spans(text, in_threes) == word_spans(text)


@pytest.mark.parametrize("text", ["", "Good food!", "Очень вкусно", "맛있어요", "खाना", "👍 ©", "。！"])
def test_other_scripts_need_no_dictionary(text: str) -> None:
    assert cutter(text) is None


@pytest.mark.parametrize("text", ["味は最高", "服务很好"])
def test_characters_need_no_dictionary(text: str) -> None:
    assert cutter(text, "characters") is None


def test_a_word_that_repeats_a_character_is_no_slip() -> None:
    known = {"さみ", "慢走", "うまい", "soup"}
    assert [undoubled(word, known) for word in ("ささみ", "慢慢走", "うまいい", "souup")] == [
        "ささみ",
        "慢慢走",
        "うまいい",
        "soup",
    ]


class TestReading:
    """Which reading is meant, and what is installed for it."""

    def test_characters_are_always_there(self) -> None:
        assert reading("characters") == "characters"

    def test_what_is_no_reading_is_refused(self) -> None:
        assert READINGS == ("auto", "dictionary", "characters")
        with pytest.raises(ValueError, match="words must be one of auto, dictionary, characters, got 'pairs'"):
            reading("pairs")

    def test_auto_is_the_dictionary_where_it_is_installed(self) -> None:
        assert reading("auto") == ("characters" if MISSING else "dictionary")

    @WITH_BOTH
    def test_the_dictionaries_have_versions(self) -> None:
        assert reading("dictionary") == "dictionary"
        assert set(dictionaries()) == {"fugashi", "unidic_lite", "rjieba"}

    @pytest.mark.parametrize("package", ["fugashi", "unidic_lite", "rjieba"])
    def test_a_missing_package_means_characters_or_one_line_that_says_so(self, package: str) -> None:
        # None in place of a module: Python says that there is none of this name.
        program = f"""
import sys
from types import ModuleType
sys.modules |= {{name: ModuleType(name) for name in ("fugashi", "unidic_lite", "rjieba")}} | {{{package!r}: None}}
from pipeline.segmentation import cutter, reading
print(reading("auto"))
for call in (lambda: reading("dictionary"), lambda: cutter({"服务很好" if package == "rjieba" else "味は最高"!r})):
    try:
        call()
    except ImportError as error:
        print(error)
"""
        done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
        line = f"words='dictionary' needs {package}: pip install \"t-method-vs-attention[cjk]\""
        assert done.stdout.splitlines() == ["characters", line, line]


@WITH_JAPANESE
class TestJapanese:
    """MeCab and unidic-lite."""

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("味は最高！", "味 は 最高"),
            ("ラーメンは全然美味しくない。", "ラーメン は 全然 美味しく ない"),
            ("美味しくなかった", "美味しく なかっ た"),
            ("二度と行きません。", "二 度 と 行き ませ ん"),
            ("期待外れでがっかりしました", "期待 外れ で がっかり し まし た"),
            ("ふわふわのハンバーグ", "ふわふわ の ハンバーグ"),
            ("ぜんぜんだめ。", "ぜんぜん だめ"),
            ("使いづらい", "使い づらい"),
            ("Wi-Fiも電源もあって、", "Wi Fi も 電源 も あっ て"),
            ("ﾗｰﾒﾝとﾊﾟｽﾀ", "ﾗｰﾒﾝ と ﾊﾟｽﾀ"),
            ("駅から5分。", "駅 から 5 分"),
        ],
    )
    def test_words(self, text: str, expected: str) -> None:
        assert by_dictionary(text) == expected.split()

    def test_a_sentence_without_kana_is_cut_as_its_text_is(self) -> None:
        text = "接客最高。味もいい。"
        assert words("接客最高。", cutter(text)) == by_dictionary(text)[:2] == ["接客", "最高"]

    @given(st.text(st.sampled_from(KANA_AND_HAN), max_size=30))
    def test_no_character_is_lost(self, text: str) -> None:
        assert "".join(by_dictionary("の" * 30 + text)) == "".join(words("の" * 30 + text))

    def test_threads_read_alike(self) -> None:
        texts = [
            f"ラーメンは{adjective}美味しくない。" * 20 for adjective in ("全然", "あまり", "そんなに", "少しも")
        ] * 20
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(by_dictionary, texts)) == list(map(by_dictionary, texts))


@WITH_CHINESE
class TestChinese:
    """The dictionary of jieba."""

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("味道非常好，服务也很周到", "味道 非常 好 服务 也 很 周到"),
            ("一点都不好吃，太失望了。", "一点 都 不 好吃 太 失望 了"),
            ("服务员态度很差", "服务员 态度 很 差"),
            ("麻辣烫太咸了", "麻辣烫 太 咸 了"),
            ("iPhone用了3天", "iPhone 用 了 3 天"),
        ],
    )
    def test_words(self, text: str, expected: str) -> None:
        assert by_dictionary(text) == expected.split()

    def test_one_kana_in_a_name_makes_no_japanese_text(self) -> None:
        text = "优の良品的服务态度很好，推荐给大家"
        assert by_dictionary(text)[-5:] == ["很", "好", "推荐", "给", "大家"]

    @given(st.text(st.sampled_from("味最高服务很好々〆\U00020bb7"), max_size=30))
    def test_no_character_is_lost(self, text: str) -> None:
        assert "".join(by_dictionary(text)) == "".join(words(text))

"""Know-how of Japanese and Chinese: it says how it was read, and is not mixed with another reading."""

from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest

from pipeline.features import SentenceMetrics, TMetrics
from pipeline.know_how import load_know_how, make_know_how, words_from_table
from pipeline.know_how.sums_file import read_sums, write_sums
from pipeline.segmentation import reading

MISSING = [package for package in ("fugashi", "unidic_lite", "rjieba") if find_spec(package) is None]
WITH_DICTIONARIES = pytest.mark.skipif(bool(MISSING), reason=f"{', '.join(MISSING)}: install the extra [cjk]")
BOTH = pytest.mark.parametrize("how", ["characters", pytest.param("dictionary", marks=WITH_DICTIONARIES)])
TEXTS = ["味は最高です。", "とても美味しい。", "美味しくない。", "店員の態度が最悪。", "普通の味でした。"] * 6
STARS = [5, 4, 2, 1, 3] * 6
LIST = pd.DataFrame({"item": ["美味しくない", "最悪"], "value": [-1.5, -2], "rows": [5, 5]})


@BOTH
def test_a_file_says_how_it_was_read_and_is_read_so(how: str, tmp_path: Path) -> None:
    made = make_know_how(TEXTS, STARS, origin="x", words=how)
    made.save(tmp_path / "file")
    header, arrays = read_sums(tmp_path / "file")
    assert header["words"] == how
    assert bool(header["dictionaries"]) == (how == "dictionary")
    again = load_know_how(tmp_path / "file")
    assert again.reading == made.reading == how
    assert TMetrics().fit_sums(again.words["sentence_metrics"]).words_ == how
    model = again.pipeline().fit(TEXTS[:5], STARS[:5])
    assert model[0].transformer_list[1][1].words_ == how
    assert again.reader().predict(["最悪。"])[0] < again.reader().predict(["最高。"])[0]
    # Files of versions before dictionaries hold characters.
    old = {name: value for name, value in header.items() if name not in ("words", "dictionaries", "format")}
    write_sums(tmp_path / "old", arrays, old)
    assert load_know_how(tmp_path / "old").reading == "characters"


@BOTH
def test_a_list_is_cut_as_reviews_are(how: str) -> None:
    sums = words_from_table(LIST, words=how)
    expected = {"dictionary": ["最悪", "美味しく ない"], "characters": ["最 悪", "美 味 し く な い"]}
    assert sums.names == expected[how]
    assert sums.reading == how


@WITH_DICTIONARIES
def test_another_reading_is_refused_in_one_line() -> None:
    characters, dictionary = (words_from_table(LIST, words=how) for how in ("characters", "dictionary"))
    with pytest.raises(ValueError, match="Sums must read Japanese and Chinese alike, got words='characters' and 'dict"):
        characters + dictionary
    with pytest.raises(ValueError, match=r"words='dictionary', but the know-how holds .* words='characters'"):
        SentenceMetrics(words="dictionary", know_how=characters).fit(TEXTS, STARS)
    assert SentenceMetrics(know_how=characters, target_range=(1, 5)).fit(TEXTS, STARS).words_ == "characters"


def test_english_know_how_goes_with_either(tmp_path: Path) -> None:
    english = words_from_table(pd.DataFrame({"item": ["rude"], "value": [-1], "rows": [3]}))
    assert english.reading == ""
    learned = SentenceMetrics(know_how=english).fit(TEXTS, STARS)
    assert learned.words_ == learned.sums_.reading == reading("auto")
    assert load_know_how("sample").reading == ""

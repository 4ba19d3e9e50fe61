"""TF-IDF of words: Japanese and Chinese by the reading that was settled when it was made."""

import pickle
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer

from pipeline.experiment.models import BASELINES
from pipeline.experiment.named import estimator_digest
from pipeline.experiment.saved import load, save
from pipeline.features import word_tfidf as module
from pipeline.features.t_metrics import words_and_pairs
from pipeline.features.word_tfidf import WordReader, word_tfidf
from pipeline.segmentation import reading
from pipeline.text import words

MISSING = [package for package in ("fugashi", "unidic_lite", "rjieba") if find_spec(package) is None]
WITH_DICTIONARIES = pytest.mark.skipif(bool(MISSING), reason=f"{', '.join(MISSING)}: install the extra [cjk]")
JAPANESE = ["味は最高です。", "とても美味しい。", "美味しくない。", "店員の態度が最悪。"] * 3
STARS = [5, 4, 1, 1] * 3


def test_characters_are_words() -> None:
    assert {"最", "高", "最 高"} < set(word_tfidf("characters").fit(JAPANESE).vocabulary_)


@WITH_DICTIONARIES
def test_words_are_words() -> None:
    found = set(word_tfidf("dictionary").fit([*JAPANESE, "一点都不好吃"]).vocabulary_)
    assert {"最高", "は 最高", "美味しく ない", "不 好吃"} < found
    assert "高" not in found


@pytest.mark.parametrize("how", ["characters", pytest.param("dictionary", marks=WITH_DICTIONARIES)])
def test_english_is_read_as_ever(how: str, texts: list[str]) -> None:
    plain = TfidfVectorizer(tokenizer=words, token_pattern=None, ngram_range=(1, 2), sublinear_tf=True)
    expected = plain.fit_transform(texts)
    np.testing.assert_array_equal(word_tfidf(how).fit_transform(texts).toarray(), expected.toarray())
    by_items = TfidfVectorizer(analyzer=words_and_pairs, sublinear_tf=True).fit_transform(texts)
    np.testing.assert_array_equal(word_tfidf(how).fit_transform(texts).toarray(), by_items.toarray())


def test_the_baseline_keeps_its_reading_in_files(tmp_path: Path) -> None:
    model = BASELINES["TF-IDF + Ridge"]().fit(JAPANESE, STARS)
    save(tmp_path / "model.skops", model)
    for again in (pickle.loads(pickle.dumps(model)), load(tmp_path / "model.skops", "score")[0], clone(model)):
        assert again[1].tokenizer == model[1].tokenizer
        assert again[1].tokenizer.words == reading("auto")
    np.testing.assert_array_equal(load(tmp_path / "model.skops", "score")[0].predict(JAPANESE), model.predict(JAPANESE))


def test_the_reading_and_the_dictionaries_are_part_of_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    first = WordReader("dictionary", {"rjieba": "1"})
    digests = []
    for reader in (WordReader("characters"), first, WordReader("dictionary", {"rjieba": "2"})):
        monkeypatch.setattr(module, "reading", lambda _, reader=reader: reader.words)
        monkeypatch.setattr(module, "dictionaries", lambda reader=reader: reader.versions)
        digests.append(estimator_digest(BASELINES["TF-IDF + Ridge"]()))
    assert len(set(digests)) == 3
    monkeypatch.setattr(module, "dictionaries", lambda: {"rjieba": "1"})
    assert estimator_digest(BASELINES["TF-IDF + Ridge"]()) == digests[1]

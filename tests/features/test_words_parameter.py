"""Items of Japanese and Chinese texts: words by dictionary or characters, as the parameter `words` says."""

import pickle
from importlib.util import find_spec

import numpy as np
import pytest
from sklearn.base import clone

from pipeline.experiment.transformers import make_transformer
from pipeline.features import SentenceMetrics, TEstimates, TMetrics
from pipeline.project.conf import FeatureConfig
from pipeline.scale import FIVE_STARS
from pipeline.segmentation import reading

TRANSFORMERS = pytest.mark.parametrize("transformer", [TMetrics, SentenceMetrics, TEstimates])
MISSING = [package for package in ("fugashi", "unidic_lite", "rjieba") if find_spec(package) is None]
WITH_DICTIONARIES = pytest.mark.skipif(bool(MISSING), reason=f"{', '.join(MISSING)}: install the extra [cjk]")
JAPANESE = ["味は最高です。", "とても美味しい。", "美味しくない。", "店員の態度が最悪。"]
CHINESE = ["味道非常好。", "服务很周到。", "一点都不好吃。", "服务员态度很差。"]
ENGLISH = ["Good food.", "Good wine, café.", "Bad food.", "Bad wine."]
STARS = [5, 4, 1, 1]


@TRANSFORMERS
def test_characters_and_their_pairs_are_items(transformer: type) -> None:
    items = set(transformer(cv=2, words="characters").fit(JAPANESE, STARS).items_)
    assert {"最", "高", "最 高"} < items
    assert "最高" not in items


@WITH_DICTIONARIES
@TRANSFORMERS
def test_words_and_their_pairs_are_items(transformer: type) -> None:
    japanese = set(transformer(cv=2, words="dictionary").fit(JAPANESE, STARS).items_)
    assert {"最高", "は 最高", "美味しく ない"} < japanese
    assert "高" not in japanese
    assert {"味道", "不 好吃", "很 差"} < set(transformer(cv=2, words="dictionary").fit(CHINESE, STARS).items_)


@WITH_DICTIONARIES
@TRANSFORMERS
def test_english_is_the_same_by_either(transformer: type) -> None:
    by = [transformer(cv=2, words=words).fit_transform(ENGLISH, STARS) for words in ("characters", "dictionary")]
    np.testing.assert_array_equal(*by)


@TRANSFORMERS
def test_what_was_read_is_learned_and_kept(transformer: type) -> None:
    learned = transformer(cv=2).fit(JAPANESE, STARS)
    assert learned.words == "auto"
    assert learned.words_ == reading("auto")
    if transformer is not TEstimates:
        assert transformer().fit_sums(learned.sums_).words_ == learned.words_
    assert pickle.loads(pickle.dumps(learned)).words_ == learned.words_
    assert clone(learned).words == "auto"


@TRANSFORMERS
def test_a_reading_that_there_is_not_is_refused(transformer: type) -> None:
    with pytest.raises(ValueError, match="The 'words' parameter of"):
        transformer(words="pairs").fit(JAPANESE, STARS)


@pytest.mark.skipif(not MISSING, reason="the extra [cjk] is installed")
@TRANSFORMERS
def test_without_the_extra_one_line_says_so(transformer: type) -> None:
    with pytest.raises(ImportError, match=rf"words='dictionary' needs {MISSING[0]}: pip install .*\[cjk\]"):
        transformer(cv=2, words="dictionary").fit(JAPANESE, STARS)


@pytest.mark.parametrize("name", ["TMetrics", "SentenceMetrics"])
def test_the_key_of_a_feature_holds_what_is_read(name: str) -> None:
    config = FeatureConfig(transformer=name)
    assert make_transformer("words", config, FIVE_STARS).words == reading("auto")
    config = FeatureConfig(transformer=name, params={"words": "characters"})
    assert make_transformer("words", config, FIVE_STARS).words == "characters"

"""What people and exports make of texts: every transformer reads it, or says which text it cannot read."""

import unicodedata

import numpy as np
import pytest
from pooling_cases import ALL

from pipeline.features import (
    AttentionPooling,
    RTMetrics,
    SentenceEmbedding,
    SentenceMetrics,
    TEstimates,
    TextStats,
    TMetrics,
)
from pipeline.features.t_metrics import words_and_pairs

NAMES = ["TextStats", "TMetrics", "SentenceMetrics", "TEstimates", "RTMetrics", "SentenceEmbedding", *ALL]
STATISTICS = NAMES[:5]

COMPOSED = [
    "Très bon café, crème brûlée géniale",
    "Très mauvais café, crème brûlée brûlée",
    "すばらしいガストのパン",
    "ひどいガストのパン",
    "맛있어요 정말",
    "맛없어요 정말",
    "Phở này rất ngon",
    "Phở này rất dở",
]
STARS = [5, 1, 5, 1, 5, 1, 5, 1]


def transformer(name, model):
    plain = {
        "TextStats": TextStats(),
        "TMetrics": TMetrics(cv=2),
        "SentenceMetrics": SentenceMetrics(cv=2),
        "TEstimates": TEstimates(cv=2),
        "RTMetrics": RTMetrics(model, cv=2),
        "SentenceEmbedding": SentenceEmbedding(model),
    }
    return plain.get(name) or AttentionPooling(name, layer=2, cv=2, model=model)


@pytest.mark.parametrize("name", NAMES)
def test_half_of_a_surrogate_pair_is_refused_with_its_place(name, tiny_encoder, texts, stars):
    message = "Got a text with half of a surrogate pair at position 1: it is no character, leave it out"
    fitted = transformer(name, tiny_encoder).fit(texts, stars)
    for call in (
        lambda: transformer(name, tiny_encoder).fit(["good", "bad \ud83d", *texts[2:]], stars),
        lambda: transformer(name, tiny_encoder).fit_transform(["good", "bad \udc80", *texts[2:]], stars),
        lambda: fitted.transform(["good", "\ude00"]),
    ):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("name", NAMES)
def test_60_000_characters_and_nul_are_read(name, tiny_encoder, texts, stars):
    long = ["a" * 60_000, "😀" * 60_000, "good bad " * 6_700, "e" + "\u0301" * 60_000, "\0" * 60_000, "good\0food"]
    fitted = transformer(name, tiny_encoder).fit([*long, *texts], [5, 1, 4, 2, 3, 5, *stars])
    assert np.isfinite(fitted.transform(long)).all()


@pytest.mark.parametrize("name", STATISTICS)
def test_decomposed_texts_have_the_numbers_of_composed_ones(name, tiny_encoder):
    decomposed = [unicodedata.normalize("NFD", text) for text in COMPOSED]
    assert decomposed != COMPOSED
    fitted = transformer(name, tiny_encoder).fit(COMPOSED, STARS)
    np.testing.assert_array_equal(fitted.transform(decomposed), fitted.transform(COMPOSED))
    learned = [transformer(name, tiny_encoder).fit_transform(texts, STARS) for texts in (decomposed, COMPOSED)]
    np.testing.assert_array_equal(*learned)


@pytest.mark.parametrize("name", STATISTICS)
@pytest.mark.parametrize("apostrophe", "’‘ʼ´`′＇")
def test_any_apostrophe_gives_the_numbers_of_the_plain_one(name, apostrophe, tiny_encoder, texts, stars):
    typed = [text.replace("'", apostrophe) for text in texts]
    assert typed != texts
    fitted = transformer(name, tiny_encoder).fit(texts, stars)
    np.testing.assert_array_equal(fitted.transform(typed), fitted.transform(texts))


def test_items_are_alike_however_they_are_typed():
    assert (
        words_and_pairs("Don´t go, cre\u0300me!")
        == words_and_pairs("don't go: CRÈME")
        == [
            *("don't", "go", "crème"),
            *("don't go", "go crème"),
        ]
    )

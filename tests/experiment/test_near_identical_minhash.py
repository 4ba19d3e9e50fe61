"""Near-identical texts by MinHash, against the exact join."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("datasketch", reason="the extra ray is not installed")

from pipeline import load_sample
from pipeline.experiment.near_identical import near_identical_groups
from pipeline.experiment.near_identical_minhash import near_identical_groups_by_minhash

TEXT = st.lists(st.sampled_from(["ramen", "Cold", "kind", "味", "\ud800"]), max_size=9).map(" ".join)


@pytest.fixture(autouse=True)
def one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")


def edited(text: str, share: float, rng: np.random.Generator) -> str:
    return " ".join("other" if rng.random() < share else word for word in text.split())


def test_edited_reviews_are_found_as_by_the_exact_join() -> None:
    texts, rng = load_sample().text[:200], np.random.default_rng(1)
    texts = [*texts, *(edited(text, share, rng) for text in texts for share in (0.0, 0.03, 0.1))]
    found, expected = near_identical_groups_by_minhash(texts, 0.5), near_identical_groups(texts, 0.5)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.int32
    assert 200 < len(np.unique(found)) < 500


@pytest.mark.parametrize("threshold", [0.05, 0.5, 1.0])
@settings(max_examples=15)
@given(texts=st.lists(TEXT, min_size=1, max_size=12))
def test_no_pair_is_joined_that_the_exact_join_keeps_apart_and_equal_texts_are_one(
    threshold: float, texts: list[str]
) -> None:
    found, exact = near_identical_groups_by_minhash(texts, threshold), near_identical_groups(texts, threshold)
    assert len({*zip(found, exact, strict=True)}) == len({*found.tolist()})
    for text in texts:
        assert len({group for group, other in zip(found.tolist(), texts, strict=True) if other == text}) == 1

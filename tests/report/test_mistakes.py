"""The worst mistakes of a side, and sides that chose the same line."""

import numpy as np
import pytest

from pipeline.evaluation.metrics import clip_to_stars, round_to_stars
from pipeline.report.figure import drawing
from pipeline.report.predictions import by_line, pictures, worst
from pipeline.report.results import Results


def test_the_worst_mistakes_are_those_farthest_from_the_truth(results: Results) -> None:
    for name in results.final["name"]:
        wrong = worst(results, name, 5)
        distances = [abs(float(clip_to_stars(one.predicted)) - one.stars) for one in wrong]
        assert distances == sorted(distances, reverse=True)
        every = np.abs(clip_to_stars(results.predictions[name]) - results.predictions["stars"])
        assert distances[0] == pytest.approx(every.max())
        assert all(one.rounded == round_to_stars(one.predicted) != one.stars for one in wrong)


def test_a_mistake_has_its_whole_text_in_two_parts(results: Results, page: str) -> None:
    name = results.final["name"].iloc[0]
    texts = set(results.reviews["text"])
    wrong = worst(results, name, 50)
    assert {"".join(one.text) for one in wrong} <= texts
    assert all(len(one.text[0]) <= 600 for one in wrong)
    assert any(one.text[1] for one in wrong)
    assert "The rest of this review" in page


def test_a_line_without_mistakes_has_none_to_show(results: Results) -> None:
    results.predictions["perfect"] = results.predictions["stars"].astype(float)
    assert worst(results, "perfect", 10) == []


def test_sides_that_chose_the_same_line_share_a_picture(results: Results) -> None:
    sides = by_line(results.final.assign(name=results.final["name"].iloc[0]))
    with drawing():
        made = [one for one in pictures(results, 0, sides) if one.kind == "confusion"]
    assert [one.file for one in made] == ["confusion_t-method_attention_and_combined.svg"]
    assert made[0].text.startswith("Confusion matrix of T-method, attention and combined, ")

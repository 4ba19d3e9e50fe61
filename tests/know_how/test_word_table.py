"""A person's list of words as sums: the values come back, and what is wrong in a list is said in one line."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.features import SentenceMetrics, TMetrics
from pipeline.features.word_items import values_and_strengths
from pipeline.features.word_sums import word_sums_from_arrays
from pipeline.know_how import words_from_table
from pipeline.scale import FIVE_STARS, Scale

SCALES = [FIVE_STARS, Scale(0, 1), Scale(0, 10), Scale(-2, 2, 0.5)]
VALUES = st.floats(-1, 1).filter(lambda share: share == 0 or abs(share) > 1e-3)


@given(
    rows=st.lists(st.tuples(VALUES, st.floats(0.5, 1e4)), min_size=1, max_size=6),
    scale=st.sampled_from(SCALES),
    share=st.none() | st.floats(0, 1),
)
def test_values_come_back(rows: list[tuple[float, float]], scale: Scale, share: float | None) -> None:
    width = scale.high - scale.low
    value, df = np.array(rows).T
    table = pd.DataFrame({"item": [f"word{i}" for i in range(len(df))], "value": value * width, "rows": df})
    sums = words_from_table(table, scale, None if share is None else scale.low + share * width)
    back, strength = values_and_strengths(sums.metrics())
    np.testing.assert_allclose(back[:, 0], value * width, rtol=1e-12)
    np.testing.assert_array_equal(sums.df, df)
    assert (np.abs(strength) < 1).all()
    assert sums.mean[0] == pytest.approx((0.5 if share is None else share) * width, abs=1e-9)
    again = word_sums_from_arrays(sums.to_arrays(), sums.range)
    assert (again.items, again.L.tolist()) == (sums.items, sums.L.tolist())
    # As far as the value is above the mean, as much further from 1 star, and less far from 4.
    assert (np.sign(back[:, 3]) == -np.sign(back[:, 0])).all()


def test_a_list_alone_reads_texts_and_adds_up_to_sums_of_texts(texts: list[str], stars: list[int]) -> None:
    table = pd.DataFrame({"item": ["Superb", "not  good!"], "value": [1.5, -1], "rows": [10, 10]})
    before = table.copy()
    sums = words_from_table(table)
    pd.testing.assert_frame_equal(table, before)
    assert sums.names == ["not good", "superb"]
    reader = TMetrics().fit_sums(sums).set_output(transform="pandas")
    estimate = reader.transform(["Superb.", "Not good", "not so good"])["t_estimate"]
    assert estimate[0] > 0 > estimate[1]
    assert estimate[2] == 0
    both = sums + TMetrics(target_range=(1, 5)).fit(texts, stars).sums_
    place = both.names.index("superb")
    assert both.df[place] == 11


def test_the_mean_of_a_list_is_that_of_the_texts_it_is_added_to(texts: list[str], stars: list[int]) -> None:
    known = TMetrics(target_range=(1, 5)).fit(texts, stars).sums_
    table = pd.DataFrame({"item": ["zeugma"], "value": [0.5], "rows": [3]})
    both = known + words_from_table(table, mean=1 + known.mean[0])
    place = both.names.index("zeugma")
    # A few more texts without the word make its S_T a little larger.
    assert both.L[place, 0] == pytest.approx(0.5 * 3 * (1 - 3 / 36))
    shifted = known + words_from_table(table)
    assert shifted.L[place, 0] < both.L[place, 0]


@pytest.mark.slow
@given(share=VALUES, rows=st.floats(0.5, 1e4))
def test_sentence_metrics_trust_a_value_of_few_rows_less(share: float, rows: float) -> None:
    sums = words_from_table(pd.DataFrame({"item": ["good"], "value": [4 * share], "rows": [rows]}))
    value, _ = values_and_strengths(SentenceMetrics().fit_sums(sums).metrics_)
    total = rows * (1 - 1 / 12)
    assert value[0, 0] == pytest.approx(4 * share * total / (total + 3), rel=1e-9)


def test_any_word_may_stand_in_a_gap() -> None:
    table = pd.DataFrame({"item": ["NOT * Good", "five * stars"], "value": [-1, 1], "rows": [10, 10]})
    sums = words_from_table(table)
    assert sums.names == ["five * stars", "not * good"]
    series = SentenceMetrics().fit_sums(sums).transform(["Not so good.", "Not very good. Five full stars!", "Good."])
    assert series[0, 0] < series[1, 0] < series[2, 0] + 1e-12


def test_a_list_is_read_from_csv(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("rows,item,value\n4,null,-1\n5,très bon,1.25\n", encoding="utf-8")
    sums = words_from_table(path)
    assert (sums.names, sums.df.tolist()) == (["null", "très bon"], [4, 5])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("item,value\ngood,1\n", "must have the columns item, value, rows, got item, value"),
        ("item,value,rows,note\ngood,1,2,x\n", "got item, value, rows, note"),
        ("item,value,rows\n", "has no row"),
        ("", "cannot be read as CSV"),
        ("item,value,rows\ngood,1,2\nGood!,1,2\n", "has an item that another row has in row 2: Good!, 1, 2"),
        ("item,value,rows\n!,1,2\n", "has an item without a word in row 1: !, 1, 2"),
        ("item,value,rows\ngood,1,0\n", "has rows that are no number above 0 in row 1: good, 1, 0"),
        ("item,value,rows\ngood,1,inf\n", "has rows that are no number above 0 in row 1"),
        ("item,value,rows\ngood,1,2\nbad,-4.5,2\n", "a value that is no number from -4 to 4 in row 2: bad, -4.5, 2"),
        ("item,value,rows\ngood,high,2\n", "a value that is no number from -4 to 4 in row 1: good, high, 2"),
        ("item,value,rows\ngood,,2\n", "a value that is no number from -4 to 4 in row 1"),
    ],
)
def test_a_wrong_list_is_refused_in_one_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=message) as refused:
        words_from_table(path)
    assert str(refused.value).startswith(str(path))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("mean", [0.9, 5.1, float("nan")])
def test_a_mean_off_the_scale_is_refused(mean: float) -> None:
    with pytest.raises(ValueError, match="mean must be from 1 to 5, got"):
        words_from_table(pd.DataFrame({"item": ["good"], "value": [1], "rows": [2]}), mean=mean)


def test_a_list_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.csv cannot be read as CSV"):
        words_from_table(tmp_path / "none.csv")

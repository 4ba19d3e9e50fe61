"""Compared predictions: the right scores, the right words, and one line where it cannot be done."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    cohen_kappa_score,
    f1_score,
    fbeta_score,
    mean_absolute_error,
    mean_squared_error,
)

from pipeline.evaluation import Scale, compare
from pipeline.evaluation.comparison import shown_digits
from pipeline.evaluation.measured import measure, spread

SEEDS = st.integers(0, 2**32 - 1)
qwk_score = partial(cohen_kappa_score, weights="quadratic")


def labelled(seed=0, n=80, wrong=(0.2, 0.4)):
    """Whole numbers from 0 to 4, and models that are wrong so often."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 5, n)
    guesses = {f"m{i}": np.where(rng.random(n) < share, rng.integers(0, 5, n), y) for i, share in enumerate(wrong)}
    return y, guesses


@pytest.mark.parametrize(
    ("metric", "function"), [("qwk", qwk_score), ("mae", mean_absolute_error), ("accuracy", accuracy_score)]
)
def test_the_fast_metrics_equal_scikit_learns_in_every_resample(metric, function):
    y, predictions = labelled()
    fast = measure(y, predictions, metric, n_resamples=50)
    slow = measure(y, predictions, function, greater_is_better=metric != "mae", n_resamples=50)
    np.testing.assert_allclose(fast.by_draw, slow.by_draw, rtol=1e-9)
    np.testing.assert_allclose(fast.resampled, slow.resampled, rtol=1e-9)
    for name, score in compare(y, predictions, metric).scores[["name", "score"]].to_numpy():
        assert score == pytest.approx(function(y, predictions[name]))


@pytest.mark.parametrize("sides", [None, {"first": ["m0", "m1"], "second": ["m2"]}])
@pytest.mark.parametrize("metric", ["qwk", "mae", "accuracy"])
def test_a_resample_is_a_loop_over_rows(metric, sides):
    y, predictions = labelled(wrong=(0.3, 0.31, 0.5))
    fast = measure(y, predictions, metric, sides=sides, n_resamples=20, random_state=3)
    function = {"qwk": qwk_score, "mae": mean_absolute_error, "accuracy": accuracy_score}[metric]
    slow = measure(
        y, predictions, function, greater_is_better=metric != "mae", sides=sides, n_resamples=20, random_state=3
    )
    np.testing.assert_allclose(fast.resampled, slow.resampled, rtol=1e-9)


@settings(max_examples=10)
@given(SEEDS, st.sampled_from(["qwk", "mae", "accuracy"]))
def test_the_order_of_two_models_changes_the_sign_alone(seed, metric):
    y, predictions = labelled(seed)
    there = compare(y, predictions, metric, n_resamples=100).differences.iloc[0]
    back = compare(y, dict(reversed(predictions.items())), metric, n_resamples=100).differences.iloc[0]
    np.testing.assert_allclose(
        [there["difference"], there["low"], there["high"], there["p"]],
        [-back["difference"], -back["high"], -back["low"], back["p"]],
        atol=1e-9,
    )
    assert there["ahead"] == back["ahead"]


def test_less_is_better_where_the_metric_is_an_error():
    rng = np.random.default_rng(0)
    y = rng.normal(1000, 50, 200)
    predictions = {"coarse": y + rng.normal(0, 30, 200), "fine": y + rng.normal(0, 5, 200)}
    for metric in ("mae", mean_absolute_error):
        comparison = compare(y, predictions, metric, n_resamples=200)
        assert comparison.differences["difference"].item() > 0
        assert comparison.differences["ahead"].item() == "fine"
        assert comparison.verdict.startswith("On 200 rows, fine is ahead of coarse by ")
        assert "mean absolute error" in comparison.verdict
        assert "(less is better)" in comparison.how


def test_a_function_of_ones_choice_says_what_is_better_or_is_told():
    y, predictions = labelled()
    macro = compare(y, predictions, partial(f1_score, average="macro"), n_resamples=30)
    assert macro.how.startswith("F1 score, with 95% intervals from 30 bootstrap resamples")
    lenient = partial(fbeta_score, beta=2, average="macro")
    assert compare(y, predictions, lenient, n_resamples=30).scores["score"].between(0, 1).all()
    assert compare(y, predictions, mean_squared_error, n_resamples=30).how.startswith("Mean squared error (less is b")
    with pytest.raises(ValueError, match="does not say what is better: give greater_is_better="):
        compare(y, predictions, lambda a, b: 0.0)
    told = compare(y, predictions, lambda a, b: -np.abs(a - b).mean(), greater_is_better=True, n_resamples=100)
    assert told.scores["score"].tolist() == [-np.abs(y - each).mean() for each in predictions.values()]


def test_words_are_compared_by_accuracy():
    y = np.array(["cat", "dog", "bird"] * 20)
    comparison = compare(y, {"parrot": y, "cat person": ["cat"] * 60}, "accuracy")
    assert comparison.scores["score"].tolist() == pytest.approx([1, 1 / 3])
    assert comparison.differences["ahead"].item() == "parrot"


@pytest.mark.parametrize("metric", ["qwk", "accuracy"])
def test_numbers_between_are_rounded_to_whole_ones_or_to_the_scale(metric):
    y, predictions = labelled()
    near = {name: each + 0.3 for name, each in predictions.items()}
    rounded, between = compare(y, predictions, metric, n_resamples=50), compare(y, near, metric, n_resamples=50)
    pd.testing.assert_frame_equal(rounded.differences, between.differences)
    assert "rounded to the scale 0 to 4" in between.how
    halves = compare(y / 2, {name: each / 2 + 0.1 for name, each in predictions.items()}, metric, Scale(0, 2, 0.5))
    np.testing.assert_allclose(halves.scores["score"], rounded.scores["score"])


def test_labels_that_no_row_has_are_no_agreement():
    y, predictions = labelled()
    predictions["m0"] = np.where(np.arange(80) == 0, 9, predictions["m0"])
    score = compare(y, predictions, n_resamples=20).scores["score"][0]
    assert score == pytest.approx(qwk_score(y, predictions["m0"], labels=range(10)))


def test_rows_of_a_group_are_resampled_together():
    y, predictions = labelled()
    thrice = {name: np.repeat(each, 3) for name, each in predictions.items()}
    once = compare(y, predictions)
    together = compare(np.repeat(y, 3), thrice, groups=np.repeat([f"person {i}" for i in range(80)], 3))
    apart = compare(np.repeat(y, 3), thrice)
    pd.testing.assert_frame_equal(together.differences, once.differences)
    width = [(each.differences["high"] - each.differences["low"]).item() for each in (once, apart)]
    assert width[1] == pytest.approx(width[0] / 3**0.5, rel=0.1)
    assert "240 rows in 80 groups" in together.verdict
    assert "80 groups (240 rows)" in together.how


def test_equal_draws_add_nothing_and_draws_that_differ_widen_the_interval():
    rng = np.random.default_rng(0)
    y = rng.integers(1, 6, 200)
    one = {name: y + rng.normal(0, sd, 200) for name, sd in (("a", 1.0), ("b", 1.2))}
    plain = compare(y, one, "mae")
    pd.testing.assert_frame_equal(
        compare(y, {name: np.tile(each, (3, 1)) for name, each in one.items()}, "mae").differences, plain.differences
    )
    differ = {name: each + np.array([[0.0], [0.8], [-0.8]]) for name, each in one.items()}
    drawn = compare(y, {"a": differ["a"], "b": one["b"]}, "mae")
    assert (drawn.scores["high"] - drawn.scores["low"])[0] > 2 * (plain.scores["high"] - plain.scores["low"])[0]
    assert (drawn.scores["high"] - drawn.scores["low"])[1] == pytest.approx(
        (plain.scores["high"] - plain.scores["low"])[1]
    )


def test_noise_that_each_draw_has_on_each_row_counts_once():
    rng = np.random.default_rng(0)
    widths = []
    for seed in range(20):
        y = rng.normal(size=300)
        lines = {"a": y + rng.normal(size=(10, 300)), "b": y + rng.normal(size=(10, 300))}
        found = measure(y, lines, "mae", n_resamples=500, random_state=seed)
        _, low, high, _ = spread(
            found.by_draw[0] - found.by_draw[1], found.resampled[:, 0] - found.resampled[:, 1], 300
        )
        widths.append(high - low)
    # The standard deviation of |N(0, 1)| is sqrt(1 - 2 / pi); 3,000 of each model are compared.
    expected = 2 * 1.96 * ((1 - 2 / np.pi) * 2 / 3000) ** 0.5
    assert np.median(widths) == pytest.approx(expected, rel=0.15)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=6), st.integers(2, 500))
def test_the_p_value_is_below_5_percent_where_the_interval_leaves_0_out(draws, n):
    resampled = np.random.default_rng(0).normal(draws, 1, (50, len(draws)))
    estimate, low, high, p = spread(np.array(draws), resampled, n)
    assert low <= estimate <= high
    assert (p < 0.05) == (low > 0 or high < 0) or p == pytest.approx(0.05)


def test_a_side_with_many_equal_lines_is_not_flattered():
    rng = np.random.default_rng(1)
    many, best = [], []
    for seed in range(20):
        y = rng.integers(1, 6, 60)
        lines = {f"line {i}": y + rng.normal(0, 1.5, 60) for i in range(40)}
        comparison = compare(
            y, lines, "mae", sides={"many": list(lines)[1:], "one": ["line 0"]}, n_resamples=10, random_state=seed
        )
        many.append(comparison.scores["score"][0])
        best.append(min(np.abs(y - line).mean() for line in lines.values()))
    expected = 1.5 * (2 / np.pi) ** 0.5
    assert np.mean(many) == pytest.approx(expected, abs=0.05)
    assert np.mean(best) < expected - 0.2


def test_sides_name_their_best_line_and_halves_keep_groups_whole():
    y, predictions = labelled(n=200, wrong=(0.5, 0.1, 0.3))
    comparison = compare(y, predictions, sides={"x": ["m0", "m1"], "y": ["m2"]}, groups=np.arange(200) // 2)
    assert comparison.scores["best"].tolist() == ["m1", "m2"]
    assert comparison.differences["ahead"].item() == "x"
    assert "chosen on one half of them and measured on the other" in comparison.how


def test_with_few_rows_nothing_is_claimed():
    y = np.arange(29) % 3
    comparison = compare(y, {"right": y, "wrong": (y + 1) % 3})
    assert comparison.verdict == "29 rows are too few to tell models apart: nothing is claimed with fewer than 30."
    assert comparison.differences["ahead"].tolist() == [None]
    of_groups = compare(np.tile(y, 5), {"right": np.tile(y, 5), "wrong": np.tile(y + 1, 5)}, groups=np.tile(y, 5))
    assert of_groups.verdict.startswith("3 groups are too few")


def test_the_verdict_speaks_of_each_pair_of_three_and_of_the_best_of_many():
    y, predictions = labelled(n=300, wrong=(0.1, 0.5, 0.5))
    three = compare(y, predictions, "accuracy")
    assert three.verdict.startswith("On 300 rows, m0 is ahead of m1 by 0.")
    assert "and of m2 by 0." in three.verdict
    assert "; whether m1 differs from m2 is not shown (" in three.verdict
    y, predictions = labelled(n=300, wrong=(0.5, 0.1, 0.5, 0.9))
    four = compare(y, predictions, "accuracy")
    assert four.verdict.startswith("On 300 rows, m1 is ahead of m0 by 0.")
    assert four.verdict.endswith("2 of the 3 other pairs are shown to differ.")


def test_it_prints_its_words_and_tables_and_shows_as_html():
    y, predictions = labelled()
    comparison = compare(y, predictions | {"<b>": predictions["m0"]})
    text, page = str(comparison), comparison._repr_html_()
    assert text.startswith(f"{comparison.verdict}\n{comparison.how}\n")
    assert "p_holm" in text
    assert page.count("<table") == 2
    assert "&lt;b&gt;" in page
    assert "<b>" not in page


@pytest.mark.parametrize(("width", "digits"), [(0.22, 2), (0.05, 3), (4.2, 1), (45, 0), (0, 3), (1e-8, 10)])
def test_half_the_narrowest_interval_is_shown_with_two_digits(width, digits):
    assert shown_digits(pd.DataFrame({"low": [0.0, 0.0], "high": [width, 10 * width]})) == digits


Y = [1, 2, 3] * 20


@pytest.mark.parametrize(
    ("y", "predictions", "options", "message"),
    [
        (Y, {"a": Y}, {}, "Got 1 predictions to compare: give two or more."),
        (Y, [Y, Y], {}, "Got list without names: give a dict of names and predictions."),
        (Y, {"a": Y, "b": Y[:5]}, {}, r"The predictions of 'b' have shape \(5,\), but y has 60 rows"),
        (Y, {"a": Y, "b": [[[1] * 60]]}, {}, r"The predictions of 'b' have shape \(1, 1, 60\), but y has 60 rows"),
        (Y, {"a": Y, "b": [np.nan, *Y[1:]]}, {}, "'b' must be known and finite, got nan in row 0: mend the model"),
        (Y, {"a": [Y] * 2, "b": [Y] * 3}, {}, "'a' has 2 draws and another line 3: give equally many, or one."),
        ([*Y[1:], None], {"a": Y, "b": Y}, {}, "y must be known and finite, got None in row 59: leave out rows"),
        ([Y, Y], {"a": Y, "b": Y}, {}, r"y must be one-dimensional, got shape \(2, 60\)"),
        (Y, {"a": Y, "b": Y}, {"metric": "kappa"}, "There is no metric 'kappa': take 'qwk', 'mae', 'accuracy', or a"),
        (Y, {"a": Y, "b": Y}, {"metric": "mae", "greater_is_better": True}, "is for a callable: leave it out"),
        (
            Y,
            {"a": Y, "b": Y},
            {"metric": mean_squared_error, "scale": Scale(1, 5)},
            "takes predictions as they are",
        ),
        (Y, {"a": Y, "b": Y}, {"metric": lambda a, b: np.nan, "greater_is_better": True}, "of 'a' is NaN"),
        (Y, {"a": Y, "b": Y}, {"scale": Scale(2, 5)}, "y holds 1 at position 0, which is no value of the scale 2 to 5"),
        ([1] * 60, {"a": Y, "b": [2.5] * 60}, {}, "needs two or more values in y, got 1 alone: give the scale"),
        ([0.5, 2] * 30, {"a": Y, "b": Y}, {}, "needs whole numbers, got 0.5 in y: give the scale, or take 'mae'"),
        (range(60), {"a": range(60), "b": range(60)}, {}, "takes up to 21 values, got 60: take 'mae'"),
        (["x", "y"] * 30, {"a": Y, "b": Y}, {"metric": "mae"}, "needs numbers, got <U1 and int64: convert them"),
        (
            ["1", "2"] * 30,
            {"a": Y, "b": Y},
            {"metric": "accuracy"},
            "y is <U1 and the predictions of 'a' are int64",
        ),
        (
            [1, 2] * 30,
            {"a": Y, "b": ["1"] * 60},
            {"metric": "accuracy"},
            "int64 and the predictions of 'b' are <U1",
        ),
        (Y, {"a": Y, "b": Y}, {"groups": [1, 2]}, "groups must name the group of each of 60 rows, got 2"),
        (Y, {"a": Y, "b": Y}, {"groups": [1] * 60}, "Got 1 rows or groups and n_resamples=2000: both must be 2 or"),
        (Y, {"a": Y, "b": Y}, {"sides": {"s": "a", "t": ["b"]}}, "The side 's' must list names of predictions"),
        (Y, {"a": Y, "b": Y}, {"sides": {"s": ["a"], "t": ["c"]}}, r"got \['c'\]: known are \['a', 'b'\]"),
    ],
)
def test_what_cannot_be_compared_is_said_in_one_line(y, predictions, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        compare(y, predictions, **options)
    assert "\n" not in str(caught.value)


def test_series_in_another_order_are_refused():
    y = pd.Series(Y)
    with pytest.raises(ValueError, match="y and the predictions of 'b' have different indexes, such as 1 and 3 in"):
        compare(y, {"a": y, "b": y.sort_values()})
    compare(y[::-1], {"a": y.to_numpy()[::-1], "b": y[::-1]})


def test_nothing_that_is_passed_in_is_changed():
    y, predictions = labelled()
    before = y.copy(), {name: each.copy() for name, each in predictions.items()}
    compare(y, predictions, n_resamples=10, sides={"s": ["m0"], "t": ["m1"]})
    np.testing.assert_array_equal(y, before[0])
    for name, each in predictions.items():
        np.testing.assert_array_equal(each, before[1][name])

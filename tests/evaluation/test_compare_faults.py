"""What made a comparison say more than it knows: each model by itself, undefined metrics, names, orders, units."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import cohen_kappa_score, make_scorer, mean_absolute_error, roc_auc_score

from pipeline.evaluation import Scale, compare
from pipeline.evaluation.measured import _halves, measure, spread, with_holm
from pipeline.evaluation.row_metrics import row_metric
from pipeline.format import number

Y = np.array([2, 3, 4] * 20)
qwk_score = partial(cohen_kappa_score, weights="quadratic")


def scores(predictions, metric, y=Y, **options):
    table = compare(y, predictions, metric, n_resamples=20, **options).scores
    return dict(zip(table["name"], table["score"], strict=True))


class TestEachModelByItself:
    def test_whole_numbers_beyond_the_targets_are_wrong_beside_a_regression(self):
        labels, regression = np.where(Y == 4, 5, Y), Y + 0.2
        assert scores({"labels": labels, "regression": regression}, "accuracy") == {
            "labels": pytest.approx(2 / 3),
            "regression": 1,
        }
        expected = qwk_score(Y, labels, labels=range(2, 6))
        assert scores({"labels": labels, "regression": regression}, "qwk")["labels"] == pytest.approx(expected)

    @settings(max_examples=15)
    @given(st.integers(0, 2**32 - 1), st.sampled_from(["qwk", "accuracy", "mae"]))
    def test_a_model_more_leaves_the_scores_of_the_others_as_they_are(self, seed, metric):
        rng = np.random.default_rng(seed)
        lines = {"labels": rng.integers(0, 9, 60), "numbers": Y + rng.normal(0, 2, 60), "floats": Y * 1.0}
        alone = scores({name: lines[name] for name in ("labels", "numbers")}, metric)
        for name in ("labels", "numbers"):
            assert scores({name: lines[name], "floats": lines["floats"]}, metric)[name] == alone[name]
        assert scores(lines, metric)["numbers"] == alone["numbers"]

    def test_only_what_is_between_whole_numbers_is_said_to_be_rounded(self):
        assert "rounded" not in compare(Y, {"a": Y, "b": Y + 1}, n_resamples=20).how
        assert "rounded to the scale 2 to 4" in compare(Y, {"a": Y, "b": Y + 0.1}, n_resamples=20).how

    def test_words_in_one_line_and_numbers_in_another_are_refused(self):
        for y, line in ((pd.Series(Y, dtype=object), Y.astype(str)), (Y.astype(str), Y)):
            with pytest.raises(
                ValueError, match=r"and the predictions of 'b' are .*: give both as numbers, or both as"
            ):
                compare(y, {"a": y, "b": line}, "accuracy")

    @pytest.mark.parametrize("dtype", [np.int8, np.uint8, bool, object, "Int64"])
    @pytest.mark.parametrize("metric", ["qwk", "accuracy", "mae"])
    def test_the_type_of_numbers_does_not_matter(self, metric, dtype):
        y, line = np.arange(60) % 2, np.arange(60) % 3 % 2
        expected = scores({"a": y, "b": line}, metric, y)
        y, line = pd.Series(y).astype(dtype), pd.Series(line).astype(dtype)
        assert scores({"a": y, "b": line}, metric, y) == expected

    def test_small_integers_do_not_overflow(self):
        y = np.tile(np.array([-128, 127], dtype=np.int8), 20)
        assert scores({"a": y, "b": y[::-1]}, "mae", y) == {"a": 0, "b": 255}


def of_one_class(y, predicted):
    if len(set(y)) == 1:
        raise ValueError("one class\nand a second line")
    return -np.abs(y - predicted).mean()


class TestWhatIsNotDefinedIsNoClaim:
    def test_a_p_value_of_nan_is_no_claim(self):
        table = pd.DataFrame({"a": ["x", "x"], "b": ["y", "z"], "difference": [1.0, 1.0], "p": [np.nan, 0.01]})
        assert with_holm(table, True, 100)["ahead"].tolist() == [None, "x"]

    def test_an_infinite_score_is_refused(self):
        with pytest.raises(ValueError, match="The metric <lambda> of 'a' is inf: it is not defined"):
            compare(Y, {"a": Y, "b": Y}, lambda y, predicted: np.inf, greater_is_better=True)

    @pytest.mark.parametrize(("rare", "ahead"), [(1, None), (2, None), (4, "a")])
    def test_the_share_of_resamples_without_a_score_is_told(self, rare, ahead):
        y = (np.arange(60) < rare).astype(int)
        lines = {"a": y, "b": np.linspace(1, 0, 60)}
        found = measure(y, lines, of_one_class, greater_is_better=True, n_resamples=1000)
        assert found.undefined == pytest.approx((1 - rare / 60) ** 60, abs=0.04)
        comparison = compare(y, lines, of_one_class, greater_is_better=True, n_resamples=1000)
        assert comparison.differences["ahead"].tolist() == [ahead]
        ending = "" if ahead else ": too many to claim a difference"
        share = f"{found.undefined:.1%} of the resamples are left out, since the metric is not defined there"
        assert comparison.how.endswith(f"; {share}{ending}.")
        assert "left out" not in compare(Y, {"a": Y, "b": Y}, n_resamples=20).how

    def test_a_metric_that_few_resamples_define_is_refused(self):
        def every_row_score(y, predicted):
            if len(set(y)) < 60:
                raise ZeroDivisionError
            return 1.0

        with pytest.raises(ValueError, match="of 'a' is defined in 0 of 100 resamples alone: give more rows"):
            compare(np.arange(60), {"a": Y, "b": Y}, every_row_score, n_resamples=100)

    def test_scikit_learns_warnings_of_resamples_are_not_shown(self, recwarn):
        y = (np.arange(60) < 2).astype(int)
        compare(y, {"a": y, "b": np.linspace(1, 0, 60)}, roc_auc_score, n_resamples=100)
        assert not [each for each in recwarn if issubclass(each.category, UndefinedMetricWarning)]

    def test_a_metric_that_fails_names_itself_and_the_model(self):
        with pytest.raises(ValueError, match="The metric of one class fails on the predictions of 'a': one class") as e:
            compare(np.ones(60), {"a": Y, "b": Y}, of_one_class, greater_is_better=True)
        assert "\n" not in str(e.value)
        with pytest.raises(ValueError, match="The metric <lambda> fails on the predictions of 'a': "):
            compare(Y, {"a": Y, "b": Y}, lambda y, predicted: None, greater_is_better=True)

    def test_a_function_that_never_changes_tells_nothing(self):
        def least_score(y, predicted):
            return float(predicted[0] > 9)

        table = compare(Y, {"a": Y, "b": np.full(60, 10)}, least_score, n_resamples=50).differences
        assert table[["difference", "low", "high"]].to_numpy().tolist() == [[-1, -1, -1]]
        assert np.isnan(table["p"].item())
        assert table["ahead"].item() is None
        sure = compare(Y, {"a": Y, "b": np.full(60, 10)}, "accuracy", n_resamples=50).differences
        assert (sure["p"].item(), sure["ahead"].item()) == (0, "a")


class TestNames:
    @pytest.mark.parametrize("names", [(False, True), (1, 2), (0.1, 10.0), (1, "b"), (1, 0.5), (("a", 1), ("b", 2))])
    def test_any_name_comes_back_as_it_is(self, names):
        equal = compare(Y, dict.fromkeys(names, Y), n_resamples=20)
        assert equal.differences["ahead"].tolist() == [None]
        worse, better = names
        found = compare(Y, {worse: Y[::-1], better: Y}, n_resamples=20)
        for values in (found.differences["ahead"], found.differences["b"], found.scores["name"][1:]):
            assert values.tolist() == [better]
            assert type(values.tolist()[0]) is type(better)
        assert found.verdict.startswith(f"On 60 rows, {better} is ahead of {worse} by ")

    @pytest.mark.parametrize("name", [None, float("nan")])
    def test_a_name_that_is_none_is_refused(self, name):
        with pytest.raises(ValueError, match=f"Got {name} as a name of predictions"):
            compare(Y, {name: Y, "b": Y})


class TestOrder:
    shuffled = pd.Series(Y).sample(frac=1, random_state=0)

    @pytest.mark.parametrize(
        ("y", "b", "groups", "named"),
        [
            (shuffled, shuffled.sort_index(), None, "y and the predictions of 'b'"),
            (shuffled, shuffled.reset_index(drop=True), None, "y and the predictions of 'b'"),
            (shuffled, shuffled.set_axis(shuffled.index + 1), None, "y and the predictions of 'b'"),
            (shuffled, pd.DataFrame([Y, Y]), None, "y and the predictions of 'b'"),
            (shuffled, Y, pd.Series(np.arange(60)), "y and groups"),
            (Y, shuffled, pd.Series(np.arange(60)), "the predictions of 'b' and groups"),
        ],
    )
    def test_rows_in_another_order_are_refused(self, y, b, groups, named):
        with pytest.raises(ValueError, match=f"{named} have different indexes, such as .* in row 0: put both in one"):
            compare(y, {"a": Y, "b": b}, groups=groups)

    def test_arrays_beside_a_shuffled_target_and_equal_labels_are_taken(self):
        y = self.shuffled
        draws = pd.DataFrame([y, y], columns=y.index)
        compare(y, {"a": y.to_numpy(), "b": y, "c": draws}, n_resamples=20, groups=pd.Series(range(60), index=y.index))


class TestSize:
    @pytest.mark.parametrize("size", [1e-100, 1e-13, 1.0, 1e12])
    def test_claims_do_not_depend_on_the_unit(self, size):
        rng = np.random.default_rng(0)
        y = rng.normal(size=60)
        lines = {"near": y + 0.1 * rng.normal(size=60), "far": y + rng.normal(size=60)}
        plain = compare(y, lines, "mae", n_resamples=50).differences
        found = compare(
            size * y, {name: size * line for name, line in lines.items()}, "mae", n_resamples=50
        ).differences
        np.testing.assert_allclose(found["low"] / size, plain["low"], rtol=1e-6)
        np.testing.assert_allclose(found["p"], plain["p"], rtol=1e-6)
        rounded = {"near": size * lines["near"], "same": size * lines["near"] * (1 + 2e-16)}
        assert compare(size * y, rounded, "mae", n_resamples=50).differences["p"].item() == 1

    def test_tiny_numbers_are_printed_with_their_digits(self):
        rng = np.random.default_rng(0)
        y = 1e-13 * rng.normal(size=60)
        text = str(compare(y, {"near": y + 1e-14, "far": y + 1e-13 * rng.normal(size=60)}, "mae", n_resamples=50))
        assert "near is ahead of far by " in text
        assert "near 1.0e-14 1.0e-14 1.0e-14" in " ".join(text.split())
        assert [number(1.234e-9, 11), number(-1.2e-9, 10, sign=True), number(0.0, 9)] == [
            "1.23e-09",
            "-1.2e-09",
            "0.000000000",
        ]


@pytest.mark.parametrize(
    ("y", "predictions", "options", "message"),
    [
        ([], {"a": [], "b": []}, {}, "y has no rows: give one or more"),
        (Y, 5, {}, "Got int without names: give a dict of names and predictions"),
        (Y, {"a": Y, "b": [list(Y), [1, 2]]}, {}, "The predictions of 'b' are draws of different lengths: give shape"),
        (Y, {"a": Y, "b": Y}, {"groups": np.zeros((60, 1))}, r"groups must be one-dimensional, got shape \(60, 1\)"),
        (Y, {"a": Y, "b": Y}, {"sides": [["a"], ["b"]]}, "Got list without names: give a dict of names and sides"),
        (Y, {"a": Y, "b": Y}, {"sides": {"s": 5, "t": ["b"]}}, "The side 's' must list names of predictions, got 5"),
        (
            Y,
            {"a": Y, "b": Y},
            {"scale": (1, 5)},
            r"scale must be a Scale, got \(1, 5\): give one such as Scale\(1, 5\)",
        ),
        (Y, {"a": Y, "b": Y}, {"n_resamples": 2.5}, "n_resamples must be a whole number from 0 on, got 2.5"),
        (Y, {"a": Y, "b": Y}, {"random_state": None}, "random_state must be a whole number from 0 on, got None"),
        (Y, {"a": Y, "b": Y}, {"metric": make_scorer(mean_absolute_error)}, "is a scorer, which takes an estimator"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(y, predictions, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        compare(y, predictions, **options)
    assert "\n" not in str(caught.value)


def test_a_name_that_begins_with_neg_is_better_where_greater():
    def neg_mean_absolute_error(y, predicted):
        return -np.abs(y - predicted).mean()

    assert (
        compare(Y, {"far": Y[::-1], "near": Y}, neg_mean_absolute_error, n_resamples=50).differences["ahead"].item()
        == "near"
    )


def test_the_verdict_on_many_models_is_short():
    rng = np.random.default_rng(0)
    guess = {f"m{i}": np.where(rng.random(300) < 0.5, 3, Y[rng.integers(0, 60, 300)]) for i in range(20)}
    y = np.tile(Y, 5)
    equal = compare(y, guess, "accuracy", n_resamples=100)
    best = equal.scores["name"][equal.scores["score"].idxmax()]
    assert equal.verdict == (
        f"On 300 rows, {best} scores best, and is shown to be ahead of none of the 19 others; "
        "0 of the 171 other pairs are shown to differ."
    )
    one = compare(y, guess | {"right": y}, "accuracy", n_resamples=100)
    assert one.verdict.startswith("On 300 rows, right is ahead of 20 others, and of m")
    assert one.verdict.count("95% interval") == 1
    two = compare(y, {**dict(list(guess.items())[:2]), "right": y, "nearly": y, "too": y}, "accuracy", n_resamples=100)
    assert "right is ahead of m0 by 0." in two.verdict
    assert "; it is not shown to be ahead of the 2 others; " in two.verdict


def test_a_result_shows_itself_as_it_prints():
    comparison = compare(Y, {"a": Y, "b": Y[::-1]}, n_resamples=20)
    assert repr(comparison) == str(comparison)


class TestFormula:
    """The parts of the interval and of the choice, against values by hand."""

    def test_the_variance_is_that_of_the_bootstrap_times_n_by_n_less_1(self):
        resampled = np.array([[1.0], [2.0], [3.0]])
        _, low, high, _ = spread(np.array([2.0]), resampled, n_units=2)
        assert (high - low) / 2 == pytest.approx(12.7062 * 2**0.5, rel=1e-4)  # t of 1 degree of freedom

    def test_claims_are_made_from_adjusted_p_values(self):
        table = pd.DataFrame({"a": ["x"] * 3, "b": ["y", "z", "w"], "difference": 1.0, "p": [0.01, 0.03, 0.04]})
        assert with_holm(table, True, 100)["ahead"].tolist() == ["x", None, None]

    @pytest.mark.parametrize("metric", ["mae", "accuracy"])
    def test_a_side_is_its_better_line_of_one_half_measured_on_the_other(self, metric):
        rng = np.random.default_rng(0)
        y = np.arange(40) % 4
        lines = {name: np.where(rng.random(40) < 0.5, y, (y + 1) % 4) for name in "abcdef"}
        found = measure(y, lines, metric, sides={"s": list("abcde"), "t": ["f"]}, n_resamples=2, random_state=5)
        halves = [mask > 0 for mask in _halves(y, np.arange(40), 5)]
        function = mean_absolute_error if metric == "mae" else lambda true, guess: np.mean(true == guess)
        expected = []
        for chosen_on, measured_on in (halves, halves[::-1]):
            on_half = {name: function(y[chosen_on], lines[name][chosen_on]) for name in "abcde"}
            best = (min if metric == "mae" else max)(on_half, key=on_half.get)
            expected.append(function(y[measured_on], lines[best][measured_on]))
        assert found.by_draw[0, 0] == pytest.approx(np.mean(expected))
        on_all = {name: function(y, lines[name]) for name in "abcde"}
        assert found.best == [(min if metric == "mae" else max)(on_all, key=on_all.get), "f"]
        swapped = [function(y[half], lines["f"][half]) for half in halves]
        assert found.by_draw[1, 0] == pytest.approx(np.mean(swapped))


def test_with_a_scale_all_lines_are_put_on_it():
    found = row_metric("accuracy", Y, {"a": np.array([Y + 1])}, Scale(2, 4))
    assert found.scores(np.ones((1, 60), dtype=np.float32)).item() == pytest.approx(1 / 3)

"""Parameter design: balanced arrays, S/N ratios by hand, effects that are found again, and one line for bad input."""

import re
from itertools import combinations, product
from typing import get_args

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pipeline.taguchi import output_sn_ratio, parameter_design, standard_array
from pipeline.taguchi.factors import check_factors, level_numbers
from pipeline.taguchi.orthogonal_arrays import ARRAY_NAMES
from pipeline.taguchi.output_sn_ratio import Kind

SEEDS = st.integers(0, 2**32 - 1)
TWO, THREE = ["low", "high"], [0.1, None, (1, 2)]
SHAPES = {"L4": (4, 3), "L8": (8, 7), "L9": (9, 4), "L12": (12, 11), "L16": (16, 15), "L18": (18, 8)}


def names(n_two, n_three=0):
    return {f"two_{i}": TWO for i in range(n_two)} | {f"three_{i}": THREE for i in range(n_three)}


# Arrays ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ARRAY_NAMES)
def test_all_pairs_of_levels_come_equally_often_in_any_two_columns(name):
    array = standard_array(name)
    assert array.shape == SHAPES[name]
    assert (array[0] == 1).all()
    assert len({tuple(row) for row in array}) == len(array)
    for left, right in combinations(range(array.shape[1]), 2):
        counts = np.zeros((array[:, left].max(), array[:, right].max()))
        np.add.at(counts, (array[:, left] - 1, array[:, right] - 1), 1)
        assert counts.min() == counts.max() == len(array) / counts.size


def test_l8_is_the_published_one():
    rows = "1111111 1112222 1221122 1222211 2121212 2122121 2211221 2212112"
    assert ["".join(map(str, row)) for row in standard_array("L8")] == rows.split()


@pytest.mark.parametrize("name", ["L8", "L16"])
def test_an_interaction_falls_on_the_exclusive_or_of_two_columns(name):
    signs = 3 - 2 * standard_array(name)
    for left, right in combinations(range(1, signs.shape[1] + 1), 2):
        np.testing.assert_array_equal(signs[:, left - 1] * signs[:, right - 1], signs[:, (left ^ right) - 1])


@given(n_two=st.integers(0, 15), n_three=st.integers(0, 7))
def test_the_smallest_array_is_taken_and_any_two_factors_are_balanced(n_two, n_three):
    assume(n_two + n_three and not (n_three and n_two + n_three > 8))
    name, levels = level_numbers(check_factors(names(n_two, n_three)))
    fits = {"L9": n_two + n_three <= 4, "L18": True}
    fits |= {name: not n_three and n_two <= SHAPES[name][1] for name in ("L4", "L8", "L12", "L16")}
    assert name == next(each for each in ARRAY_NAMES if fits[each])
    assert levels.max(axis=0).tolist() == [1] * n_two + [2] * n_three
    for left, right in combinations(levels.T, 2):
        # Proportional where a level comes twice as often.
        for a, b in product(np.unique(left), np.unique(right)):
            assert ((left == a) & (right == b)).sum() * len(levels) == (left == a).sum() * (right == b).sum()


@pytest.mark.parametrize(("name", "most"), [("L8", 4), ("L16", 8)])
def test_few_factors_are_free_of_all_interactions_of_two(name, most):
    for n in range(1, most + 1):
        signs = 1 - 2 * level_numbers(check_factors(names(n)), name)[1].astype(int)
        for left, right in combinations(range(n), 2):
            assert not ((signs[:, left] * signs[:, right]) @ signs).any()


# S/N ratios -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outputs", "sn", "signal", "ratio", "sensitivity"),
    [
        # Worked out by hand with the formulas of Phadke's and of Taguchi's handbook.
        ([2, 4, 5], "smaller", None, -10 * np.log10(45 / 3), 11 / 3),
        ([2, 4, 5], "larger", None, -10 * np.log10((1 / 4 + 1 / 16 + 1 / 25) / 3), 11 / 3),
        ([9, 10, 11], "nominal", None, 10 * np.log10((300 - 1) / (3 * 1)), 10),
        # r = 14, L = 27.9, S_beta = 55.60071, S_T = 55.62, V_e = 0.0192857 / 2.
        ([2.1, 3.9, 6.0], "dynamic", [1, 2, 3], 10 * np.log10(55.5910714286 / (14 * 0.00964285714)), 27.9 / 14),
        # r = 2, L = 3.9, S_beta = 7.605, S_T = 7.62, V_e = 0.015 / 1.
        ([3.1, 4.9, 7.0], "linear", [1, 2, 3], 10 * np.log10(253), 1.95),
        # r = 10, L = 22, S_beta = 48.4, S_T = 52, V_e = 3.6 / 3.
        ([[2, 4], [4, 4]], "dynamic", [1, 2], 10 * np.log10((48.4 - 1.2) / 12), 2.2),
    ],
)
def test_ratios_worked_out_by_hand(outputs, sn, signal, ratio, sensitivity):
    result = output_sn_ratio(outputs, sn, signal)
    assert result.sn_ratio == pytest.approx(ratio, abs=1e-6)
    assert result.sensitivity == pytest.approx(sensitivity)
    assert not result.at_floor


@given(seed=SEEDS, factor=st.sampled_from([1e-6, 0.3, 7.0, 1e5]))
def test_ratios_under_another_unit(seed, factor):
    rng = np.random.default_rng(seed)
    M = rng.uniform(1, 5, size=6)
    y = 2 * M + rng.uniform(0.1, 2, size=(3, 6))

    def ratio(sn, y, M=None):
        return output_sn_ratio(y, sn, M).sn_ratio

    decibels = 20 * np.log10(factor)
    assert ratio("larger", factor * y) == pytest.approx(ratio("larger", y) + decibels)
    assert ratio("smaller", factor * y) == pytest.approx(ratio("smaller", y) - decibels)
    assert ratio("larger", 1 / y) == pytest.approx(ratio("smaller", y))
    assert ratio("nominal", factor * y) == pytest.approx(ratio("nominal", y))
    for sn in ("dynamic", "linear"):
        assert ratio(sn, factor * y, M) == pytest.approx(ratio(sn, y, M))
        assert ratio(sn, y, factor * M) == pytest.approx(ratio(sn, y, M) - decibels)
        assert ratio(sn, y[::-1, ::-1], M[::-1]) == pytest.approx(ratio(sn, y, M))
    assert ratio("linear", y + 9, M - 4) == pytest.approx(ratio("linear", y, M))


@pytest.mark.parametrize("sn", ["dynamic", "linear", "nominal"])
def test_without_a_signal_the_ratio_is_the_finite_floor_and_without_an_error_it_is_large(sn):
    M = None if sn == "nominal" else np.arange(1.0, 6)
    rng = np.random.default_rng(0)
    lost = output_sn_ratio(1000 * rng.normal(size=(4, 5)), sn, M)
    r = {"dynamic": 4 * 55, "linear": 4 * 10, "nominal": 20}[sn]
    assert lost.at_floor
    assert lost.sn_ratio == pytest.approx(-10 * np.log10(r))
    perfect = output_sn_ratio([[3, 6, 9, 12, 15]] if M is not None else [3, 3, 3], sn, M)
    assert 100 < perfect.sn_ratio < 400
    assert not perfect.at_floor


@pytest.mark.parametrize("sn", ["dynamic", "linear"])
def test_outputs_that_fall_as_the_signal_rises_are_no_signal(sn):
    result = output_sn_ratio([-2.0, -4.1, -6.0, -8.0], sn, [1, 2, 3, 4])
    assert result.at_floor
    assert result.sensitivity == pytest.approx(-2, abs=0.05)


# Designs --------------------------------------------------------------------------------------------------------------


def decibels(effects):
    """A system whose smaller-the-better S/N ratio is a sum of effects in dB."""

    def run(setting, condition=None):
        total = sum(effects[factor][levels.index(setting[factor])] for factor, levels in effects["levels"].items())
        return 10 ** (-total / 20)

    return run


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, n_two=st.integers(0, 4), n_three=st.integers(0, 4))
def test_effects_that_add_up_are_found_again_and_every_setting_is_predicted(seed, n_two, n_three):
    assume(n_two + n_three)
    rng = np.random.default_rng(seed)
    factors = names(n_two, n_three)
    effects = {factor: rng.normal(scale=5, size=len(levels)) for factor, levels in factors.items()}
    run = decibels(effects | {"levels": factors})
    design = parameter_design(run, factors, sn="smaller")
    for factor, levels in factors.items():
        rows = design.level_means[design.level_means.factor == factor]
        assert rows.level.tolist() == levels
        np.testing.assert_allclose(np.diff(rows.sn_ratio), np.diff(effects[factor]), atol=1e-9)
        assert design.effects.loc[factor, "range"] == pytest.approx(np.ptp(effects[factor]))
        assert design.optimum[factor] == levels[int(effects[factor].argmax())]
    assert design.effects["share"].sum() == pytest.approx(1)
    assert design.effects["share"].is_monotonic_decreasing
    for _ in range(5):
        setting = {factor: levels[rng.integers(len(levels))] for factor, levels in factors.items()}
        assert design.predict(setting) == pytest.approx(-20 * np.log10(run(setting)), abs=1e-9)
    table = design.confirm(run)
    np.testing.assert_allclose(table.predicted, table.confirmed, atol=1e-9)
    gain = sum(effects[factor].max() - effects[factor][0] for factor in factors)
    assert table.loc["gain", "confirmed"] == pytest.approx(gain, abs=1e-9)


def test_the_strongest_factors_alone_promise_less():
    factors = names(3)
    design = parameter_design(
        decibels({"two_0": [0, 1], "two_1": [0, 8], "two_2": [0, 3], "levels": factors}), factors, sn="smaller"
    )
    assert design.effects.index.tolist() == ["two_1", "two_2", "two_0"]
    gains = [design.predict(design.optimum, n) - design.predict(design.default, n) for n in range(4)]
    np.testing.assert_allclose(gains, [0, 8, 11, 12], atol=1e-9)
    assert design.predict(design.optimum) == pytest.approx(design.predict(design.optimum, 3))


def test_an_interaction_parts_the_predicted_from_the_confirmed_gain():
    ratios = {("low", "low"): 0, ("low", "high"): 4, ("high", "low"): 4, ("high", "high"): 2}

    def run(setting, condition):
        return 10 ** (-ratios[setting["two_0"], setting["two_1"]] / 20)

    design = parameter_design(run, names(2), sn="smaller")
    assert design.optimum == {"two_0": "high", "two_1": "high"}
    assert design.effects["share"].sum() < 0.2  # the rest lies on the column of the interaction
    table = design.confirm(run)
    np.testing.assert_allclose(table.predicted, [1.5, 3.5, 2.0], atol=1e-9)
    np.testing.assert_allclose(table.confirmed, [0, 2, 2], atol=1e-9)


def test_a_setting_is_run_under_every_condition_and_its_outputs_make_one_ratio():
    seen = []
    M = np.array([1.0, 2, 3])

    def run(setting, condition):
        seen.append((tuple(setting.values()), condition))
        return M * (2 if setting["two_0"] == "low" else 3) + condition

    design = parameter_design(run, names(2), noise=[-0.5, 0.5], signal=M)
    assert len(seen) == len(set(seen)) == 4 * 2
    low = output_sn_ratio([2 * M - 0.5, 2 * M + 0.5], "dynamic", M)
    assert design.runs.sn_ratio[1] == low.sn_ratio
    assert design.runs.sensitivity[1] == low.sensitivity
    assert design.runs.index.tolist() == [1, 2, 3, 4]
    assert design.optimum["two_0"] == "high"


@pytest.mark.parametrize(("n_factors", "n_conditions"), [(1, 2), (2, 4), (3, 4), (5, 8)])
def test_noise_factors_are_combined_or_laid_on_an_outer_array(n_factors, n_conditions):
    design = parameter_design(
        lambda setting, condition: 1 + len(set(condition.values())), names(1), noise=names(n_factors), sn="larger"
    )
    assert len(design.noise) == n_conditions
    assert all(list(condition) == list(names(n_factors)) for condition in design.noise)


def test_any_pipeline_is_tuned_through_its_parameters():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(80, 5)), np.tile(np.arange(5.0), 16)
    X[:, 0] += y
    line = make_pipeline(StandardScaler(), Ridge())
    factors = {"standardscaler__with_mean": [True, False], "ridge__alpha": [1.0, 1000.0, 1e6]}

    def run(setting, noise):
        return clone(line).set_params(**setting).fit(X[:40], y[:40]).predict(X[40:] + noise * rng.normal(size=(40, 5)))

    design = parameter_design(run, factors, noise=[0, 0.3], signal=y[40:], sn="linear", default=None)
    assert design.array == "L9"  # the factor of two levels on a column of three
    assert design.effects.index[0] == "ridge__alpha"
    assert design.optimum["ridge__alpha"] == 1.0
    elsewhere = design.confirm(run, noise=[0], signal=y[40:])
    assert elsewhere.index.tolist() == ["default", "optimum", "gain"]


def test_the_effect_chart_shows_a_line_for_each_factor():
    pytest.importorskip("matplotlib")
    factors = names(2, 1)
    design = parameter_design(
        decibels({"two_0": [0, 1], "two_1": [2, 0], "three_0": [0, 4, 1], "levels": factors}), factors, sn="smaller"
    )
    (axes,) = design.effect_chart().axes
    assert [label.get_text() for label in axes.child_axes[0].get_xticklabels()] == list(factors)
    np.testing.assert_allclose(np.diff(axes.lines[2].get_ydata()), [4, -3], atol=1e-9)
    assert [label.get_text() for label in axes.get_xticklabels()] == [str(each) for each in (*TWO, *TWO, *THREE)]


def test_runs_without_signal_are_said_and_leave_the_means_finite():
    M = np.arange(1.0, 6)

    def run(setting, condition):
        return M if setting["two_0"] == "low" else -M

    with pytest.warns(UserWarning, match=r"2 of 4 settings carry no signal .* the lowest, -17.4 dB"):
        design = parameter_design(run, names(2), signal=M)
    assert np.isfinite(design.level_means.sn_ratio).all()
    assert design.optimum["two_0"] == "low"


# Bad input ------------------------------------------------------------------------------------------------------------

M = [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("factors", "options", "message"),
    [
        ({}, {}, "factors must map one or more names to their levels, got {}."),
        ([1, 2], {}, "factors must map one or more names to their levels, got [1, 2]."),
        ({"a": [1, 2, 3, 4]}, {}, "The factor 'a' must have a list of 2 or 3 levels, got [1, 2, 3, 4]."),
        ({"a": []}, {}, "The factor 'a' must have a list of 2 or 3 levels, got []."),
        ({"a": "yes"}, {}, "The factor 'a' must have a list of 2 or 3 levels, got 'yes'."),
        ({"a": [1, 2, 1]}, {}, "The levels of the factor 'a' must differ, got [1, 2, 1]."),
        ({"sn_ratio": [1, 2]}, {}, "A factor must not be called 'sn_ratio': that is a column of the runs."),
        (names(2, 7), {}, "No array holds 2 factors of 2 levels and 7 of 3: L16 holds up to 15 of 2 levels, L18 up to"),
        (names(8), {"array": "L8"}, "L8 does not hold 8 factors of 2 levels and 0 of 3:"),
        (names(1, 1), {"array": "L16"}, "L16 does not hold 1 factors of 2 levels and 1 of 3:"),
        (names(2), {"array": "L6"}, "array must be one of L4, L8, L9, L12, L16, L18, got 'L6'."),
        (names(1), {"noise": []}, "noise must be a list of conditions or map noise factors to their levels, got []."),
        (names(1), {"noise": "typos"}, "noise must be a list of conditions or map noise factors to their levels, got"),
        (names(1), {"noise": {"b": [1]}}, "The factor 'b' must have a list of 2 or 3 levels, got [1]."),
        (names(1), {"sn": "best"}, "sn must be one of dynamic, linear, larger, smaller, nominal, got 'best'."),
        (names(1), {"signal": None}, "sn='dynamic' needs the signal: give signal=, one value for each output."),
        (names(1), {"sn": "larger"}, "sn='larger' has no signal: leave signal out, or take sn='dynamic' or 'linear'."),
        (names(1), {"signal": [3, 3, 3]}, "The signal must have two or more different values, got [3.0]."),
        (names(1), {"signal": [1, np.nan]}, "The signal must be finite numbers in one dimension, got the shape (2,)."),
        (names(1), {"default": {}}, "default must have a level of each factor (two_0), got {}."),
        (names(1), {"default": {"two_0": 7}}, "default: two_0 must be one of its levels ['low', 'high'], got 7."),
    ],
)
def test_what_cannot_be_designed_is_one_line_before_anything_runs(factors, options, message):
    def run(setting, condition):
        pytest.fail("a run began")

    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        parameter_design(run, factors, **{"signal": M, **options})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("outputs", "options", "message"),
    [
        ([1.0, np.nan, 3.0], {"signal": M}, "The outputs must be finite, got NaN or infinity."),
        (None, {"sn": "larger"}, "The outputs must be finite, got NaN or infinity."),
        ([1.0, 2.0], {"signal": M}, "There must be an output for each of the 3 values of the signal, got 2."),
        ([], {"sn": "smaller"}, "There must be an output, got none."),
        ([1.0, -2.0], {"sn": "larger"}, "sn='larger' needs outputs above 0, got -2."),
        ([0.0, 0.0], {"sn": "smaller"}, "sn='smaller' has no S/N ratio where all outputs are 0."),
        (5.0, {"sn": "nominal"}, "The S/N ratio of 1 outputs has no error: give more outputs or noise conditions."),
        ([1.0, 2.0], {"sn": "linear", "signal": [1, 2]}, "The S/N ratio of 2 outputs has no error: give more outputs"),
    ],
)
def test_outputs_without_a_ratio_are_one_line_with_the_run(outputs, options, message):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        parameter_design(lambda setting, condition: outputs, names(1), **options)
    assert str(caught.value).startswith("Run 1 {'two_0': 'low'}: ")
    assert "\n" not in str(caught.value)


def test_outputs_of_unequal_number_are_named():
    with pytest.raises(ValueError, match=re.escape("as many outputs are needed, got [1, 2].")):
        parameter_design(lambda setting, n: [1.0] * n, names(1), noise=[1, 2], sn="larger")


@pytest.mark.parametrize("n_strong", [-1, 3])
def test_the_number_of_strong_factors_is_checked(n_strong):
    design = parameter_design(decibels({"two_0": [0, 1], "levels": names(1)}), names(1), sn="smaller")
    with pytest.raises(ValueError, match=f"n_strong must be from 0 to the 1 factors, got {n_strong}."):
        design.predict(design.optimum, n_strong)
    with pytest.raises(ValueError, match="settings must have a level of each factor"):
        design.predict({})


@pytest.mark.parametrize("sn", get_args(Kind))
@pytest.mark.parametrize("power", [-200, -100, 100, 200])
def test_the_unit_of_the_outputs_may_be_of_any_size(sn: Kind, power: int) -> None:
    """Only the two static ratios of the size itself move, by 20 dB for each power of ten."""
    y, signal = np.array([[1.0, 2.1, 2.9], [1.2, 1.9, 3.2]]), [1, 2, 3] if sn in ("dynamic", "linear") else None
    usual, other = (output_sn_ratio(y * unit, sn, signal) for unit in (1.0, 10.0**power))
    moved = {"larger": 20.0 * power, "smaller": -20.0 * power}.get(sn, 0.0)
    assert other.sn_ratio == pytest.approx(usual.sn_ratio + moved, abs=1e-6)
    assert other.sensitivity == pytest.approx(usual.sensitivity * 10.0**power)
    assert other.at_floor is usual.at_floor


@pytest.mark.parametrize("power", [-200, 200])
def test_the_unit_of_the_signal_may_be_of_any_size(power: int) -> None:
    y, M = [[1.0, 2.1, 2.9], [1.2, 1.9, 3.2]], np.array([1.0, 2, 3])
    usual, other = (output_sn_ratio(y, "dynamic", M * unit) for unit in (1.0, 10.0**power))
    assert other.sn_ratio == pytest.approx(usual.sn_ratio - 20 * power, abs=1e-6)
    assert other.sensitivity == pytest.approx(usual.sensitivity / 10.0**power)

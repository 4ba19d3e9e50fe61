"""Estimates about several unit spaces: they are those of T-methods, and no training row knows its target."""

import pickle
import re

import numpy as np
import pandas as pd
import pytest
import sklearn
from hypothesis import given, settings
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import Ridge
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer
from sklearn.utils.estimator_checks import parametrize_with_checks
from t_data import close, noisy, same, seeds, with_gaps, with_zeros

from pipeline.deal import deal_folds
from pipeline.features.t_metrics import words_and_pairs
from pipeline.taguchi import TMethodRegressor, UnitSpaceEstimates

SIGNALS = ["target", "distance"]
both_signals = pytest.mark.parametrize("signal", SIGNALS)


@pytest.fixture
def stars():
    """Items that follow the stars, and the stars."""
    rng = np.random.default_rng(0)
    y = rng.permutation(np.repeat([1.0, 2, 3, 4, 5], 12))
    return np.outer(y, [1.0, -2.0, 0.5]) + rng.normal(size=(60, 3)), y


def t_method(signal, X, y, mask):
    """The T-method that a unit space stands for."""
    if signal == "target":
        return TMethodRegressor().fit(X, y, unit_space_mask=mask)
    return TMethodRegressor("all").fit(X, np.abs(y - y[mask].mean()))


# The right values -----------------------------------------------------------------------------------------------------


@both_signals
def test_each_star_has_the_estimates_of_a_t_method_with_its_unit_space(stars, signal):
    X, y = stars
    estimates = UnitSpaceEstimates(signal=signal).fit(X, y)
    models = [t_method(signal, X, y, y == star) for star in range(1, 6)]
    same(estimates.transform(X), np.column_stack([model.predict(X) for model in models]))
    same(estimates.coef_, [model.coef_ for model in models])
    same(X @ estimates.coef_.T + estimates.intercept_, estimates.transform(X))
    assert estimates.get_feature_names_out().tolist() == [f"estimate_{star}" for star in range(1, 6)]


@both_signals
def test_a_continuous_target_has_groups_of_equally_many_rows(signal):
    X, y = load_diabetes(return_X_y=True)
    estimates = UnitSpaceEstimates(signal=signal).fit(X, y)
    sizes = [((low <= y) & (y <= high)).sum() for low, high in estimates.unit_spaces_]
    assert sum(sizes) == len(y)
    assert min(sizes) >= 40
    assert max(sizes) <= 48
    columns = estimates.transform(X)
    for column, (low, high), center in zip(columns.T, estimates.unit_spaces_, estimates.target_centers_, strict=True):
        mask = (low <= y) & (y <= high)
        assert center == pytest.approx(y[mask].mean())
        same(column, t_method(signal, X, y, mask).predict(X))


def test_the_subtraction_of_errors_is_that_of_the_t_method(stars):
    X, y = stars
    estimates = UnitSpaceEstimates(signal="target", subtract_error=False).fit(X, y)
    same(estimates.coef_[2], TMethodRegressor((3, 3), subtract_error=False).fit(X, y).coef_)


@both_signals
@settings(max_examples=15)
@given(seed=seeds)
def test_sparse_items_and_gaps_are_taken_as_a_t_method_takes_them(signal, seed):
    X, y, mask = noisy(seed)
    masks = np.column_stack([mask, ~mask])
    zeros, gaps = with_zeros(X, seed), with_gaps(X, seed)
    dense, thin = (
        UnitSpaceEstimates(signal=signal).fit_transform(items, y, unit_space_masks=masks)
        for items in (zeros, sparse.csc_array(zeros))
    )
    close(thin, dense, 1e-6)
    estimates = UnitSpaceEstimates(signal=signal).fit(gaps, y, unit_space_masks=masks)
    close(estimates.transform(gaps)[:, 1], t_method(signal, gaps, y, ~mask).predict(gaps))


@both_signals
@settings(max_examples=15)
@given(seed=seeds)
def test_shifting_and_scaling_items_changes_nothing(signal, seed):
    X, y, _ = noisy(seed)
    scale = np.random.default_rng(seed).uniform(0.1, 10, size=X.shape[1])
    estimates = UnitSpaceEstimates(4, signal)
    close(estimates.fit_transform(X * scale - 7, y), estimates.fit_transform(X, y), 1e-7)


def test_what_marks_the_middle_shows_in_the_distances_alone():
    rng = np.random.default_rng(0)
    y = np.tile([1.0, 2, 3, 4, 5], 40)
    X = np.column_stack([np.abs(y - 3) + rng.normal(size=200), rng.normal(size=(200, 3))])
    explained = [
        np.corrcoef(UnitSpaceEstimates(signal=signal).fit_transform(X, y)[:, 2], np.abs(y - 3))[0, 1]
        for signal in SIGNALS
    ]
    assert explained[1] > 0.5
    assert abs(explained[0]) < explained[1] - 0.2


# Unit spaces ----------------------------------------------------------------------------------------------------------


def test_a_value_with_a_single_row_is_part_of_its_neighbour():
    X, y = np.arange(14.0).reshape(7, 2), [1, 2, 2, 3, 3, 3, 5]
    estimates = UnitSpaceEstimates().fit(X, y)
    assert estimates.unit_spaces_.tolist() == [[1, 2], [3, 5]]
    assert estimates.get_feature_names_out().tolist() == ["estimate_1_to_2", "estimate_3_to_5"]


def test_close_values_have_names_that_differ():
    y = np.repeat([1.0, 1 + 1e-9, 1 + 2e-9], 5)
    X = np.random.default_rng(0).normal(size=(15, 2))
    assert len(set(UnitSpaceEstimates().fit(X, y).get_feature_names_out())) == 3


@both_signals
def test_masks_make_the_unit_spaces_and_may_overlap(stars, signal):
    X, y = stars
    masks = np.column_stack([y == 3, (y > 1) & (y < 5), X[:, 0] > 3])
    estimates = UnitSpaceEstimates(signal=signal).fit(X, y, unit_space_masks=masks)
    assert estimates.get_feature_names_out().tolist() == ["estimate_mask0", "estimate_mask1", "estimate_mask2"]
    for column, mask in zip(estimates.transform(X).T, masks.T, strict=True):
        same(column, t_method(signal, X, y, mask).predict(X))
    assert estimates.unit_spaces_[:2].tolist() == [[3, 3], [2, 4]]


# Out of fold ----------------------------------------------------------------------------------------------------------


@both_signals
def test_a_training_row_is_estimated_by_the_other_folds(stars, signal):
    X, y = stars
    estimates = UnitSpaceEstimates(signal=signal, cv=4)
    columns = estimates.fit_transform(X, y)
    fold = deal_folds(y, 4, 0)
    for number in range(4):
        inside = fold == number
        model = t_method(signal, X[~inside], y[~inside], (y == 2)[~inside])
        same(columns[inside, 1], model.predict(X[inside]))
    same(estimates.transform(X), clone(estimates).fit(X, y).transform(X))


@both_signals
def test_items_without_a_meaning_say_nothing_about_training_rows(signal):
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(100, 400)), np.tile([1.0, 2, 3, 4, 5], 20)
    estimates = UnitSpaceEstimates(signal=signal)
    assert abs(np.corrcoef(estimates.fit_transform(X, y)[:, 0], y)[0, 1]) < 0.3
    assert np.corrcoef(estimates.transform(X)[:, 0], y)[0, 1] > 0.7


# Errors ---------------------------------------------------------------------------------------------------------------

X_SMALL, Y_SMALL = np.arange(12.0).reshape(6, 2) ** 2, [1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ([True] * 6, "unit_space_masks must have one column for each unit space, got shape (6,)"),
        (np.eye(6), "unit_space_mask must hold booleans, got float64"),
        (np.ones((5, 1), dtype=bool), "inconsistent numbers of samples: [6, 5]"),
        (np.zeros((6, 1), dtype=bool), "Column 0 of unit_space_masks has no True row"),
        (np.array([[True] * 5 + [False]]).T, "Column estimate_mask0: The T-method needs 2 or more signal rows"),
    ],
)
def test_masks_that_make_no_unit_spaces(masks, message):
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        UnitSpaceEstimates(signal="target").fit(X_SMALL, Y_SMALL, unit_space_masks=masks)
    assert "\n" not in str(error.value)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("parameters", "y", "message"),
    [
        ({}, [2] * 6, r"The target y is constant \(2\)"),
        ({}, [1e200, 1, 2, 3, 4, 5], "The target y holds values whose squares overflow: scale it down"),
        ({"cv": 7}, Y_SMALL, "cv=7 needs 7 or more samples, got 6"),
        ({"unit_spaces": 0}, Y_SMALL, "The 'unit_spaces' parameter of UnitSpaceEstimates must be an int"),
        ({"signal": "M"}, Y_SMALL, "The 'signal' parameter of UnitSpaceEstimates must be a str among"),
        ({}, ["a", "b"] * 3, "UnitSpaceEstimates needs numbers as target y, got 'a'"),
    ],
)
def test_errors(parameters, y, message):
    with pytest.raises(ValueError, match=message):
        UnitSpaceEstimates(**parameters).fit_transform(X_SMALL, y)


@both_signals
def test_a_fit_that_fails_leaves_no_estimates(stars, signal):
    X, y = stars
    estimates = UnitSpaceEstimates(signal=signal).fit(X, y)
    with pytest.raises(ValueError, match="Column 1 of unit_space_masks has no True row"):
        estimates.fit(X, y, unit_space_masks=np.column_stack([y > 3, y > 9]))
    for call in (estimates.get_feature_names_out, lambda: estimates.transform(X)):
        with pytest.raises(NotFittedError):
            call()


def test_a_fold_that_takes_the_whole_unit_space_is_named():
    mask = np.zeros((30, 1), dtype=bool)
    mask[0] = True
    X, y, _ = noisy(0)
    with pytest.raises(ValueError, match=r"Column estimate_mask0 without fold \d: The unit space is empty"):
        UnitSpaceEstimates(signal="target").fit_transform(X, y, unit_space_masks=mask)


def test_a_small_unit_space_is_told_once():
    X, y, _ = noisy(0, n=200)
    stars = np.where(np.arange(200) < 3, 1.0, np.where(y > 0, 5, 4))
    with pytest.warns(UserWarning, match=r"The unit space of estimate_1 holds 3 of 200 rows") as told:
        UnitSpaceEstimates(signal="target").fit(X, stars)
    assert len(told) == 1
    assert told[0].filename == __file__


# scikit-learn's contract ----------------------------------------------------------------------------------------------

OUT_OF_FOLD = "fit_transform is out of fold"


@parametrize_with_checks(
    [UnitSpaceEstimates(), UnitSpaceEstimates(3, "target", cv=2)],
    expected_failed_checks=lambda _: {
        "check_transformer_general": OUT_OF_FOLD,
        "check_transformer_data_not_an_array": OUT_OF_FOLD,
    },
)
def test_scikit_learn_contract(estimator, check):
    check(estimator)


def test_tables_pickles_and_clones(stars):
    X, y = stars
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    estimates = UnitSpaceEstimates().set_output(transform="pandas")
    columns = estimates.fit_transform(frame, y)
    assert columns.columns.tolist() == estimates.get_feature_names_out().tolist()
    np.testing.assert_array_equal(columns, UnitSpaceEstimates().fit_transform(X, y))
    read = pickle.loads(pickle.dumps(estimates)).transform(frame)
    pd.testing.assert_frame_equal(read, estimates.transform(frame))
    assert columns.to_numpy().dtype == np.float64
    assert UnitSpaceEstimates().fit_transform(X.astype(np.float32), y).dtype == np.float32


def test_masks_follow_their_rows_through_a_pipeline(stars):
    X, y = stars
    masks = np.column_stack([y < 3, y > 3])
    with sklearn.config_context(enable_metadata_routing=True):
        first = UnitSpaceEstimates().set_fit_request(unit_space_masks=True)
        model = make_pipeline(first, Ridge())
        model.fit(X, y, unit_space_masks=masks)
        assert model[0].get_feature_names_out().tolist() == ["estimate_mask0", "estimate_mask1"]
        predicted = cross_val_predict(model, X, y, params={"unit_space_masks": masks})
    assert np.corrcoef(predicted, y)[0, 1] > 0.8


def test_words_of_texts_are_items_by_a_vectorizer():
    texts = ["good food", "good wine", "so so", "so so wine", "bad food", "bad wine"]
    words = make_pipeline(
        CountVectorizer(analyzer=words_and_pairs, binary=True, dtype=float),
        Normalizer(),
        UnitSpaceEstimates(cv=2),
    )
    estimates = words.fit(texts, [5, 5, 3, 3, 1, 1]).transform(["good beer", "so so beer", "bad beer"])
    assert (np.diff(estimates[:, 0]) < 0).all()
    assert estimates[:, 1].argmin() == 1

"""What a T-method says where it rests on few rows, and which targets it takes for numbers."""

import warnings

import numpy as np
import pandas as pd
import pytest
from t_data import FIVE_STARS

from pipeline.taguchi import (
    MahalanobisTaguchi,
    MSRRegressor,
    OrthogonalArraySelector,
    TbRegressor,
    TMethodRegressor,
    UnitSpaceClassifier,
    UnitSpaceClassifierCV,
    UnitSpaceItems,
    t_moments,
)


class TestFewRows:
    """A T-method says where it rests on few rows."""

    @staticmethod
    def parts(wild=None, n=400):
        rng = np.random.default_rng(0)
        y = rng.normal(150, 20, n)
        X = np.column_stack([y + rng.normal(0, 10, n), 30 * rng.normal(size=n) - 2 * y])
        if wild is not None:
            y[7] = wild
        return X, y

    def test_a_wild_target_that_leaves_one_row_in_the_middle(self):
        X, y = self.parts(1e4)
        with pytest.warns(UserWarning, match="The unit space holds") as told:
            model = TMethodRegressor().fit(X, y)
        unit_space, signal = (str(each.message) for each in told)
        assert unit_space.startswith(
            "The unit space holds 1 of 400 rows, and all is measured from their mean: choose it"
        )
        assert "unit_space='median' or unit_space=(low, high)" in unit_space
        assert signal.startswith("A row with the target 10000 makes 98% of the sum of squares r of 399 rows")
        assert "\n" not in unit_space + signal
        assert model.n_unit_space_ == 1
        assert told[0].filename == __file__

    @pytest.mark.parametrize("rule", ["median", (140, 160), "all"])
    def test_another_unit_space_still_has_the_wild_row_for_a_signal(self, rule):
        X, y = self.parts(1e4)
        with pytest.warns(UserWarning, match="A row with the target 10000 makes .* or leave it out") as told:
            TMethodRegressor(rule).fit(X, y)
        assert len(told) == 1
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model = TMethodRegressor(rule).fit(X, y, sample_weight=y < 1000)
        assert model.predict([[140, -280]])[0] == pytest.approx(140, abs=2)

    @pytest.mark.parametrize("model", [TbRegressor(), MSRRegressor(), OrthogonalArraySelector("all")])
    def test_a_wild_target_decides_the_slopes_of_others_too(self, model):
        with pytest.warns(UserWarning, match="A row with the target 10000 makes .* decides every slope") as told:
            model.fit(*self.parts(1e4))
        assert [each.filename for each in told] == [__file__]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model.fit(*self.parts())

    @pytest.mark.parametrize("rule", ["middle", "median", "all"])
    @pytest.mark.parametrize("n", [25, 91, 2000])
    def test_usual_targets_are_no_matter(self, rule, n):
        X, y = self.parts(n=n)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            TMethodRegressor(rule).fit(X, y)
            TMethodRegressor(rule).fit(X, np.resize(FIVE_STARS, n))

    def test_sums_of_shards_and_batches_say_it_too(self):
        X, y = self.parts(1e4)
        unit = np.arange(400) == 1
        with pytest.warns(UserWarning, match="The unit space holds 1 of 400 rows"):
            TMethodRegressor().fit_moments(
                t_moments(X[:200], y[:200], unit[:200]) + t_moments(X[200:], y[200:], unit[200:])
            )
        with pytest.warns(UserWarning, match="The unit space holds 1 of 400 rows"):
            TMethodRegressor().partial_fit(X, y)


class TestTargets:
    def test_labels_that_are_an_order_are_numbers(self):
        X, y = np.random.default_rng(0).normal(size=(20, 3)), np.tile([1, 2, 3, 4, 5], 4)
        expected = TMethodRegressor().fit(X, y).predict(X)
        words = np.array(["awful", "bad", "so-so", "good", "superb"])
        for labels in (
            y.astype(str),
            y.astype(str).tolist(),
            y.astype(str).astype(object),
            pd.Series(y.astype(str), index=np.arange(20) % 3),
            pd.Categorical(y),
            pd.Series(pd.Categorical(words[y - 1], categories=words, ordered=True)),
        ):
            np.testing.assert_array_equal(TMethodRegressor().fit(X, labels).predict(X), expected)
        both = pd.DataFrame({"a": y.astype(str), "b": -y})
        np.testing.assert_array_equal(TMethodRegressor().fit(X, both).predict(X)[:, 0], expected)

    def test_labels_without_an_order_are_told(self):
        with pytest.raises(
            ValueError, match="TMethodRegressor needs numbers as target y, got 'good' at position 0: give"
        ):
            TMethodRegressor().fit([[1.0], [2.0]], ["good", "bad"])

    @pytest.mark.parametrize("model", [TMethodRegressor(), TMethodRegressor("all"), TbRegressor(), MSRRegressor()])
    def test_squares_that_underflow(self, model):
        X, y = np.random.default_rng(0).normal(size=(20, 3)), np.tile([1, 2, 3, 4, 5], 4)
        with pytest.raises(ValueError, match="The target y varies so little that its squares underflow: scale it up"):
            model.fit(X, 1e-200 * y)
        np.testing.assert_allclose(model.fit(X, 1e-100 * y).predict(X), 1e-100 * model.fit(X, y).predict(X), rtol=1e-6)

    @pytest.mark.parametrize("model", [UnitSpaceClassifier(), UnitSpaceClassifierCV(cv=2)])
    def test_classes_in_an_array_of_objects(self, model):
        X, y = np.random.default_rng(0).normal(size=(20, 3)), np.tile([1, 2, 3, 4, 5], 4)
        predicted = model.fit(X, y.astype(object)).predict(X)
        np.testing.assert_array_equal(predicted, model.fit(X, y).predict(X))
        words = np.array(list("abcde"), dtype=object)[y - 1]
        assert model.fit(X, words).classes_.tolist() == list("abcde")

    def test_unit_spaces_as_items_need_a_target(self):
        with pytest.raises(ValueError, match="requires y to be passed, but the target y is None"):
            UnitSpaceItems(MahalanobisTaguchi()).fit([[1.0], [2.0]], None)

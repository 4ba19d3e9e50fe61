"""A fit that fails leaves no model of old weights and new classes."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from pipeline.taguchi import UnitSpaceClassifier, UnitSpaceClassifierCV, class_moments

RNG = np.random.default_rng(0)
Y = np.tile([1.0, 2.0, 3.0], 20)
X = RNG.normal(size=(60, 3)) + Y[:, None]
FOUR_ITEMS = class_moments(np.column_stack([X, X[:, 0]]), Y)


@pytest.mark.parametrize("estimator", [UnitSpaceClassifier, UnitSpaceClassifierCV])
@pytest.mark.parametrize(
    "refit",
    [
        lambda model: model.fit(1e200 * X, Y + 6),
        lambda model: model.set_params(know_how=FOUR_ITEMS).fit(X, Y + 6),
        lambda model: model.fit_moments("sums"),
    ],
)
def test_after_a_fit_that_fails_nothing_is_predicted(estimator, refit):
    model = estimator().fit(X, Y)
    with pytest.raises(ValueError, match=r"overflow|4 items, but X has 3|ClassMoments"):
        refit(model)
    with pytest.raises(NotFittedError):
        model.predict(X)
    assert set(model.set_params(know_how=None).fit(X, Y).predict(X)) <= {1, 2, 3}

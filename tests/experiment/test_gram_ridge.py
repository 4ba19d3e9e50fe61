"""Ridge regression by the products of the columns: RidgeCV's choice and predictions."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import RidgeCV

from pipeline.experiment.gram_ridge import GramRidgeCV

ALPHAS = np.logspace(-1, 4, 11)


@pytest.mark.parametrize("noise", [0.1, 3.0, 30.0])
@pytest.mark.parametrize("shape", [(60, 8), (61, 60), (30, 40), (9, 1)], ids=str)
def test_it_chooses_and_predicts_as_ridge_cv_does(shape, noise):
    rng = np.random.default_rng(len(str(shape)))
    X = 5 + rng.normal(size=shape)
    # A constant column and a repeated one: the products have no full rank.
    X[:, -1], X[:, shape[1] // 2] = 7, X[:, 0]
    y = X[:, :3].sum(axis=1) + rng.normal(0, noise, shape[0])
    ours, theirs = clone(GramRidgeCV(alphas=ALPHAS)).fit(X, y), RidgeCV(alphas=ALPHAS).fit(X, y)
    assert ours.alpha_ == theirs.alpha_
    new = 5 + rng.normal(size=shape)
    np.testing.assert_allclose(ours.predict(new), theirs.predict(new), rtol=1e-8)


def test_weights_count_as_in_ridge_cv():
    rng = np.random.default_rng(0)
    X, y, weight = rng.normal(size=(50, 4)), rng.normal(size=50), rng.random(50)
    ours, theirs = (kind(alphas=ALPHAS).fit(X, y, sample_weight=weight) for kind in (GramRidgeCV, RidgeCV))
    assert ours.alpha_ == theirs.alpha_
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))


def test_bad_rows_are_refused():
    with pytest.raises(ValueError, match="contains NaN"):
        GramRidgeCV(alphas=ALPHAS).fit([[np.nan], [1.0], [2.0]], [1, 2, 3])

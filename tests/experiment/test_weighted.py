"""Rows that count more or less than once."""

import numpy as np
import pytest

from pipeline.experiment.line import Line
from pipeline.experiment.models import MODELS, make_model
from pipeline.experiment.weighted import fit_weighted, takes_weights

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 4))
Y = np.clip(np.rint(3 + X @ [1, 0.5, 0, 0] + RNG.normal(0, 0.5, 90)), 1, 5)


def model(name):
    return make_model(Line("", name))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", [name for name in MODELS if takes_weights(model(name))])
def test_rows_of_weight_one_count_as_without_weights(name):
    weighted = fit_weighted(model(name), X, Y, np.ones(90)).predict(X)
    np.testing.assert_allclose(weighted, model(name).fit(X, Y).predict(X), atol=1e-9)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", ["T(1)", "Ta", "Ta full clipped", "Ridge"])
def test_rows_of_weight_nothing_count_as_absent(name):
    weight = np.repeat([1.0, 1e-12], [60, 30])
    weighted = fit_weighted(model(name), X, Y, weight).predict(X)
    np.testing.assert_allclose(weighted, model(name).fit(X[:60], Y[:60]).predict(X), atol=1e-5)


def test_a_grid_search_compares_weighted_errors():
    # Heavy rows are noise: little shrinkage is only worth it for the light ones.
    noise = np.random.default_rng(1).integers(1, 6, 90).astype(float)
    both, stars = np.vstack([X, X]), np.concatenate([Y, noise])
    chosen = []
    for weight in ([1.0, 1e-6], [1e-6, 1.0]):
        fitted = fit_weighted(model("LogisticRegression"), both, stars, np.repeat(weight, 90))
        chosen.append(fitted.classifier_.best_params_["C"])
    assert chosen[0] > chosen[1]


@pytest.mark.parametrize("name", ["PLS", "ordinal regression", "k-nearest neighbours", "T(1) selected", "MT per star"])
def test_what_drops_weights_somewhere_is_refused(name):
    assert not takes_weights(model(name))
    with pytest.raises(ValueError, match="takes no sample_weight in all of its parts: leave it out"):
        fit_weighted(model(name), X, Y, np.ones(90))

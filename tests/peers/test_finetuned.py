import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from pipeline.peers import FineTunedRegressor

pytestmark = pytest.mark.slow
pytest.importorskip("setfit", reason="the extra setfit is not installed")


@pytest.fixture
def regressor(tiny_encoder):
    return FineTunedRegressor(tiny_encoder, num_epochs=1, random_state=0)


def test_the_whole_encoder_learns_more_than_a_head_on_frozen_embeddings(texts, stars):
    model = FineTunedRegressor(max_length=16, learning_rate=1e-4, random_state=0)
    frozen = clone(model).set_params(num_epochs=1, learning_rate=1e-12).fit(texts, stars)
    trained = clone(model).set_params(num_epochs=10).fit(texts, stars)
    of_trained, of_frozen = (np.abs(each.predict(texts) - stars).mean() for each in (trained, frozen))
    assert of_trained < 0.8 * of_frozen


def test_the_unit_of_the_target_does_not_matter(regressor, texts, stars):
    said = clone(regressor).fit(texts, stars).predict(texts)
    percent = clone(regressor).fit(texts, 20 * np.array(stars) - 7).predict(texts)
    np.testing.assert_allclose(percent, 20 * said - 7, rtol=1e-3)


def test_each_text_is_seen_once_an_epoch(regressor, texts, stars):
    model = regressor.set_params(batch_size=5, num_epochs=2).fit(texts, stars)
    assert model.n_steps_ == 2 * 3
    assert model.coef_.shape == (16,)


def test_a_constant_target_and_a_single_text_are_learned(regressor):
    assert regressor.fit(["good", "bad"], [4, 4]).predict(["fine"]) == pytest.approx([4])
    assert regressor.fit(["good"], [2]).predict(["fine"]) == pytest.approx([2])


def test_stars_may_be_written_or_ordered(regressor, texts, stars):
    said = clone(regressor).fit(texts, stars).predict(texts)
    np.testing.assert_allclose(clone(regressor).fit(texts, [str(star) for star in stars]).predict(texts), said)
    ordered = pd.Categorical([f"{'*' * star}" for star in stars], ["*", "**", "***", "****", "*****"], ordered=True)
    np.testing.assert_allclose(clone(regressor).fit(texts, ordered).predict(texts), said)
    with pytest.raises(ValueError, match="FineTunedRegressor needs numbers as target y, got 'good'"):
        regressor.fit(["a", "b"], ["good", "bad"])

import numpy as np
import pytest
from sklearn.base import clone

from pipeline.evaluation import ExpectedStarRegressor, MedianStarRegressor, MostLikelyStarRegressor
from pipeline.experiment.fitting import fit_models, what_is_fitted
from pipeline.experiment.line import RAW_TEXT, Line
from pipeline.experiment.models import BASELINES, PEERS, family, make_model
from pipeline.experiment.named import estimator_digest
from pipeline.peers import SetFitClassifier

pytestmark = pytest.mark.slow
pytest.importorskip("setfit", reason="the extra setfit is not installed")


@pytest.fixture
def classifier(tiny_encoder):
    return SetFitClassifier(tiny_encoder, max_steps=2, random_state=0)


def test_probabilities_belong_to_the_classes_in_their_order(classifier, texts, stars):
    probabilities = classifier.fit(texts, stars).predict_proba(texts)
    assert classifier.classes_.tolist() == [1, 2, 3, 4, 5]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert classifier.predict(texts).tolist() == (1 + probabilities.argmax(axis=1)).tolist()


def test_classes_may_be_words(classifier, texts, stars):
    words = np.where(np.array(stars) > 3, "good", "bad")
    assert set(classifier.fit(texts, words).predict(texts)) <= {"good", "bad"}
    assert classifier.score(texts, words) >= 0.5


def test_training_moves_texts_of_a_class_together(tiny_encoder):
    texts = ["good food", "the good service", "good", "bad food", "the bad service", "bad"]
    model = SetFitClassifier(tiny_encoder, num_iterations=40, body_learning_rate=1e-3, random_state=0)
    model.fit(texts, [5, 5, 5, 1, 1, 1])
    cosine = np.corrcoef(model.body_.encode(texts))
    assert cosine[:3, :3].mean() > cosine[:3, 3:].mean() + 0.3
    assert model.predict(["the good good food", "bad bad"]).tolist() == [5, 1]


def test_steps_are_those_of_the_pairs_or_as_many_as_are_allowed(classifier):
    # Three texts and themselves: 4 pairs of one class, 2 of two; "oversampling" takes 4 of each.
    texts, classes = ["good food", "good service", "bad"], [5, 5, 1]
    for settings, steps in [
        ({"max_steps": -1, "batch_size": 3}, 3),
        ({"max_steps": 100, "batch_size": 4, "num_epochs": 3}, 6),
        ({"max_steps": -1, "batch_size": 4, "sampling_strategy": "undersampling"}, 1),
        ({"max_steps": -1, "batch_size": 2, "sampling_strategy": "unique"}, 3),
        ({"max_steps": 100, "batch_size": 4, "num_iterations": 2}, 3),
    ]:
        assert clone(classifier).set_params(**settings).fit(texts, classes).n_steps_ == steps, settings


def test_one_text_of_each_class_is_enough_and_one_class_is_not(classifier):
    assert classifier.fit(["good", "bad"], [5, 1]).classes_.tolist() == [1, 5]
    with pytest.raises(ValueError, match=r"SetFitClassifier needs texts of two classes at least, got only 5\.$"):
        classifier.fit(["good", "better"], [5, 5])
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        classifier.fit(["good", "bad"], [4.7, 1.2])


def test_the_head_takes_its_parameters(classifier, texts, stars):
    timid = classifier.fit(texts, stars).predict_proba(texts).max()
    bold = clone(classifier).set_params(head_params={"C": 1e4}).fit(texts, stars)
    assert bold.head_.C == 1e4
    assert bold.predict_proba(texts).max() > timid
    with pytest.raises(TypeError, match="unexpected keyword argument 'c'"):
        classifier.set_params(head_params={"c": 1}).fit(texts, stars)


def test_half_stars_are_read_as_stars(classifier, texts, stars):
    halves = np.array(stars) / 2
    expected = ExpectedStarRegressor(classifier).fit(texts, halves)
    assert ((expected.predict(texts) > 0.5) & (expected.predict(texts) < 2.5)).all()
    assert set(MostLikelyStarRegressor(classifier).fit(texts, halves).predict(texts)) <= set(halves)


def test_expected_median_and_most_likely_star_share_one_fit(classifier, texts, stars):
    models = {
        "expected": ExpectedStarRegressor(classifier),
        "median": MedianStarRegressor(classifier),
        "class": MostLikelyStarRegressor(classifier),
    }
    X = np.array(texts, dtype=object)
    fitted = {each.model: each for each in fit_models(models, (X, np.array(stars)), X, RAW_TEXT)}
    assert len({id(each.estimator.classifier_) for each in fitted.values()}) == 1
    assert len({each.fit_seconds for each in fitted.values()}) == 1
    inner = fitted["class"].estimator.classifier_
    np.testing.assert_array_equal(fitted["class"].predictions, inner.predict(X))
    np.testing.assert_allclose(fitted["expected"].predictions, inner.predict_proba(X) @ [1, 2, 3, 4, 5])


@pytest.mark.parametrize("name", ["SetFit", "SetFit tuned"])
def test_both_lines_of_a_setting_are_fitted_once(name):
    lines = [Line(RAW_TEXT, name), Line(RAW_TEXT, f"{name} (class)")]
    expected, likely = (make_model(line) for line in lines)
    assert what_is_fitted(expected) == what_is_fitted(likely)
    assert expected.classifier is not make_model(lines[0]).classifier
    assert {family(line) for line in lines} == {"baseline"}


def test_the_lines_are_no_baselines_of_every_run():
    assert set(PEERS) == {"SetFit", "SetFit (class)", "SetFit tuned", "SetFit tuned (class)"}
    assert PEERS.keys().isdisjoint(BASELINES)
    assert len({estimator_digest(make()) for make in PEERS.values()}) == 4

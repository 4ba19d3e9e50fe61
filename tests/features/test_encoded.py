import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from forward_passes import ForwardPasses
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from text_checks import check_text_transformer

from pipeline.features import AttentionPooling, SentenceEmbedding, TextStats, transform_together
from pipeline.taguchi import TMethodRegressor

ODD_TEXTS = {
    "empty": "",
    "one word": "Superb",
    "5,000 words": "We sat at a table. " * 999 + "The soup was really terrible.",
    "emoji": "😀👍🏽❤️ 😡",
    "Japanese": "味は最高。店員さんも親切でした！",
    "Chinese": "味道很好，但是服务太慢了。",
}


@pytest.fixture
def three(tiny_encoder):
    """Transformers that share the tiny encoder."""
    return {
        "embedding": SentenceEmbedding(model=tiny_encoder),
        "received": AttentionPooling("received", layer=2, model=tiny_encoder),
        "uniform": AttentionPooling("uniform", layer=0, model=tiny_encoder),
    }


class TestOddTexts:
    def test_all_three_extractors_give_finite_vectors_of_the_same_shape(self):
        texts = list(ODD_TEXTS.values())
        extractors = {"embedding": SentenceEmbedding(), "attention": AttentionPooling(layer=3), "stats": TextStats()}
        results = transform_together({name: each.fit(texts) for name, each in extractors.items()}, texts)
        n_columns = {"embedding": 384, "attention": 384, "stats": len(TextStats().get_feature_names_out())}
        for name in extractors:
            assert results[name].shape == (6, n_columns[name]), name
            assert np.isfinite(results[name]).all(), name
        # Different texts must not collapse into one vector.
        for name, vectors in results.items():
            assert len(np.unique(vectors.round(4), axis=0)) == 6, name


class TestTransformTogether:
    def test_it_gives_what_each_transformer_gives_alone(self, three, texts):
        transformers = {name: each.fit(texts) for name, each in three.items()} | {"stats": TextStats()}
        together = transform_together(transformers, texts)
        assert list(together) == list(transformers)
        for name, transformer in transformers.items():
            np.testing.assert_allclose(together[name], transformer.transform(texts), rtol=0, atol=1e-5, err_msg=name)

    @pytest.mark.parametrize("chosen", [["embedding"], ["received", "uniform"], ["embedding", "received", "uniform"]])
    def test_each_batch_passes_the_encoder_once(self, three, texts, chosen):
        fitted = {name: three[name].fit(texts) for name in chosen}
        with ForwardPasses() as passes:
            transform_together(fitted, texts)
        assert passes.count == 1  # 12 short texts are one batch

    def test_weights_of_words_are_learned_without_a_pass(self, tiny_encoder, texts, stars):
        def passes_of_fit(weights):
            pooling = AttentionPooling(weights, layer=1, cv=2, model=tiny_encoder)
            with ForwardPasses() as passes:
                pooling.fit(texts, stars)
            return passes.count

        counts = {weights: passes_of_fit(weights) for weights in ("idf", "length", "sn-ratio", "t-method", "trained")}
        assert counts == {"idf": 0, "length": 0, "sn-ratio": 0, "t-method": 1, "trained": 1}

    def test_transformers_of_different_precision_pass_apart(self, tiny_encoder, texts):
        precisions = ("float32", "bfloat16")
        fitted = {each: SentenceEmbedding(tiny_encoder, precision=each).fit(texts) for each in precisions}
        results = transform_together(fitted, texts)
        for each in precisions:
            np.testing.assert_array_equal(results[each], fitted[each].transform(texts))
        difference = np.abs(results["float32"] - results["bfloat16"]).max()
        assert 1e-5 < difference < 0.2 * np.abs(results["float32"]).max()

    def test_nothing_asked_for_gives_nothing(self, texts):
        assert transform_together({}, texts) == {}


class TestScikitLearn:
    @pytest.mark.filterwarnings("ignore:Can't test estimator")
    @pytest.mark.parametrize("make", [TextStats, SentenceEmbedding, lambda: AttentionPooling("cls", layer=2)])
    def test_contract(self, make, tiny_encoder):
        estimator = make()
        if "model" in estimator.get_params():
            estimator.set_params(model=tiny_encoder)
        check_text_transformer(estimator)

    def test_clone_keeps_the_parameters_and_forgets_the_fit(self, three, texts):
        for transformer in three.values():
            copy = clone(transformer.fit(texts))
            assert copy.get_params() == transformer.get_params()
            with pytest.raises(NotFittedError):
                copy.transform(texts)

    def test_a_pickle_is_small_and_gives_the_same_vectors(self, three, texts):
        for transformer in three.values():
            content = pickle.dumps(transformer.fit(texts))
            assert len(content) < 2000
            np.testing.assert_array_equal(pickle.loads(content).transform(texts), transformer.transform(texts))

    def test_pickles_of_the_bundled_model_hold_no_weights(self, texts):
        for transformer in (SentenceEmbedding(), AttentionPooling()):
            assert len(pickle.dumps(transformer.fit(texts))) < 2000
            assert not [value for value in vars(transformer).values() if not isinstance(value, str | int | None)]

    def test_pandas_output_has_the_names_and_the_index_of_the_given_series(self, three, texts):
        series = pd.Series(texts, index=[f"review-{i}" for i in range(12)])
        for transformer in three.values():
            prefix = type(transformer).__name__.lower()
            names = [f"{prefix}{i}" for i in range(16)]
            table = transformer.set_output(transform="pandas").fit_transform(series)
            assert table.columns.tolist() == names == transformer.get_feature_names_out().tolist()
            assert table.index.tolist() == series.index.tolist()
            np.testing.assert_array_equal(table.to_numpy(), clone(transformer).fit(texts).transform(texts))

    @pytest.mark.parametrize("kind", [tuple, np.array, pd.Series, lambda texts: pd.DataFrame({"text": texts})])
    def test_any_sequence_of_texts_will_do_and_is_not_changed(self, three, texts, kind):
        given = kind(texts)
        for transformer in three.values():
            np.testing.assert_array_equal(
                transformer.fit_transform(given), clone(transformer).fit(texts).transform(texts)
            )
        assert np.asarray(given).ravel().tolist() == texts

    def test_grid_search_over_layer_and_weights(self, tiny_encoder, texts, stars):
        search = GridSearchCV(
            Pipeline([("pool", AttentionPooling(model=tiny_encoder)), ("ridge", Ridge())]),
            {"pool__layer": [1, 2, 3], "pool__weights": ["uniform", "received", "cls"], "ridge__alpha": [1.0]},
            cv=3,
            scoring="neg_mean_absolute_error",
            error_score="raise",
        ).fit(texts, stars)
        scores = search.cv_results_["mean_test_score"]
        assert len(set(scores.round(9))) == 9
        best = AttentionPooling(
            search.best_params_["pool__weights"], search.best_params_["pool__layer"], model=tiny_encoder
        )
        expected = Pipeline([("pool", best), ("ridge", Ridge())]).fit(texts, stars).predict(["Good food"])
        np.testing.assert_allclose(search.predict(["Good food"]), expected)

    def test_a_t_method_on_texts_in_one_pipeline(self, tiny_encoder, texts, stars):
        model = Pipeline([("pool", AttentionPooling(model=tiny_encoder)), ("t", TMethodRegressor())])
        predictions = model.fit(texts, stars).predict(texts)
        assert np.corrcoef(predictions, stars)[0, 1] > 0


class TestErrors:
    @pytest.mark.parametrize(
        ("layer", "weights", "message"),
        [
            (4, "received", "Got layer=4 with weights='received', but the encoder has the layers 1 to 3"),
            (0, "cls", "Got layer=0 with weights='cls', but the encoder has the layers 1 to 3"),
            (-5, "uniform", "Got layer=-5 with weights='uniform', but the encoder has the layers 0 to 3"),
        ],
    )
    def test_a_layer_that_the_encoder_does_not_have_is_refused_by_fit(
        self, tiny_encoder, texts, layer, weights, message
    ):
        with pytest.raises(ValueError, match=message):
            AttentionPooling(weights, layer, model=tiny_encoder).fit(texts)

    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"weights": "max"}, "'weights' parameter of AttentionPooling must be a str among"),
            ({"layer": 1.5}, "'layer' parameter of AttentionPooling must be an instance of 'int'"),
            ({"n_heads": 0}, r"'n_heads' parameter of AttentionPooling must be None or an int in the range \[1, inf\)"),
            ({"cv": 1}, r"'cv' parameter of AttentionPooling must be an int in the range \[2, inf\)"),
            ({"backend": "onnx"}, "'backend' parameter of AttentionPooling must be a str among"),
            ({"precision": "int4"}, "'precision' parameter of AttentionPooling must be a str among"),
            ({"backend": "torch", "precision": "int8"}, "Got precision 'int8', expected one of float32, bfloat16, "),
            ({"backend": "openvino", "precision": "float16"}, "Got precision 'float16', expected one of float32"),
            ({"model": None}, "'model' parameter of AttentionPooling must be an instance of 'str'"),
        ],
    )
    def test_a_wrong_parameter_is_refused_by_fit_and_shown(self, texts, parameters, message):
        with pytest.raises(ValueError, match=message):
            AttentionPooling(**parameters).fit(texts)

    def test_a_single_string_is_refused(self, three):
        for transformer in three.values():
            with pytest.raises(ValueError, match="single string 'Great!': put it into a list"):
                transformer.fit("Great!")

    def test_a_missing_text_is_refused_with_its_position(self, three, texts):
        for transformer in three.values():
            with pytest.raises(ValueError, match=r"Expected str, got float \(nan\) at position 12"):
                transformer.fit(texts).transform([*texts, float("nan")])

    def test_a_model_that_is_not_to_be_had_is_refused_by_fit(self, texts, tmp_path):
        with pytest.raises(OSError, match="use model='bundled' or the path of a directory"):
            SentenceEmbedding(model=str(Path(tmp_path, "not", "there"))).fit(texts)

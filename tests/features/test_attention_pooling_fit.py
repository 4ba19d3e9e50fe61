"""Attention pooling as a scikit-learn transformer: in the features stage, in files, in searches, and its errors."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from pooling_cases import ALL, FROM_THE_TARGET, N_HEADS, REVIEWS, STARS, make_reviews
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from text_checks import check_text_transformer

from pipeline.experiment.columns import fit_transform
from pipeline.features import AttentionPooling, TextStats


class TestFeaturize:
    @pytest.mark.slow
    def test_the_stage_gives_fit_transform_for_training_and_transform_for_the_others(
        self, tiny_encoder: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        # Some texts stand on both sides, and twice: each copy has what is learned for its own fold.
        texts = [*REVIEWS, *REVIEWS[:5], *make_reviews(15, seed=1)[0]]
        stars = np.concatenate([STARS, STARS[:5], make_reviews(15, seed=1)[1]])
        train = np.random.default_rng(0).permutation(np.arange(60) < 45)
        reviews = pd.DataFrame(
            {
                "review_id": [str(i) for i in range(60)],
                "text": texts,
                "stars": stars,
                "split": np.where(train, "train", "test"),
            }
        )

        def make() -> dict[str, Any]:
            return {each: AttentionPooling(each, 2, cv=3, model=tiny_encoder) for each in ALL} | {"stats": TextStats()}

        with caplog.at_level("INFO", logger="pipeline"):
            tables, _ = fit_transform(make(), reviews, tmp_path / "shards", tmp_path / "tokens")
        (line,) = [each for each in caplog.messages if each.startswith("encoder: ")]
        backend = AttentionPooling(model=tiny_encoder).make_backend()
        assert line.startswith(f"encoder: {backend.name} float32")
        assert ("precision: int8 (1.9 times)" in line) is (backend.name == "openvino")
        for name, transformer in make().items():
            columns = tables[name].drop(columns="review_id")
            assert columns.columns.tolist() == transformer.fit([""] * 3, [1, 2, 3]).get_feature_names_out().tolist()
            is_train = [text for text, inside in zip(texts, train, strict=True) if inside]
            alone = transformer.fit_transform(is_train, stars[train])
            # The record of token states, from which weights are learned and states pooled, has half precision.
            atol = 2e-2 if name == "trained" else 5e-3 if name in FROM_THE_TARGET or name in ("idf", "length") else 2e-5
            np.testing.assert_allclose(columns[train], alone, rtol=0, atol=atol, err_msg=name)
            others = transformer.transform([text for text, inside in zip(texts, train, strict=True) if not inside])
            np.testing.assert_allclose(columns[~train], others, rtol=0, atol=atol, err_msg=name)

    @pytest.mark.parametrize("weights", ALL)
    def test_skops_keeps_the_fit(
        self, fitted: dict[str, AttentionPooling], weights: str, tmp_path: Path, texts: list[str]
    ) -> None:
        path = tmp_path / "transformer.skops"
        skops.io.dump(fitted[weights], path)
        untrusted = skops.io.get_untrusted_types(file=path)
        assert untrusted == ["pipeline.features.attention_pooling.AttentionPooling"]
        loaded = skops.io.load(path, trusted=untrusted)
        np.testing.assert_array_equal(loaded.transform(texts), fitted[weights].transform(texts))
        pd.testing.assert_frame_equal(loaded.explain(texts[0]), fitted[weights].explain(texts[0]))

    @pytest.mark.slow
    def test_skops_keeps_the_texts_that_calibrate_int8(
        self, tiny_encoder: str, tmp_path: Path, texts: list[str]
    ) -> None:
        pytest.importorskip("nncf")
        pooling = AttentionPooling("uniform", 2, model=tiny_encoder, backend="openvino", precision="int8")
        before = pooling.fit(texts).transform(texts)
        assert pooling.calibration_ == texts
        path = tmp_path / "transformer.skops"
        skops.io.dump(pooling, path)
        loaded = skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))
        assert loaded.make_backend() == pooling.make_backend()
        np.testing.assert_array_equal(loaded.transform(texts), before)
        pooling.set_params(backend="torch", precision="float32").fit(texts)
        assert not hasattr(pooling, "calibration_")

    def test_three_hundred_texts_from_all_over_the_training_texts_calibrate_int8(self, tiny_encoder: str) -> None:
        pytest.importorskip("nncf")
        pooling = AttentionPooling("uniform", 0, model=tiny_encoder, backend="openvino", precision="int8")
        assert pooling.fit([str(i) for i in range(1000)]).calibration_ == [str(i * 999 // 299) for i in range(300)]
        # Of fewer texts all do.
        assert pooling.fit(["c", "a", "b"]).calibration_ == ["c", "a", "b"]


class TestScikitLearn:
    @pytest.mark.filterwarnings("ignore:Can't test estimator")
    @pytest.mark.parametrize("weights", ALL)
    def test_contract(self, weights: str, tiny_encoder: str) -> None:
        estimator = AttentionPooling(weights, layer=2, model=tiny_encoder)
        check_text_transformer(estimator)

    def test_the_target_is_required_where_it_is_learned_from(self) -> None:
        required = {weights for weights in ALL if AttentionPooling(weights).__sklearn_tags__().target_tags.required}
        assert required == set(FROM_THE_TARGET)

    @pytest.mark.parametrize("weights", ALL)
    def test_clone_pickle_and_pandas(self, fitted: dict[str, AttentionPooling], weights: str) -> None:
        pooling = fitted[weights]
        copy = clone(pooling)
        assert copy.get_params() == pooling.get_params()
        with pytest.raises(NotFittedError):
            copy.transform(["good"])
        content = pickle.dumps(pooling)
        assert len(content) < 5000
        np.testing.assert_array_equal(pickle.loads(content).transform(REVIEWS), pooling.transform(REVIEWS))
        table = copy.set_output(transform="pandas").fit_transform(pd.Series(REVIEWS, index=range(7, 47)), STARS)
        n_columns = 16 * N_HEADS[weights]
        assert table.columns.tolist() == [f"attentionpooling{i}" for i in range(n_columns)]
        assert table.columns.tolist() == copy.get_feature_names_out().tolist()
        assert table.index.tolist() == list(range(7, 47))

    @pytest.mark.parametrize(
        ("weights", "n_heads"), [("sn-ratio", 1), ("sn-ratio", 2), ("t-method", 1), ("trained", 1), ("trained", 3)]
    )
    def test_each_head_has_its_dimensions(self, tiny_encoder: str, weights: str, n_heads: int) -> None:
        pooling = AttentionPooling(weights, 1, n_heads, cv=2, model=tiny_encoder)
        assert pooling.fit_transform(REVIEWS, STARS).shape == (40, 16 * n_heads)
        assert pooling.query_.shape == (16, n_heads)
        assert pooling.transform([]).shape == (0, 16 * n_heads)

    def test_grid_search_over_weights(self, tiny_encoder: str) -> None:
        steps = [("pool", AttentionPooling(layer=1, cv=2, model=tiny_encoder)), ("ridge", Ridge())]
        search = GridSearchCV(Pipeline(steps), {"pool__weights": ALL}, cv=2, error_score="raise")
        search.fit(REVIEWS, STARS)
        assert len(set(search.cv_results_["mean_test_score"].round(9))) == len(ALL)
        best = clone(search.best_estimator_).fit(REVIEWS, STARS)
        np.testing.assert_allclose(search.predict(["good food"]), best.predict(["good food"]))

    @pytest.mark.slow
    def test_a_fit_with_other_weights_forgets_the_one_before(self, tiny_encoder: str) -> None:
        of_all = {"query_", "log_weights_"}
        of = dict.fromkeys(["idf", "length", "trained"], of_all) | {
            "sn-ratio": of_all | {"sn_ratio_", "shift_"},
            "t-method": of_all | {"temperature_", "sn_ratio_", "coef_", "center_"},
        }
        learned = of["sn-ratio"] | of["t-method"]
        pooling = AttentionPooling(layer=1, cv=2, model=tiny_encoder)
        for weights in [*ALL[::-1], *ALL, "t-method", "sn-ratio"]:
            pooling.set_params(weights=weights).fit(REVIEWS, STARS)
            assert {name for name in vars(pooling) if name in learned} == of.get(weights, set())
            fresh = clone(pooling).fit(REVIEWS, STARS)
            np.testing.assert_array_equal(pooling.transform(REVIEWS), fresh.transform(REVIEWS))

    def test_other_weights_than_those_fitted_have_to_be_fitted_first(self, tiny_encoder: str) -> None:
        pooling = AttentionPooling("uniform", model=tiny_encoder).fit(REVIEWS).set_params(weights="idf")
        with pytest.raises(NotFittedError, match="not fitted yet"):
            pooling.transform(REVIEWS)

    def test_inputs_are_not_changed(self, tiny_encoder: str) -> None:
        texts, stars = np.array(REVIEWS, dtype=object), STARS.astype(np.float64)
        AttentionPooling("t-method", 1, cv=2, model=tiny_encoder).fit_transform(texts, stars)
        assert texts.tolist() == REVIEWS
        assert (stars == STARS).all()

    @pytest.mark.parametrize("weights", FROM_THE_TARGET)
    def test_stars_may_be_floats(self, fitted: dict[str, AttentionPooling], weights: str) -> None:
        as_floats = clone(fitted[weights]).fit_transform(REVIEWS, pd.Series(STARS.astype(np.float32)))
        np.testing.assert_array_equal(as_floats, clone(fitted[weights]).fit_transform(REVIEWS, STARS))
        halves = clone(fitted[weights]).fit_transform(REVIEWS, STARS + np.arange(40) % 2 / 2)
        assert np.isfinite(halves).all()


class TestErrors:
    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"weights": "sn-ratio", "n_heads": 4}, "Got n_heads=4 with weights='sn-ratio', which has at most 3."),
            ({"weights": "t-method", "n_heads": 3}, "Got n_heads=3 with weights='t-method', which has at most 2."),
            ({"weights": "uniform", "n_heads": 2}, "Got n_heads=2 with weights='uniform', which has at most 1."),
            *(
                (
                    {"weights": weights, "layer": 4},
                    f"Got layer=4 with weights={weights!r}, but the encoder has the layers {lowest} to 3.",
                )
                for weights, lowest in zip(ALL, [0, 1, 1, 0, 0, 0, 0, 0], strict=True)
            ),
            (
                {"weights": "cls", "layer": -4},
                "Got layer=-4 with weights='cls', but the encoder has the layers 1 to 3.",
            ),
            (
                {"weights": "t-method", "cv": 41},
                "Got cv=41 folds but only 40 texts: give more texts or a smaller cv.",
            ),
        ],
    )
    def test_parameters(self, tiny_encoder: str, parameters: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError) as error:  # noqa: PT011 - compared in full
            AttentionPooling(model=tiny_encoder).set_params(**parameters).fit(REVIEWS, STARS)
        assert str(error.value) == message

    @pytest.mark.parametrize("weights", FROM_THE_TARGET)
    @pytest.mark.parametrize(
        ("y", "message"),
        [
            (None, "AttentionPooling requires y to be passed, but the target y is None."),
            ([3] * 40, "The target y is constant (3): there is nothing to learn."),
            (STARS[:39], "Found input variables with inconsistent numbers of samples: [40, 39]"),
            (np.column_stack([STARS, STARS]), "The target y must be one column, got shape (40, 2)."),
            ([np.nan, *STARS[1:]], "Input y contains NaN."),
        ],
    )
    def test_targets(self, tiny_encoder: str, weights: str, y: Any, message: str) -> None:
        for method in ("fit", "fit_transform"):
            with pytest.raises(ValueError) as error:  # noqa: PT011 - compared in full
                getattr(AttentionPooling(weights, model=tiny_encoder), method)(REVIEWS, y)
            assert str(error.value) == message

    @pytest.mark.parametrize("weights", ["sn-ratio", "t-method"])
    def test_labels_without_an_order(self, tiny_encoder: str, weights: str) -> None:
        message = (
            "^AttentionPooling needs numbers as target y, got 'bad' at position 0: give the stars of the labels, or"
        )
        with pytest.raises(ValueError, match=message):
            AttentionPooling(weights, model=tiny_encoder).fit(REVIEWS, np.where(STARS[0] < STARS, "good", "bad"))

    @pytest.mark.parametrize("weights", ALL)
    def test_texts(self, fitted: dict[str, AttentionPooling], weights: str) -> None:
        with pytest.raises(ValueError, match="single string 'Great!': put it into a list"):
            clone(fitted[weights]).fit("Great!", [1])
        with pytest.raises(ValueError, match=r"Expected str, got NoneType \(None\) at position 1"):
            fitted[weights].transform(["good", None])


class TestLabels:
    @pytest.mark.parametrize("weights", FROM_THE_TARGET)
    def test_an_order_counts_as_numbers(self, tiny_encoder: str, weights: str) -> None:
        expected = AttentionPooling(weights, 2, cv=2, model=tiny_encoder).fit_transform(REVIEWS, STARS)
        for labels in (STARS.astype(int).astype(str), pd.Categorical(STARS, ordered=True)):
            pooling = AttentionPooling(weights, 2, cv=2, model=tiny_encoder)
            np.testing.assert_array_equal(pooling.fit_transform(REVIEWS, labels), expected)
        with pytest.warns(DataConversionWarning, match="A column-vector y was passed"):
            column = AttentionPooling(weights, 2, cv=2, model=tiny_encoder).fit_transform(REVIEWS, STARS[:, None])
        np.testing.assert_array_equal(column, expected)

    def test_trained_takes_any_classes(self, tiny_encoder: str) -> None:
        good = STARS > 3
        by_number, by_label = (
            AttentionPooling("trained", 2, cv=2, model=tiny_encoder).fit_transform(REVIEWS, y)
            for y in (good, np.where(good, "good", "bad"))
        )
        np.testing.assert_array_equal(by_number, by_label)

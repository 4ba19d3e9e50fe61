import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.encoder import load_encoder
from pipeline.features import RTMetrics
from pipeline.features.rt_metrics import _token_means
from pipeline.taguchi.rt import rt_variables

vectors = arrays(np.float64, (4, 5), elements=st.floats(-10, 10, width=16))


class TestVariables:
    @given(vectors, vectors)
    def test_they_are_the_formula_row_by_row(self, X, means):
        for m in means:
            Y = rt_variables(X, m)
            for x, (y1, y2) in zip(X, Y, strict=True):
                beta = x @ m / (m @ m) if m.any() else 0
                assert y1 == pytest.approx(beta, rel=1e-9, abs=1e-9)
                assert y2**2 == pytest.approx(((x - beta * m) ** 2).sum() / 4, rel=1e-9, abs=1e-9)

    def test_the_mean_vector_itself_has_sensitivity_1_and_no_error(self):
        x = np.array([[3.0, 4.0, 0.0]])
        np.testing.assert_allclose(rt_variables(x, x[0]), [[1, 0]], atol=1e-9)
        np.testing.assert_allclose(rt_variables(x, np.zeros(3)), [[0, (25 / 2) ** 0.5]])

    def test_a_small_error_is_not_lost_beside_a_large_pattern(self):
        m = np.array([1001.0, 1002, 1003])
        ((_, y2),) = rt_variables((1.1 * m + [1e-5, -1e-5, 0])[None], m)
        assert y2 == pytest.approx(1e-5, rel=1e-3)


class TestTokenMeans:
    def test_it_is_the_mean_of_the_tables_rows_of_distinct_tokens(self, tiny_encoder):
        encoder = load_encoder(tiny_encoder)
        table = encoder[0].auto_model.get_input_embeddings().weight.detach().numpy()
        good, food, bad = (encoder.tokenizer.vocab[word] for word in ("good", "food", "bad"))
        means = _token_means(encoder, ["Good food", "good good food", "", "bad"])
        assert means.dtype == np.float32
        np.testing.assert_allclose(
            means, [table[[good, food]].mean(axis=0)] * 2 + [np.zeros(16), table[bad]], rtol=0, atol=1e-6
        )

    def test_long_texts_are_read_to_their_end(self, tiny_encoder):
        encoder = load_encoder(tiny_encoder)
        one, other = _token_means(encoder, ["food " * 500 + "good", "food good"])
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)

    def test_no_layer_is_computed(self, tiny_encoder, texts, stars):
        encoder = load_encoder(tiny_encoder)

        def fail(*_):
            pytest.fail("a layer was computed")

        handle = encoder[0].auto_model.encoder.register_forward_pre_hook(fail)
        try:
            RTMetrics(model=tiny_encoder).fit(texts, stars).transform(texts)
        finally:
            handle.remove()


class TestRTMetrics:
    def test_columns_from_the_definition(self, tiny_encoder, texts, stars):
        metrics = RTMetrics(model=tiny_encoder).fit(texts, stars)
        vectors = _token_means(load_encoder(tiny_encoder), texts).astype(float)
        standardised = (vectors - vectors.mean(axis=0)) / vectors.std(axis=0)
        means = np.array([standardised[np.array(stars) == star].mean(axis=0) for star in range(1, 6)])
        np.testing.assert_allclose(metrics.metrics_.means, means, atol=1e-6)
        columns = metrics.transform(texts)
        pairs = [rt_variables(standardised, mean) for mean in means]
        expected = [pair[:, k] for k in (0, 1) for pair in pairs]
        np.testing.assert_allclose(columns, np.column_stack(expected), atol=1e-4)
        assert metrics.get_feature_names_out().tolist() == [
            *(f"sensitivity_{star}" for star in range(1, 6)),
            *(f"error_{star}" for star in range(1, 6)),
        ]

    def test_the_mean_sensitivity_of_a_stars_own_texts_is_1(self, tiny_encoder, texts, stars):
        columns = RTMetrics(model=tiny_encoder).fit(texts, stars).transform(texts)
        of_the_star = [columns[np.array(stars) == star, star - 1].mean() for star in range(1, 6)]
        np.testing.assert_allclose(of_the_star, 1, atol=1e-6)

    def test_a_text_without_a_token_gives_zeros(self, tiny_encoder, texts, stars):
        metrics = RTMetrics(model=tiny_encoder).fit([*texts, ""], [*stars, 3])
        np.testing.assert_array_equal(metrics.transform(["", " \n"]), np.zeros((2, 10)))
        nothing = RTMetrics(model=tiny_encoder, cv=2).fit_transform(["", " ", ""], [1, 2, 2])
        np.testing.assert_array_equal(nothing, np.zeros((3, 4)))

    def test_half_stars_have_unit_spaces_too(self, tiny_encoder, texts, stars):
        halves, whole = (RTMetrics(model=tiny_encoder).fit(texts, np.array(stars) / n) for n in (2, 1))
        assert halves.get_feature_names_out()[:3].tolist() == ["sensitivity_0.5", "sensitivity_1", "sensitivity_1.5"]
        np.testing.assert_array_equal(halves.transform(texts), whole.transform(texts))

    def test_stars_are_whole_numbers_or_a_scale(self, tiny_encoder, texts):
        message = "must hold whole numbers, or a scale of at most 21 values, got 24 values such as 0.5."
        with pytest.raises(ValueError, match=message):
            RTMetrics(model=tiny_encoder).fit(texts * 2, np.arange(24) / 2)
        metrics = RTMetrics(model=tiny_encoder).fit(texts[:3], [1, 2.5, 3])
        assert metrics.get_feature_names_out()[:3].tolist() == ["sensitivity_1", "sensitivity_2.5", "sensitivity_3"]

    def test_labels_need_no_order(self, tiny_encoder, texts, stars):
        good = np.array(stars) > 3
        labels = np.where(good, "good", "bad")
        expected = RTMetrics(model=tiny_encoder, cv=3).fit_transform(texts, good)
        for kind in (list, np.array, pd.Series, pd.Categorical):
            metrics = RTMetrics(model=tiny_encoder, cv=3)
            np.testing.assert_array_equal(metrics.fit_transform(texts, kind(labels)), expected)
            assert metrics.stars_.tolist() == ["bad", "good"]
            assert metrics.get_feature_names_out().tolist()[::2] == ["sensitivity_bad", "error_bad"]
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(metrics)).transform(texts), metrics.transform(texts))

    def test_a_model_that_is_not_to_be_had(self, texts, stars, tmp_path):
        with pytest.raises(OSError, match="use model='bundled' or the path of a directory"):
            RTMetrics(model=str(tmp_path / "none")).fit(texts, stars)

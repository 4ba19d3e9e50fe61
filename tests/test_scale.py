"""The scale of the stars: what it says of itself, and what a prediction is nearest to."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.scale import FIVE_STARS, MAX_VALUES, Scale

SCALES = [Scale(1, 5), Scale(0, 4), Scale(0, 10), Scale(1, 10), Scale(1, 5, 0.5), Scale(0, 100, 5), Scale(-1, 1, 0.1)]
scales = st.builds(
    lambda low, step, n: Scale(low, low + step * n, step),
    st.integers(-1000, 1000),
    st.sampled_from([0.25, 0.5, 1, 2, 5]),
    st.integers(1, MAX_VALUES - 1),
)
predictions = arrays(np.float64, st.integers(1, 30), elements=st.floats(-2000, 2000))


class TestWritten:
    @pytest.mark.parametrize("scale", [*SCALES, Scale(1000001, 1000003), Scale(0, 0.00002, 0.00001)])
    def test_it_is_read_as_it_is_written(self, scale):
        assert Scale.parse(scale.written) == scale

    @given(scales)
    def test_any_scale_is_read_as_it_is_written(self, scale):
        assert Scale.parse(scale.written) == scale

    def test_in_words(self):
        assert [str(scale) for scale in SCALES[:5]] == [
            "1 to 5",
            "0 to 4",
            "0 to 10",
            "1 to 10",
            "1 to 5 in steps of 0.5",
        ]
        assert str(Scale(1000001, 1000003)) == "1000001 to 1000003"

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("1-5", "'1-5' is no scale: give it as LOW..HIGH"),
            ("5..1", "The scale 5..1 has no two values in ascending order"),
            ("1..1", "The scale 1..1 has no two values in ascending order"),
            ("1..5 step 0", "The scale 1..5 step 0 has no two values"),
            ("1..5 step 0.7", "The scale 1..5 step 0.7 does not reach its highest value in whole steps"),
            ("0..100", "The scale 0..100 has 101 values, at most 21 are possible"),
        ],
    )
    def test_what_is_no_scale_is_refused_in_one_line(self, text, message):
        with pytest.raises(ValueError, match=message) as caught:
            Scale.parse(text)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("ends", [(np.nan, 5), (1, np.inf)])
    def test_ends_are_numbers(self, ends):
        with pytest.raises(ValueError, match="no two values in ascending order"):
            Scale(*ends)

    @pytest.mark.parametrize("scale", SCALES)
    def test_it_survives_pickling(self, scale):
        assert len(scale.values) > 1
        again = pickle.loads(pickle.dumps(scale))
        assert again == scale
        assert again.values.tolist() == scale.values.tolist()


class TestValues:
    def test_they_are_the_numbers_that_a_user_types(self):
        assert Scale(1, 3, 0.1).values.tolist() == [float(f"{1 + i // 10}.{i % 10}") for i in range(21)]
        assert Scale(1, 5).values.dtype == np.float64
        assert [scale.is_whole for scale in SCALES] == [True, True, True, True, False, True, False]

    @given(scales)
    def test_each_stands_at_its_position_and_on_the_scale(self, scale):
        assert scale.position(scale.values).tolist() == list(range(len(scale.values)))
        assert scale.contains(scale.values).all()
        np.testing.assert_array_equal(scale.check(scale.values), scale.values)

    @pytest.mark.parametrize("scale", SCALES)
    def test_what_lies_outside_or_between_is_no_star(self, scale):
        wrong = [scale.low - scale.step, scale.high + scale.step, scale.low + 0.4 * scale.step, np.nan, np.inf]
        assert not scale.contains(wrong).any()
        for star in wrong:
            with pytest.raises(ValueError, match=r"^y_true holds .* at position 1, which is no value of the scale"):
                scale.check([scale.low, star], "y_true")

    def test_stars_of_single_precision_are_stars(self):
        assert Scale(0, 2, 0.1).check(np.array([0.1, 0.7, 1.9], dtype=np.float32)).tolist() == [0.1, 0.7, 1.9]


class TestNearest:
    @given(scales, predictions)
    def test_the_rounded_star_is_the_nearest(self, scale, predictions):
        rounded = scale.round(predictions)
        distance = np.abs(scale.clip(predictions)[:, None] - scale.values)
        np.testing.assert_allclose(np.abs(scale.clip(predictions) - rounded), distance.min(axis=1), atol=1e-9)
        np.testing.assert_array_equal(scale.round(rounded), rounded)
        np.testing.assert_array_equal(scale.values[scale.position(predictions)], rounded)
        assert scale.contains(rounded).all()

    @given(arrays(np.float64, st.integers(1, 30), elements=st.floats(-9, 9)))
    def test_on_five_stars_it_is_what_adding_a_half_gives(self, predictions):
        np.testing.assert_array_equal(FIVE_STARS.round(predictions), np.floor(np.clip(predictions, 1, 5) + 0.5))

    def test_halves_go_up_on_every_scale(self):
        for scale in [*SCALES, Scale(1, 3, 0.1), Scale(0, 1, 0.05)]:
            middles = [round(low + scale.step / 2, 6) for low in scale.values[:-1].tolist()]
            assert scale.round(middles).tolist() == scale.values[1:].tolist()

    @pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("method", ["round", "position", "clip"])
    def test_what_is_no_number_is_near_to_no_star(self, method, wrong):
        with pytest.raises(ValueError, match=r"^The predictions must be finite numbers, got -?(nan|inf) at position 1"):
            getattr(FIVE_STARS, method)([3.0, wrong])


class TestConversion:
    @given(scales, scales)
    def test_ends_meet_ends_and_back_again(self, a, b):
        assert a.convert([a.low, a.high], b) == pytest.approx([b.low, b.high])
        np.testing.assert_allclose(b.convert(a.convert(a.values, b), a), a.values, rtol=1e-9, atol=1e-6)

    def test_equal_scales_change_no_digit(self):
        predictions = np.random.default_rng(0).normal(3, 2, 100)
        np.testing.assert_array_equal(FIVE_STARS.convert(predictions, Scale(1, 5)), predictions)


def test_a_pickle_is_the_same_before_and_after_its_values_were_asked_for():
    """Digests of settings are taken from it."""
    scale = Scale(1, 5, 0.5)
    before = pickle.dumps(scale)
    assert len(scale.values) == 9
    assert pickle.dumps(scale) == before
    assert pickle.loads(before) == scale

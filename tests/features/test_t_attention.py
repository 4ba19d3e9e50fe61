"""T-attention: sums over tokens, the query and the S/N ratios of words that they give."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import VOCABULARY

from pipeline.deal import deal_folds
from pipeline.encoder import Backend, load_encoder, token_batches
from pipeline.features.t_attention import (
    _TAttention,
    _TokenSums,
    choose_temperature,
    learn,
    pooling,
    token_sums,
    word_pooling,
    word_sn_ratios,
    word_sums,
)
from pipeline.features.word_sums import distances
from pipeline.taguchi import TMethodRegressor

LAYER = 1
Array = npt.NDArray[Any]


def make_reviews(n: int) -> tuple[list[str], Array]:
    """Texts of a few words that the tiny encoder knows; the more stars, the more often good and the less often bad."""
    rng = np.random.default_rng(3)
    words = ["the", "food", "service", "was", "never", "good", "bad", "a", "."]
    stars = rng.integers(1, 6, n).astype(np.float64)
    chances = [np.array([1, 1, 1, 1, 1, star, 6 - star, 1, 1]) for star in stars]
    return [" ".join(rng.choice(words, rng.integers(3, 9), p=p / p.sum())) for p in chances], stars


TEXTS, STARS = make_reviews(60)


def sums_of(tiny_encoder: str, y: Array, folds: Array | None = None) -> list[_TokenSums]:
    folds = np.zeros(len(y), dtype=np.intp) if folds is None else folds
    return token_sums(load_encoder(tiny_encoder), TEXTS, y, folds, int(folds.max()) + 1, LAYER, Backend())


def tokens_of(tiny_encoder: str) -> tuple[list[list[int]], list[Array]]:
    """Ids and states of every text, one text at a time."""
    ids, states = [], []
    for text in TEXTS:
        (batch,) = token_batches(load_encoder(tiny_encoder), [text], layers=[LAYER])
        ids.append(batch.ids[0].tolist())
        states.append(batch.states[LAYER][0].numpy())
    return ids, states


def made_up_sums(y: Array, has: Array) -> _TokenSums:
    """The sums of texts that have some words and no states."""
    targets = distances(y, y.min(), y.max())
    return _TokenSums(0, len(y), has.sum(axis=0), has.T @ targets, targets.sum(axis=0), (targets**2).sum(axis=0))


def of_all_points(sums: _TokenSums) -> Array:
    """The S/N ratio of each word, added up over the points of the scale."""
    return word_sn_ratios(sums)[1].sum(axis=1)


def naive_sn_ratio(targets: list[float], has: list[bool]) -> tuple[float, float]:
    """Shift and S/N ratio of a word, text by text."""
    mean = sum(targets) / len(targets)
    variance = sum((each - mean) ** 2 for each in targets) / len(targets)
    df = sum(has)
    d = sum(each - mean for each, inside in zip(targets, has, strict=True) if inside) / (df + 10)
    return d, max(d**2 - variance * df / (df + 10) ** 2, 0) / variance


def assert_same(a: _TAttention, b: _TAttention, rtol: float) -> None:
    scale = np.abs(b.coef / b.error).max()
    np.testing.assert_allclose(a.coef / a.error, b.coef / b.error, rtol=rtol, atol=rtol * scale)
    np.testing.assert_allclose(a.sn_ratio, b.sn_ratio, rtol=rtol, atol=rtol * b.sn_ratio.max())
    np.testing.assert_allclose(a.center, b.center, rtol=rtol, atol=rtol)


class TestSums:
    @settings(max_examples=15)
    @given(st.lists(st.integers(0, 3), min_size=60, max_size=60))
    def test_any_split_into_groups_adds_up_to_the_same(self, tiny_encoder: str, groups: list[int]) -> None:
        whole = learn(sums_of(tiny_encoder, STARS)[0])
        parts = sums_of(tiny_encoder, STARS, np.array(groups))
        assert_same(learn(sum(parts)), whole, rtol=1e-5)  # type: ignore[arg-type]
        assert_same(learn(sum(parts[::-1])), whole, rtol=1e-5)  # type: ignore[arg-type]

    def test_a_group_has_the_sums_of_its_own_texts(self, tiny_encoder: str) -> None:
        folds = deal_folds(STARS, 3, 0)
        for fold, sums in enumerate(sums_of(tiny_encoder, STARS, folds)):
            texts = [text for text, inside in zip(TEXTS, folds == fold, strict=True) if inside]
            # The ends of the scale, from which distances are measured, are those of all texts.
            y = STARS[folds == fold]
            assert (y.min(), y.max()) == (STARS.min(), STARS.max())
            alone = token_sums(
                load_encoder(tiny_encoder), texts, y, np.zeros(len(y), dtype=np.intp), 1, LAYER, Backend()
            )[0]
            np.testing.assert_array_equal(sums.document_frequency, alone.document_frequency)
            np.testing.assert_allclose(sums.totals, alone.totals, rtol=1e-12)
            assert sums.n_texts == alone.n_texts == len(y)
            assert_same(learn(sums), learn(alone), rtol=1e-5)

    def test_those_of_the_other_folds_do_not_know_the_star_of_a_text(self, tiny_encoder: str) -> None:
        folds, other = deal_folds(STARS, 3, 0), STARS.copy()
        row = int(np.flatnonzero(STARS == 2)[0])
        other[row] = 4
        before, after = sums_of(tiny_encoder, STARS, folds), sums_of(tiny_encoder, other, folds)
        for fold in range(3):
            a, b = (learn(sum(sums[:fold] + sums[fold + 1 :])) for sums in (before, after))  # type: ignore[arg-type]
            same = [np.array_equal(a.coef, b.coef), np.array_equal(a.sn_ratio, b.sn_ratio), a.error == b.error]
            assert same == [fold == folds[row]] * 3

    def test_equal_what_loops_over_all_tokens_give(self, tiny_encoder: str) -> None:
        learned = learn(sums_of(tiny_encoder, STARS)[0])
        ids, states = tokens_of(tiny_encoder)
        rows = np.concatenate(states).astype(np.float64)
        y = np.repeat(STARS, [len(of_text) for of_text in ids])
        model = TMethodRegressor("all", "full", shrinkage=0.03).fit(rows, y)
        scale = np.abs(model.coef_).max()
        np.testing.assert_allclose(learned.coef, model.coef_, rtol=1e-4, atol=1e-4 * scale)
        np.testing.assert_allclose(learned.center, rows.mean(axis=0), rtol=1e-5, atol=1e-6)
        residuals = y - y.mean() - (rows - rows.mean(axis=0)) @ model.coef_
        assert learned.error == pytest.approx(np.sqrt((residuals**2).mean()), rel=1e-4)

        # S/N ratios, word by word and point of the scale by point of the scale.
        low, high = STARS.min(), STARS.max()
        for word in range(len(VOCABULARY)):
            has = [word in of_text for of_text in ids]
            points = [low + share * (high - low) for share in (0, 0.25, 0.5, 0.75)]
            eta = sum(naive_sn_ratio([abs(star - point) for star in STARS], has)[1] for point in points)
            assert learned.sn_ratio[word] == pytest.approx(eta, abs=1e-12)
        assert learned.sn_ratio[VOCABULARY.index("good")] > 0

    def test_those_of_words_need_no_states(self, tiny_encoder: str) -> None:
        folds = deal_folds(STARS, 3, 0)
        # Beyond the encoder's limit of 64 tokens a word does not count.
        texts = [*TEXTS[:-1], "the " * 100 + "never"]
        encoder = load_encoder(tiny_encoder)
        of_words = word_sums(encoder, texts, STARS, folds, 3)
        of_tokens = token_sums(encoder, texts, STARS, folds, 3, LAYER, Backend())
        of_words.append(sum(of_words[1:], of_words[0]))
        of_tokens.append(sum(of_tokens[1:], of_tokens[0]))
        for words, tokens in zip(of_words, of_tokens, strict=True):
            assert words.moments == 0
            assert words.n_texts == tokens.n_texts
            np.testing.assert_array_equal(words.document_frequency, tokens.document_frequency)
            for name in ("totals", "all_totals", "all_squares"):
                np.testing.assert_allclose(getattr(words, name), getattr(tokens, name), rtol=1e-12, err_msg=name)
        never = VOCABULARY.index("never")
        assert of_words[-1].document_frequency[never] == sum("never" in text for text in TEXTS[:-1])


class TestTarget:
    @pytest.mark.parametrize("shift", [-3.0, 1000.0, 1e6])
    def test_its_origin_changes_nothing(self, tiny_encoder: str, shift: float) -> None:
        before, after = (learn(sums_of(tiny_encoder, y)[0]) for y in (STARS, STARS + shift))
        assert_same(after, before, rtol=1e-5)
        np.testing.assert_allclose(after.coef, before.coef, rtol=1e-5, atol=1e-5 * np.abs(before.coef).max())

    @pytest.mark.parametrize("factor", [0.001, 20.0, 1e6])
    def test_its_unit_changes_the_estimate_and_not_the_query(self, tiny_encoder: str, factor: float) -> None:
        before, after = (learn(sums_of(tiny_encoder, y)[0]) for y in (STARS, STARS * factor))
        assert_same(after, before, rtol=1e-6)
        np.testing.assert_allclose(
            after.coef, factor * before.coef, rtol=1e-6, atol=1e-6 * factor * np.abs(before.coef).max()
        )
        assert after.error == pytest.approx(factor * before.error)

    def test_the_other_end_of_the_scale_swaps_for_and_against(self, tiny_encoder: str) -> None:
        before, after = (learn(sums_of(tiny_encoder, y)[0]) for y in (STARS, 6 - STARS))
        np.testing.assert_allclose(after.coef, -before.coef, rtol=1e-6, atol=1e-6 * np.abs(before.coef).max())

    def test_texts_that_all_have_the_same_teach_nothing(self, tiny_encoder: str) -> None:
        learned = learn(sums_of(tiny_encoder, np.full(60, 3.7))[0])
        assert not learned.coef.any()
        assert learned.error == np.inf
        assert not learned.sn_ratio.any()
        made = pooling([learned], 1.0, LAYER)
        assert not made.queries.any()
        assert (made.log_weights == made.log_weights[0, 0]).all()


class TestWordSNRatios:
    @given(
        st.integers(2, 40).flatmap(
            lambda n: st.tuples(
                st.lists(st.integers(1, 5), min_size=n, max_size=n).filter(lambda stars: len(set(stars)) > 1),
                st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=n, max_size=n),
            )
        )
    )
    def test_they_are_finite_and_not_negative_and_nothing_for_words_of_all_texts_or_none(
        self, drawn: tuple[list[int], list[list[bool]]]
    ) -> None:
        y, some = np.array(drawn[0], dtype=np.float64), np.array(drawn[1], dtype=np.float64)
        has = np.column_stack([some, np.ones(len(y)), np.zeros(len(y))])
        ratios = of_all_points(made_up_sums(y, has))
        assert np.isfinite(ratios).all()
        assert (ratios >= 0).all()
        assert ratios[-2:].tolist() == [0, 0]

    def test_a_word_whose_texts_are_like_all_others_has_none(self) -> None:
        y = np.tile([1.0, 2, 3, 4, 5], 40)
        has = np.column_stack([np.arange(200) < 100, y == 5, y == 3]).astype(np.float64)
        ratios = of_all_points(made_up_sums(y, has))
        assert ratios[0] == 0
        # The middle of the scale is something that a word can say, too.
        assert ratios[1] > ratios[2] > 0.1

    def test_the_fewer_texts_have_a_word_the_less_it_is_believed(self) -> None:
        y = np.tile([1.0, 5.0], 100)
        best = np.flatnonzero(y == 5)
        has = np.zeros((200, 6))
        for word, df in enumerate((1, 2, 5, 10, 30, 100)):
            has[best[:df], word] = 1
        ratios = of_all_points(made_up_sums(y, has))
        assert (np.diff(ratios) > 0).all()
        # Where half of what ten texts say is believed, a quarter is left of its square, less the error variance.
        four = 4  # points of the scale, of which one tells nothing
        assert ratios[3] == pytest.approx((four - 1) * (0.25 - 10 / 400))
        assert ratios[5] < four - 1

    @pytest.mark.parametrize("ends", [(1.0, 5.0), (0.1, 0.7), (1 / 3, 1.1), (1e5 + 0.1, 1e5 + 0.7)])
    def test_a_distance_that_is_the_same_for_all_texts_tells_nothing(self, ends: tuple[float, float]) -> None:
        # From the middle of the scale both ends are as far, to rounding.
        y = np.tile(ends, 30)
        has = (y == y.max()).astype(np.float64)[:, None]
        sums = made_up_sums(y, has)
        only_the_middle = _TokenSums(
            0, 60, sums.document_frequency, sums.totals[:, 2:3], sums.all_totals[2:3], sums.all_squares[2:3]
        )
        assert word_sn_ratios(only_the_middle)[1].tolist() == [[0]]
        assert 1 < of_all_points(sums)[0] < 3

    def test_special_tokens_have_none(self, tiny_encoder: str) -> None:
        sums = sums_of(tiny_encoder, STARS)[0]
        special = load_encoder(tiny_encoder).tokenizer.all_special_ids
        assert of_all_points(sums)[special].tolist() == [0] * len(special)
        np.testing.assert_allclose(word_sn_ratios(sums)[0][special], 0, atol=1e-12)
        assert sums.document_frequency[VOCABULARY.index("[CLS]")] == 60


class TestPooling:
    def test_two_heads_are_each_others_opposite_and_one_head_has_no_query(self, tiny_encoder: str) -> None:
        learned = learn(sums_of(tiny_encoder, STARS)[0])
        one, two = pooling([learned], None, LAYER), pooling([learned], 2.0, LAYER)
        assert one.queries.shape == (1, 16, 1)
        assert not one.queries.any()
        np.testing.assert_array_equal(two.queries[0, :, 0], -two.queries[0, :, 1])
        np.testing.assert_allclose(two.queries[0, :, 0], learned.coef / learned.error / 2, rtol=1e-6)
        expected = np.log(np.sqrt(learned.sn_ratio) + 0.01)
        for made in (one, two):
            np.testing.assert_allclose(made.log_weights[0], expected, rtol=1e-6)
            assert made.queries.dtype == made.log_weights.dtype == np.float32

    def test_the_temperature_is_the_candidate_with_the_least_error_out_of_fold(self, tiny_encoder: str) -> None:
        from pipeline.encoder import encode
        from pipeline.features.token_weights import QueryPooling

        encoder, folds = load_encoder(tiny_encoder), deal_folds(STARS, 3, 0)
        sums = sums_of(tiny_encoder, STARS, folds)
        outside = [learn(sum(sums[:fold] + sums[fold + 1 :])) for fold in range(3)]  # type: ignore[arg-type]
        chosen = choose_temperature(encoder, TEXTS, STARS, folds, outside, LAYER, Backend())
        errors = {}
        for temperature in (1.0, 2.0, 4.0):
            made = pooling(outside, temperature, LAYER)
            (X,) = encode(encoder, TEXTS, [QueryPooling(made.queries, made.log_weights, LAYER, folds.tolist())])
            predicted = np.empty(60)
            for fold in range(3):
                inside = folds == fold
                model = TMethodRegressor("all", "full", shrinkage=0.3, clip="range").fit(X[~inside], STARS[~inside])
                predicted[inside] = model.predict(X[inside])
            errors[temperature] = ((predicted - STARS) ** 2).sum()
        assert chosen == min(errors, key=lambda temperature: errors[temperature])
        assert len(set(errors.values())) == 3

    def test_where_nothing_is_learned_the_temperature_is_the_highest(self, tiny_encoder: str) -> None:
        folds = deal_folds(STARS, 2, 0)
        nothing = learn(sums_of(tiny_encoder, np.full(60, 2.0))[0])
        chosen = choose_temperature(
            load_encoder(tiny_encoder), TEXTS, STARS, folds, [nothing, nothing], LAYER, Backend()
        )
        assert chosen == 4.0


class TestWordPooling:
    @pytest.mark.slow
    def test_weights_are_what_a_loop_over_the_texts_gives(self, tiny_encoder: str) -> None:
        ids, _ = tokens_of(tiny_encoder)
        folds = deal_folds(STARS, 3, 0)
        sums = word_sums(load_encoder(tiny_encoder), TEXTS, STARS, folds, 3)
        made = word_pooling([sum(sums[1:], sums[0]), *sums], 16, 3, LAYER)
        assert made.log_weights.shape == (4, len(VOCABULARY), 3)
        assert made.log_weights.dtype == made.queries.dtype == np.float32
        assert made.queries.shape == (4, 16, 3)
        assert not made.queries.any()
        # Distances are measured on the scale of all texts, also within a fold.
        lowest, middle = STARS.min(), (STARS.min() + STARS.max()) / 2
        for row, group in enumerate([np.full(60, True), *(folds == fold for fold in range(3))]):
            stars = STARS[group]
            for word in range(len(VOCABULARY)):
                has = [word in of_text for of_text, inside in zip(ids, group, strict=True) if inside]
                shift, eta = naive_sn_ratio([star - lowest for star in stars], has)
                _, of_middle = naive_sn_ratio([abs(star - middle) for star in stars], has)
                heads = [eta**0.5 if shift > 0 else 0, eta**0.5 if shift < 0 else 0, of_middle**0.5]
                np.testing.assert_allclose(np.exp(made.log_weights[row, word]), np.array(heads) + 0.01, rtol=1e-5)

    def test_one_head_is_for_more_stars_one_for_fewer_and_one_for_the_middle(self) -> None:
        y = np.tile([1.0, 2, 3, 4, 5], 40)
        best, worst, average, everywhere, mixed = y == 5, y == 1, y == 3, y > 0, np.arange(200) < 100
        has = np.column_stack([best, worst, average, everywhere, mixed]).astype(np.float64)

        def weights(target: Array) -> Array:
            return np.exp(word_pooling([made_up_sums(target, has)], 16, 3, LAYER).log_weights[0])

        up, down, middle = (weights(y) > 0.0101).T.tolist()
        assert up == [True, False, False, False, False]
        assert down == [False, True, False, False, False]
        assert middle == [True, True, True, False, False]
        # Turned upside down, the scale has its middle where it was.
        np.testing.assert_allclose(weights(6 - y), weights(y)[:, [1, 0, 2]], rtol=1e-6)
        np.testing.assert_allclose(weights(1000 * y - 7), weights(y), rtol=1e-6)

    @pytest.mark.parametrize("n_heads", [1, 2, 3])
    def test_fewer_heads_are_the_first_of_all(self, tiny_encoder: str, n_heads: int) -> None:
        sums = word_sums(load_encoder(tiny_encoder), TEXTS, STARS, np.zeros(60, dtype=np.intp), 1)
        some, every = (word_pooling(sums, 16, n, LAYER) for n in (n_heads, 3))
        np.testing.assert_array_equal(some.log_weights, every.log_weights[:, :, :n_heads])
        assert some.queries.shape == (1, 16, n_heads)

    def test_where_all_texts_have_the_same_stars_every_word_weighs_the_same(self, tiny_encoder: str) -> None:
        sums = word_sums(load_encoder(tiny_encoder), TEXTS, np.full(60, 3.7), np.zeros(60, dtype=np.intp), 1)
        np.testing.assert_allclose(word_pooling(sums, 16, 3, LAYER).log_weights, np.log(0.01), rtol=1e-6)

"""Transformers of words with know-how: sums made elsewhere count beside the texts, or in place of them."""

import pickle

import numpy as np
import pytest

from pipeline.features import SentenceMetrics, TMetrics

HERE = ["Good food. Good wine.", "Bad food, bad wine!", "Not so good. Go elsewhere.", "Superb wine"]
THERE = ["Awful food. Never again.", "Good value! Superb.", "So so. Not bad."]
NEW = ["Superb food. Not so good wine.", "Never again!", "", "味は最高", "Good value. Awful wine. So so."]
STARS_HERE, STARS_THERE = [5, 1, 2, 4], [1, 5, 3]


@pytest.fixture(params=[TMetrics, SentenceMetrics])
def kind(request):
    return request.param


@pytest.fixture
def know_how(kind):
    return kind(target_range=(1, 5)).fit(THERE, STARS_THERE).sums_


class TestBesideTexts:
    def test_new_texts_get_what_all_texts_teach(self, kind, know_how):
        added = kind(know_how=know_how).fit(HERE, STARS_HERE)
        both = kind().fit(HERE + THERE, STARS_HERE + STARS_THERE)
        assert added.items_.tolist() == both.items_.tolist()
        assert added.range_ == both.range_ == (1, 5)
        np.testing.assert_allclose(added.transform(NEW), both.transform(NEW), atol=1e-9)

    def test_a_weight_is_a_number_of_copies(self, kind, know_how):
        twice = kind(know_how=2 * know_how).fit(HERE, STARS_HERE)
        all_texts = kind().fit(HERE + THERE * 2, STARS_HERE + STARS_THERE * 2)
        np.testing.assert_allclose(twice.transform(NEW), all_texts.transform(NEW), atol=1e-9)

    def test_texts_get_what_the_other_folds_and_the_know_how_teach(self, kind, know_how):
        columns = kind(cv=4, know_how=know_how).fit_transform(HERE, STARS_HERE)
        for i in range(4):
            others = [j for j in range(4) if j != i]
            fold = kind(know_how=know_how).fit([HERE[j] for j in others], [STARS_HERE[j] for j in others])
            np.testing.assert_allclose(columns[[i]], fold.transform([HERE[i]]), atol=1e-9)

    def test_one_text_with_one_target_is_enough(self, kind, know_how):
        alone = kind().fit_sums(know_how)
        one = kind(know_how=know_how)
        np.testing.assert_allclose(one.fit_transform(HERE[:1], [5]), alone.transform(HERE[:1]), atol=1e-9)
        all_texts = kind().fit([*HERE[:1], *THERE], [5, *STARS_THERE])
        np.testing.assert_allclose(one.transform(NEW), all_texts.transform(NEW), atol=1e-9)
        np.testing.assert_allclose(one.fit(HERE[:2], [3, 3]).sums_.n, 5)

    def test_without_it_one_target_is_refused(self, kind):
        with pytest.raises(ValueError, match=r"The target y is constant \(3\)"):
            kind().fit(HERE[:2], [3, 3])

    def test_texts_without_a_word_add_to_the_number_alone(self, kind, know_how):
        fitted = kind(know_how=know_how).fit(["?!", ""], [2, 4])
        assert fitted.sums_.items == know_how.items
        assert fitted.sums_.n == know_how.n + 2

    def test_min_df_is_that_of_the_texts(self, kind, know_how):
        fitted = kind(min_df=2, know_how=know_how).fit(HERE, STARS_HERE)
        df = dict(zip(fitted.sums_.names, fitted.sums_.df, strict=True))
        assert "elsewhere" not in df  # one text here
        assert df["superb"] == 1  # one here, which does not count, and one there
        assert df["food"] == 3  # two here and one there
        assert df["awful"] == 1

    def test_know_how_of_another_scale_is_refused(self, kind, know_how):
        with pytest.raises(
            ValueError, match=r"target_range=\(0, 10\) must be the range of know_how, which is \(1.0, 5"
        ):
            kind(target_range=(0, 10), know_how=know_how).fit(HERE, STARS_HERE)
        with pytest.raises(
            ValueError, match="know_how is of targets from 1 to 5, but the target goes from 1 to 7: convert"
        ):
            kind(know_how=know_how).fit(HERE, [5, 1, 2, 7])
        kind(target_range=(1, 5), know_how=know_how).fit(HERE, STARS_HERE)

    def test_something_else_is_refused(self, kind):
        with pytest.raises(ValueError, match=r"The 'know_how' parameter of .* must be an instance of"):
            kind(know_how={"good": 1}).fit(HERE, STARS_HERE)


class TestInPlaceOfTexts:
    def test_the_sums_of_a_fit_are_that_fit(self, kind, know_how):
        np.testing.assert_array_equal(
            kind().fit_sums(know_how).transform(NEW),
            kind(target_range=(1, 5)).fit(THERE, STARS_THERE).transform(NEW),
        )

    def test_three_plants_exchange_sums_and_no_text(self, kind):
        plants = [kind(target_range=(1, 5)).fit(HERE[i : i + 2], STARS_HERE[i : i + 2]).sums_ for i in (0, 2)]
        plants.append(kind(target_range=(1, 5)).fit(THERE, STARS_THERE).sums_)
        both = kind().fit(HERE + THERE, STARS_HERE + STARS_THERE)
        np.testing.assert_allclose(kind().fit_sums(sum(plants)).transform(NEW), both.transform(NEW), atol=1e-9)

    def test_a_later_fit_forgets_them(self, kind, know_how):
        again = kind().fit_sums(know_how)
        again.transform(NEW)
        again.fit(HERE, STARS_HERE)
        np.testing.assert_array_equal(again.transform(NEW), kind().fit(HERE, STARS_HERE).transform(NEW))
        again.fit_sums(know_how)
        np.testing.assert_array_equal(again.transform(NEW), kind().fit_sums(know_how).transform(NEW))

    @pytest.mark.parametrize("wrong", [None, {"good": 1}, 3])
    def test_something_else_is_refused(self, kind, wrong):
        with pytest.raises(ValueError, match=r"^fit_sums needs the WordSums of one text or more, got"):
            kind().fit_sums(wrong)

    def test_pickle(self, kind, know_how):
        fitted = kind(know_how=know_how).fit(HERE, STARS_HERE)
        expected = fitted.transform(NEW)
        copy = pickle.loads(pickle.dumps(fitted))
        np.testing.assert_array_equal(copy.transform(NEW), expected)
        np.testing.assert_array_equal(copy.metrics_.beta, fitted.metrics_.beta)
        assert pickle.dumps(copy) == pickle.dumps(fitted)

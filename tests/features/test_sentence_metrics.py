import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer

from pipeline.features import SentenceMetrics
from pipeline.features.presence import learn_items, make_lookup, presence
from pipeline.features.sentence_metrics import sentence_items

SENTENCE = st.lists(st.sampled_from(["good", "bad", "food", "not", "so", "new"]), min_size=1, max_size=5).map(" ".join)
TEXT = st.lists(SENTENCE, max_size=7).map(lambda each: "".join(sentence + ". " for sentence in each))
TEXTS = [
    "Good food. Not so good wine! So so",
    "Bad food. Not a good idea",
    "So so. Not so bad. Food",
    "Good good good",
    "Not good. Bad. Bad. Bad food.",
    "Food",
]
STARS = [5, 1, 3, 4.5, 2, 3]


def naive(text, learned):
    """The columns of a text by their definition, sentence by sentence."""
    values = dict(zip(learned.items_, learned_values(learned), strict=True))
    each = []
    for items in sentence_items(text):
        known = [values[item] for item in set(items) if item in values and (values[item] != 0).any()]
        each.append(np.sum(known, axis=0)[[0, 2]] / len(known) ** 0.5 if known else np.zeros(2))
    if not each:
        return np.zeros(9)
    series, n = np.array(each), len(each)
    thirds = [[series[i, 0] for i in range(n) if 3 * i // n == third] for third in range(3)]
    means = [np.mean(third) if third else 0 for third in thirds]
    return np.concatenate([series.mean(axis=0), series.std(axis=0), series[-1], means])


def learned_values(learned):
    """L / (S_T + 3) of each item from the texts themselves."""
    X = np.array([[float(item in SentenceMetrics.items_of(text)) for item in learned.items_] for text in TEXTS])
    y = np.array(STARS)
    M = np.abs(y[:, None] - [1, 2, 3, 4])
    X, M = X - X.mean(axis=0), M - M.mean(axis=0)
    return X.T @ M / ((X**2).sum(axis=0)[:, None] + 3) * ((X**2).sum(axis=0) > 1e-12)[:, None]


@pytest.fixture(scope="module")
def learned():
    return SentenceMetrics(cv=2).fit(TEXTS, STARS)


class TestItems:
    def test_words_pairs_triples_and_pairs_around_a_word(self):
        assert sentence_items("Don’t eat it here") == [
            [
                *("don't", "eat", "it", "here"),
                *("don't eat", "eat it", "it here"),
                *("don't eat it", "eat it here"),
                *("don't * it", "eat * here"),
            ]
        ]

    @pytest.mark.parametrize("end", [". ", "! ", "?! ", "\n", " \r\n\r\n", '." '])
    def test_no_item_crosses_the_end_of_a_sentence(self, end):
        assert sentence_items(f"Good food{end}Bad") == [["good", "food", "good food"], ["bad"]]

    def test_scripts_without_spaces(self):
        assert sentence_items("味は最。悪い！") == [
            ["味", "は", "最", "味 は", "は 最", "味 は 最", "味 * 最"],
            ["悪", "い", "悪 い"],
        ]

    def test_a_sentence_without_a_word_is_none(self):
        assert sentence_items("... Good. ?! :-)") == [["good"]]
        assert sentence_items("") == sentence_items(" \n") == []

    @given(st.text())
    def test_an_item_is_one_line(self, text):
        assert all(item and "\n" not in item for item in SentenceMetrics.items_of(text))


class TestPresence:
    @given(st.lists(TEXT, min_size=1, max_size=5))
    def test_parts_and_texts_have_what_scikit_learn_counts(self, texts):
        counter = CountVectorizer(analyzer=list, binary=True, vocabulary=["bad", "bad bad", "good", "not * so"])
        lookup = make_lookup("\n".join(counter.vocabulary))
        found = presence(map(sentence_items, texts), lookup.places)
        parts = [items for text in texts for items in sentence_items(text)]
        expected = counter.transform(parts).toarray() if parts else np.empty((0, 4))
        np.testing.assert_array_equal(found.of_parts.toarray(), expected)
        of_texts = counter.transform([SentenceMetrics.items_of(text) for text in texts]).toarray()
        np.testing.assert_array_equal(found.of_texts().toarray(), of_texts)
        assert found.n_parts.tolist() == [len(sentence_items(text)) for text in texts]

    @given(st.lists(TEXT, min_size=1, max_size=5))
    def test_what_is_learned_is_found_again(self, texts):
        items, found = learn_items(map(sentence_items, texts))
        again = presence(map(sentence_items, texts), {item: place for place, item in enumerate(items)})
        np.testing.assert_array_equal(again.of_parts.toarray(), found.of_parts.toarray())

    def test_no_items(self):
        assert presence([[["good"]], []], make_lookup("").places).of_texts().shape == (2, 0)


class TestColumns:
    @given(st.lists(TEXT, min_size=1, max_size=4))
    def test_every_column_is_that_of_the_definition(self, learned, texts):
        np.testing.assert_allclose(learned.transform(texts), [naive(text, learned) for text in texts], atol=1e-9)

    def test_every_column_of_one_text_by_hand(self):
        # "good" has df = 1 of 3 texts: S_T = 2/3, L = 5 - 3 = 2 and, for the distance from 3, 2 - 4/3 = 2/3.
        learned = SentenceMetrics(cv=2).fit(["good", "bad", "so"], [5, 1, 3])
        row = learned.set_output(transform="pandas").transform(["Good. Bad. New. Good bad."]).iloc[0]
        good, middle = 2 / (2 / 3 + 3), (2 / 3) / (2 / 3 + 3)
        stars = np.array([good, -good, 0, 0])
        distance = np.array([middle, middle, 0, 2 * middle / 2**0.5])
        assert row.to_dict() == pytest.approx(
            {
                "t_0_mean": 0,
                "t_50_mean": distance.mean(),
                "t_0_sd": stars.std(),
                "t_50_sd": distance.std(),
                "t_0_last": 0,
                "t_50_last": distance[-1],
                "t_0_begin": 0,
                "t_0_middle": 0,
                "t_0_end": 0,
            },
            abs=1e-12,
        )

    @pytest.mark.parametrize(
        ("text", "signs"), [("Good", [1, 0, 0]), ("Bad. Good", [-1, 1, 0]), ("Good. New. Bad.", [1, 0, -1])]
    )
    def test_thirds(self, text, signs):
        learned = SentenceMetrics(cv=2).fit(["good", "bad", "so"], [5, 1, 3])
        assert np.sign(learned.transform([text])[0, 6:]).tolist() == signs

    def test_nothing_known_gives_zeros(self, learned):
        assert not learned.transform(["", "?!", "Xyzzy. Plugh!", "\n"]).any()
        assert learned.transform([]).shape == (0, 9)

    def test_texts_do_not_touch_one_another(self, learned):
        texts = ["", *TEXTS, "?!", "New"]
        alone = np.vstack([learned.transform([text]) for text in texts])
        np.testing.assert_allclose(learned.transform(texts), alone, atol=1e-12)

    def test_one_sentence_is_its_mean_and_has_no_spread(self, learned):
        mean_and_middle, spread, last, thirds = np.split(learned.transform(["Not so good food"])[0], [2, 4, 6])
        assert mean_and_middle.all()
        assert last.tolist() == mean_and_middle.tolist()
        assert spread.tolist() == [0, 0]
        assert thirds.tolist() == [mean_and_middle[0], 0, 0]

    @given(
        st.lists(SENTENCE, min_size=1, max_size=6).flatmap(lambda each: st.tuples(st.just(each), st.permutations(each)))
    )
    def test_the_order_of_sentences_shows_in_the_last_one_and_the_thirds_alone(self, learned, orders):
        one, other = learned.transform([". ".join(order) for order in orders])
        np.testing.assert_allclose(one[:4], other[:4], atol=1e-9)

    @given(st.lists(SENTENCE, min_size=1, max_size=4), st.integers(2, 4))
    def test_saying_all_again_changes_the_thirds_alone(self, learned, text, times):
        once, again = learned.transform([". ".join(text), ". ".join(text * times)])
        np.testing.assert_allclose(once[:6], again[:6], atol=1e-7)

    def test_units_follow_the_target(self):
        one = SentenceMetrics(cv=2).fit_transform(TEXTS, STARS)
        other = SentenceMetrics(cv=2).fit_transform(TEXTS, 10 * np.array(STARS) - 7.5)
        np.testing.assert_allclose(other, 10 * one, atol=1e-9)

    def test_an_order_of_words_that_texts_do_not_share_is_seen(self):
        texts = ["not good, bad", "not bad, good"] * 4
        columns = SentenceMetrics(cv=4).fit_transform(texts, [1, 5] * 4)
        assert (columns[::2, 0] < 0).all()
        assert (columns[1::2, 0] > 0).all()


class TestOfTheScale:
    def test_the_middle_is_that_of_the_scale(self):
        texts, y = ["good", "so", "bad", "so"], [10, 5, 0, 5]
        learned = SentenceMetrics(cv=2, target_range=(0, 20)).fit(texts, y)
        column = learned.get_feature_names_out().tolist().index("t_50_mean")
        assert learned.transform(["good"])[0, column] < 0 < learned.transform(["bad"])[0, column]


class TestColumnShares:
    @given(TEXT)
    def test_they_sum_up_to_the_columns(self, learned, text):
        items, columns, shares = learned.column_shares(text)
        names = learned.get_feature_names_out().tolist()
        assert [name for name in names if name not in columns] == ["t_0_sd", "t_50_sd"]
        expected = learned.transform([text])[0, [names.index(name) for name in columns]]
        np.testing.assert_allclose(shares.sum(axis=0), expected, atol=1e-9)
        assert shares.shape == (len(items), len(columns))
        assert set(items) <= set(learned.items_of(text))
        assert len(set(items)) == len(items)

    def test_what_is_no_text_is_refused(self, learned):
        with pytest.raises(ValueError, match="Expected"):
            learned.column_shares(5)

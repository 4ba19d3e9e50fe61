"""The answer in ten seconds: what it says in every case, and that it claims nothing that is not sure."""

import re

import numpy as np
import pandas as pd
import pytest
from report_data import HOSTILE

from pipeline.evaluation.perturbations import CHANGES
from pipeline.evaluation.verdict import sure_leads
from pipeline.project.paths import DatasetPaths
from pipeline.report import headline_figure
from pipeline.report.figure import BLUE, INK, ORANGE, drawing
from pipeline.report.headline import _CHANGES, Headline, headline
from pipeline.report.results import Results
from pipeline.report.summary import render_summary

SIZES = [10, 20, 30, 50, 450]
PAIR = ("T-method", "attention")
WIDE, NARROW = 0.3, 0.05  # how far an interval reaches to both sides


def contrasts(signs, pair=PAIR, sizes=None, reach=NARROW):
    """A pair of sides: "+" where the first is surely ahead, "-" the second, "." neither."""
    middle = {"+": 0.2, "-": -0.2, ".": 0.01}
    rows = [
        {"n_train": size, "difference": difference, "low": difference - reach, "high": difference + reach}
        | {"p": 0.001, "p_holm": 0.9 if sign == "." else 0.01}
        for size, sign in zip(sizes or SIZES[-len(signs) :], signs, strict=True)
        for difference in [middle[sign]]
    ]
    return pd.DataFrame(rows).assign(a=pair[0], b=pair[1])


def results_of(tables, seconds=(1.0, 1.0), hurt=(), n_held_out=150, known=()):
    """Results of two sides whose training takes these seconds, hurt by these (side, change, difference, high)."""
    first = tables[0]
    names = dict.fromkeys(name for table in (*tables, *known) for name in (*table["a"], *table["b"]))
    sides = [
        {"side": name, "n_train": n, "features": "f", "model": name, "qwk": 0.5, "qwk_low": 0.4, "qwk_high": 0.6}
        for name in names
        for n in first["n_train"]
    ]
    made = Results(DatasetPaths("nowhere"))
    vars(made).update(
        n_held_out=n_held_out,
        contrasts=pd.concat(tables),
        sides=pd.DataFrame(sides),
        costs=pd.DataFrame({"features": "f", "model": first.iloc[0][["a", "b"]], "total_seconds": seconds}),
        changes=pd.DataFrame([*hurt], columns=["side", "change", "difference", "high"]),
        know_how=pd.DataFrame([row | {"n_train": 0, "qwk": 0.767} for row in sides[:: len(first)]] if known else []),
        know_how_contrasts=pd.concat(known) if known else contrasts(".")[:0],
    )
    return made


def found(signs, **settings) -> Headline:
    reach = settings.pop("reach", NARROW)
    return headline(results_of([contrasts(signs, reach=reach)], **settings))


@pytest.mark.parametrize(
    ("signs", "sentence"),
    [
        ("+++..", "A tie with all 450 reviews; the T-method is ahead with 10 to 30."),
        ("+..+.", "A tie with all 450 reviews; the T-method is ahead with 10 and 50."),
        ("---..", "A tie with all 450 reviews; attention is ahead with 10 to 30."),
        ("+..-.", "A tie with all 450 reviews; the T-method is ahead with 10; attention is ahead with 50."),
        (".....", "A tie with 10 to 450 reviews."),
        ("....+", "The T-method is ahead with all 450 reviews."),
        ("....-", "Attention is ahead with all 450 reviews."),
        ("+++++", "The T-method is ahead with 10 to 450 reviews."),
        ("-----", "Attention is ahead with 10 to 450 reviews."),
        ("+...+", "The T-method is ahead with 10 and all 450 reviews."),
        ("++.--", "Attention is ahead with 50 to 450 reviews; the T-method is ahead with 10 to 20."),
    ],
)
def test_the_sentence_says_who_is_ahead_with_all_reviews_and_at_which_sizes(signs: str, sentence: str) -> None:
    assert found(signs).sentence == sentence


def test_where_the_intervals_are_wide_nobody_speaks_of_a_tie() -> None:
    wide = found(".....", reach=WIDE, n_held_out=30)
    assert wide.sentence == "No sure winner with 10 to 450 reviews (too few to test on: 30)."
    assert wide.advice == ["With 10 to 450 reviews, no sure winner."]
    assert found("+....", reach=WIDE).sentence == (
        "No sure winner with all 450 reviews (too few to test on: 150); the T-method is ahead with 10."
    )


def test_with_too_few_held_out_reviews_nothing_is_sure() -> None:
    few = found("+++++", n_held_out=29, hurt=[("T-method", "shouting", -0.2, -0.1)])
    assert few.sentence == "No sure winner with 10 to 450 reviews (too few to test on: 29)."
    assert few.advice == ["With 10 to 450 reviews, no sure winner."]


def test_a_tie_is_advised_at_its_sizes_only() -> None:
    table = pd.concat([contrasts("..", sizes=[10, 20], reach=WIDE), contrasts("..", sizes=[30, 450])])
    said = headline(results_of([table]))
    assert said.sentence == "A tie with 30 to 450 reviews and no sure winner with 10 to 20."
    assert said.advice == ["With 10 to 20 reviews, no sure winner.", "With 30 to 450 reviews, take either."]
    table = pd.concat([contrasts("..", sizes=[10, 20]), contrasts("..", sizes=[30, 450], reach=WIDE)])
    said = headline(results_of([table]))
    assert said.sentence == ("A tie with 10 to 20 reviews and no sure winner with 30 to 450 (too few to test on: 150).")
    assert said.advice == ["With 10 to 20 reviews, take either.", "With 30 to 450 reviews, no sure winner."]


def test_a_side_with_a_plural_name_has_plural_verbs() -> None:
    hurt = [("other models", "typos", -0.2, -0.1)]
    pair = ("other models", "attention")
    said = headline(results_of([contrasts("+....", pair=pair)], seconds=(1.0, 2.0), hurt=hurt))
    assert said.sentence == (
        "A tie with all 450 reviews; other models are ahead with 10 and train twice as fast; typos hurt them."
    )
    leaning = contrasts("......"[:5], pair=pair).assign(low=0.01)
    assert headline(results_of([leaning.assign(high=0.5)])).advice == [
        "With 10 to 450 reviews, other models look better, but it may be chance."
    ]


def test_differences_that_could_not_be_measured_are_no_tie_and_no_reason_is_made_up() -> None:
    unknown = contrasts("....").assign(difference=np.nan, low=np.nan, high=np.nan, p=np.nan, p_holm=np.nan)
    said = headline(results_of([unknown], n_held_out=5000))
    assert said.sentence == "No sure winner with 20 to 450 reviews."
    assert said.advice == ["With 20 to 450 reviews, no sure winner."]


def test_a_difference_that_would_be_sure_if_it_were_the_only_one_may_be_chance() -> None:
    alone = contrasts(".", sizes=[10]).assign(difference=-0.13, low=-0.2, high=-0.04)
    said = headline(results_of([pd.concat([alone, contrasts("+.", sizes=[20, 450])])]))
    assert said.advice == [
        "With 10 reviews, attention looks better, but it may be chance.",
        "With 20 reviews, take the T-method (better by 0.20).",
        "With all 450 reviews, take either.",
    ]


def test_the_advice_says_by_how_much() -> None:
    table = contrasts("++.", sizes=[10, 20, 450]).assign(difference=[0.11, 0.06, 0.0])
    assert (
        headline(results_of([table])).advice[0] == "With 10 to 20 reviews, take the T-method (better by 0.06 to 0.11)."
    )


@pytest.mark.parametrize(("sign", "start"), [(".", "A tie with"), ("+", "The T-method is ahead with")])
def test_one_size_is_enough(sign: str, start: str) -> None:
    one = headline(results_of([contrasts(sign, sizes=[90])]))
    assert one.sentence == f"{start} all 90 reviews."
    assert one.advice == [f"With all 90 reviews, take {'the T-method (better by 0.20)' if sign == '+' else 'either'}."]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        ((0.5, 5.0), "the T-method is ahead with 10 and trains ten times as fast."),
        ((1.0, 2.0), "the T-method is ahead with 10 and trains twice as fast."),
        ((50.0, 1.0), "the T-method is ahead with 10; attention trains 50 times as fast."),
        ((1.0, 1.9), "the T-method is ahead with 10."),
        ((1.9, 1.0), "the T-method is ahead with 10."),
        ((1.0, 1.0), "the T-method is ahead with 10."),
        ((np.nan, 1.0), "the T-method is ahead with 10."),
        ((1.0, np.nan), "the T-method is ahead with 10."),
        ((0.0, 1.0), "the T-method is ahead with 10."),
    ],
)
def test_training_time_is_told_where_it_is_twice_as_much(seconds: tuple[float, float], said: str) -> None:
    assert found("+....", seconds=seconds).sentence == f"A tie with all 450 reviews; {said}"


def test_a_line_without_costs_is_no_reason_to_stop() -> None:
    made = results_of([contrasts("+....")], seconds=(1.0, 9.0))
    vars(made)["costs"] = made.costs[:0]
    assert "trains" not in headline(made).sentence


@pytest.mark.parametrize(
    ("hurt", "said"),
    [
        ([], ""),
        ([("T-method", "shouting", -0.11, -0.01)], "; capitals hurt it"),
        ([("attention", "shouting", -0.11, -0.01)], "; capitals hurt attention"),
        ([(side, "shouting", -0.2, -0.1) for side in PAIR], "; capitals hurt both"),
        (
            [("T-method", change, -0.2, -0.1) for change in ("typos", "shouting", "shuffled")],
            "; typos, capitals and shuffled words hurt it",
        ),
        (
            [*((side, "truncated", -0.2, -0.1) for side in PAIR), ("attention", "typos", -0.3, -0.1)],
            "; typos hurt attention; texts cut in half hurt both",
        ),
        ([("T-method", "shouting", -0.09, -0.01)], ""),
        ([("T-method", "shouting", -0.3, 0.01)], ""),
        ([("T-method", "none", 0.0, 0.0), ("T-method", "typos", np.nan, np.nan)], ""),
        ([("other models", "shouting", -0.3, -0.1)], ""),
    ],
)
def test_a_change_that_costs_much_is_told_with_those_whom_it_hurts(hurt: list[tuple], said: str) -> None:
    assert found("+....", hurt=hurt).sentence == f"A tie with all 450 reviews; the T-method is ahead with 10{said}."


def test_without_a_sole_subject_the_side_that_is_hurt_is_named() -> None:
    hurt = [("T-method", "shouting", -0.2, -0.1)]
    assert found(".....", hurt=hurt).sentence.endswith("; capitals hurt the T-method.")
    assert found("+..-.", hurt=hurt).sentence.endswith("; capitals hurt the T-method.")


def test_every_change_has_words() -> None:
    assert set(_CHANGES) == set(CHANGES)


@pytest.mark.parametrize(
    ("signs", "advice"),
    [
        (
            "+++..",
            ["With 10 to 30 reviews, take the T-method (better by 0.20).", "With 50 to 450 reviews, take either; "],
        ),
        (
            "+.--.",
            [
                "With 10 reviews, take the T-method (better by 0.20).",
                "With 20 reviews, take either.",
                "With 30 to 50 reviews, take attention (better by 0.20).",
                "With all 450 reviews, take either; ",
            ],
        ),
        ("+++++", ["With 10 to 450 reviews, take the T-method (better by 0.20): "]),
        (
            "....-",
            ["With 10 to 50 reviews, take either.", "With all 450 reviews, take attention (better by 0.20), though "],
        ),
    ],
)
def test_the_advice_goes_by_the_training_reviews(signs: str, advice: list[str]) -> None:
    assert found(signs).advice == [
        line.replace(", though ", ".").replace(": ", ".").replace("; ", ".") for line in advice
    ]
    faster = "the T-method trains ten times as fast."
    with_seconds = [f"{line}{faster}" if line.endswith(" ") else line for line in advice]
    assert found(signs, seconds=(1, 10)).advice == with_seconds


def test_know_how_is_advised_without_a_review() -> None:
    plain = [contrasts("+++..")]
    known = [contrasts("+..", sizes=[0, 10, 30])]
    assert headline(results_of(plain, known=known)).advice[-1] == (
        "Before you have a review, take the T-method with know-how from the embedded reviews (agreement 0.77)."
    )
    unsure = headline(results_of(plain, known=[contrasts(".+.", sizes=[0, 10, 30])]))
    assert unsure.advice[-1] == (
        "Before you have a review, know-how from the embedded reviews reaches agreement "
        "0.77 with the T-method, 0.77 with attention: no sure winner."
    )
    assert unsure.also == ["the T-method ahead of attention with 10 reviews, both with know-how"]
    assert unsure.sentence == headline(results_of(plain)).sentence


def test_every_sure_lead_of_the_other_pairs_is_named_losses_too() -> None:
    pairs = [("T-method", "other models"), ("T-attention", "trained attention"), ("combined", "attention")]
    others = [contrasts(each, pair) for each, pair in zip(("+++++", "--..+", "....."), pairs, strict=True)]
    made = results_of([contrasts("....."), *others], known=[contrasts("-.+", pairs[0], [0, 10, 384])])
    assert headline(made).also == [
        "the T-method ahead of other models with 10 to 450 reviews",
        "T-attention ahead of trained attention with all 450 reviews",
        "trained attention ahead of T-attention with 10 to 20 reviews",
        "the T-method ahead of other models with 384 reviews, both with know-how",
        "other models ahead of the T-method with 0 reviews, both with know-how",
    ]
    vars(made)["n_held_out"] = 12
    assert headline(made).also == []


def test_no_words_of_statistics_stand_in_the_first_screen() -> None:
    hurt = [(side, change, -0.2, -0.1) for change in CHANGES for side in PAIR]
    known = [contrasts("+", sizes=[0])]
    tables = [contrasts("++.-."), contrasts("+++++", ("x", "y"))]
    everything = headline(results_of(tables, (1, 9), hurt, known=known))
    text = " ".join([everything.sentence, *everything.advice, *everything.also])
    assert not re.search(r"\b(p|Holm|CI|QWK|bootstrap|contrast|significant|interval)\b", text)


def test_any_name_of_a_side_is_a_name() -> None:
    pair = (HOSTILE, "1")
    said = headline(results_of([contrasts("+++..", pair)], seconds=(9, 1)))
    first, second, third = said.sentence.split("; ")
    assert (first, second) == ("A tie with all 450 reviews", f"{HOSTILE} is ahead with 10 to 30")
    assert third == "1 trains nine times as fast."


def test_page_and_summary_start_with_it(results: Results, page: str) -> None:
    said = headline(results)
    shown = page.index(said.sentence)
    assert page.index("<h1>") < shown < page.index(said.advice[0]) < page.index('<nav aria-label="Contents">')
    assert shown < page.index(results.sentences[0])
    assert re.search(r"Also sure:</p>\s*<ul class=\"note\">\s*<li>combined ahead of attention with ", page)
    summary = render_summary("d", results)
    lines = [line for line in summary.splitlines() if line]
    assert lines[1] == f"**{said.sentence}**"
    assert lines[2] == f"- {said.advice[0]}"
    assert summary.index("Also sure") < summary.index(results.sentences[0])


def axes_of(made: Results):
    leads = {ahead: sizes for ahead, _, sizes in sure_leads(made.contrasts, made.n_held_out)}
    with drawing():
        return headline_figure._differences(made.contrasts, leads, len(made.contrasts)).axes[0]


def test_the_picture_marks_what_is_sure_by_colour_shape_and_filling() -> None:
    lines = axes_of(results_of([contrasts("++.-.")])).lines[1:]
    drawn = {line.get_color(): (line.get_marker(), line.get_markerfacecolor(), *line.get_ydata()) for line in lines}
    assert drawn == {
        BLUE: ("^", BLUE, 0.2, 0.2),
        ORANGE: ("v", ORANGE, -0.2),
        INK: ("o", "none", 0.01, 0.01),
    }


@pytest.mark.parametrize("signs", [".", "+", "+" * 40], ids=["one", "one sure", "many"])
def test_any_number_of_sizes_can_be_drawn_and_the_last_is_named(signs: str) -> None:
    sizes = [10 * 2**i for i in range(len(signs))]
    axes = axes_of(results_of([contrasts(signs, sizes=sizes)]))
    assert str(sizes[-1]) in [label.get_text() for label in axes.get_xticklabels()]
    assert {text.get_text() for text in axes.texts} == {"T-method ahead ↑", "attention ahead ↓"}


def test_the_picture_says_the_finding_in_words() -> None:
    with drawing():
        (picture,) = headline_figure.pictures(results_of([contrasts("+..--")]))
    assert picture.kind == "headline"
    assert picture.text.startswith(
        "T-method is surely ahead with 10, and attention is surely ahead with 50 to 450. Agreement of T-method minus "
    )
    assert "; 450 reviews -0.20 (-0.25 to -0.15)." in picture.text
    with drawing():
        (picture,) = headline_figure.pictures(results_of([contrasts(".....")]))
    assert picture.text.startswith("Neither side is surely ahead at any size. ")

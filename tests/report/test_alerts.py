"""The checks at the top of the report: each rule passes, notes and warns where it should, and needs its data."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.evaluation.perturbations import CHANGES
from pipeline.project.paths import DatasetPaths
from pipeline.report.alerts import _CHANGES, Alert, checks
from pipeline.report.page import _environment
from pipeline.report.results import Results
from pipeline.scale import Scale

SIDES = ["T-method", "attention"]
PREPARED: dict[str, Any] = {
    "options": {"data": "file", "scale": "1..5"},
    "read": 1000,
    "kept": {"train": 750, "test": 250},
    "stars": {str(star): 200 for star in range(1, 6)},
    "rejected": 0,
    "rejected_reasons": {},
    "near_identical": {"reviews": 12, "largest": 2},
    "rounded": False,
}
READ: dict[str, Any] = {
    "unknown_tokens": {"bundled": {"tokens": 0.0, "texts": 0.0}},
    "poorly_read": 0.0,
    "cut_off": {"bundled": {"limit": 256, "texts": 0.0}},
}


@pytest.fixture(autouse=True)
def _empty_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def changes(*harm: tuple[str, str, float, float]) -> pd.DataFrame:
    rows = [(side, "none", 0.0, 0.0) for side in SIDES] + [(side, "typos", -0.01, 0.01) for side in SIDES]
    return pd.DataFrame([*rows, *harm], columns=["side", "change", "difference", "high"])


def spread(*ratios: float) -> pd.DataFrame:
    names = [*SIDES, "T(1) on words"]
    return pd.DataFrame({"side": names, "sd_ratio": [*ratios, 1.9]})


def metrics(n_test: int = 250) -> pd.DataFrame:
    return pd.DataFrame({"n_test": [n_test], "qwk": 0.8, "qwk_low": 0.75, "qwk_high": 0.84})


def found(complete: bool = True, **changed: Any) -> list[Alert]:
    results = Results(DatasetPaths("d"))
    usual = {"metrics": metrics(), "prepared": PREPARED, "read": READ, "scale": Scale(1, 5)}
    usual |= {"changes": changes(), "calibration": spread(0.9, 1.0), "sides": pd.DataFrame({"side": SIDES})}
    vars(results).update({**usual, **changed})
    return checks(results, complete)


def raised(**changed: Any) -> list[tuple[str, str]]:
    """Level and title of what did not pass."""
    return [(alert.level, alert.title) for alert in found(**changed) if alert.level != "pass"]


def passed(**changed: Any) -> list[str]:
    return [alert.title for alert in found(**changed) if alert.level == "pass"]


def test_good_data_pass_every_check_without_a_word_more() -> None:
    assert {(alert.level, alert.text) for alert in found()} == {("pass", "")}
    assert passed() == [
        "250 held-out reviews",
        "the features know the language",
        "the bundled encoder reads 100% of the reviews to their end",
        "stars from 1 to 5, a known scale",
        "0 of 1,000 rows rejected",
        "no empty texts",
        "no star is rare",
        "no near-identical reviews on both sides of the split (12 kept together)",
        "no change of the reviews surely costs a side more than 0.1 QWK",
        "predictions spread 1.00 times as wide as the stars at most",
    ]


def test_until_the_report_is_complete_the_later_stages_are_not_asked() -> None:
    early = found(complete=False, changes=None, calibration=None, sides=None)
    assert len(early) == len(found()) - 2


def test_without_prepared_data_and_features_their_checks_are_left_out() -> None:
    assert passed(prepared={}, read={}) == ["250 held-out reviews", *passed()[-2:]]


def test_warnings_come_first_and_notes_before_what_passed() -> None:
    levels = [alert.level for alert in found(metrics=metrics(12), calibration=spread(1.1, 1.0))]
    assert levels[:2] == ["warn", "note"]
    assert set(levels[2:]) == {"pass"}


def test_a_change_that_costs_a_side_more_than_a_tenth_is_named_with_sides_and_loss() -> None:
    harm = [("T-method", "shouting", -0.19, -0.1), ("attention", "shouting", -0.112, -0.01)]
    (alert,) = (alert for alert in found(changes=changes(*harm)) if alert.level == "warn")
    assert alert.title == "Tested with capitals and doubled exclamation marks"
    costs, advice = alert.text.split(". ")
    assert costs == "This costs T-method 0.19 and attention 0.11 QWK"
    assert advice == "If your reviews are like this, write them in lower case first."


@pytest.mark.parametrize("harm", [(-0.09, -0.05), (-0.3, 0.01), (0.2, 0.3), (np.nan, np.nan)])
def test_a_small_or_unsure_loss_is_no_warning(harm: tuple[float, float]) -> None:
    assert raised(changes=changes(("T-method", "shuffled", *harm))) == []


def test_every_change_has_words_and_an_unknown_one_its_name() -> None:
    assert set(_CHANGES) == set(CHANGES)
    assert raised(changes=changes(("T-method", "<b>new", -0.3, -0.2))) == [("warn", "Tested with <b>new")]


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [((1.04, 0.5), []), ((1.06, 1.0), ["note"]), ((1.06, 1.3), ["warn"]), ((np.nan, np.nan), [])],
)
def test_only_sides_are_asked_for_their_dispersion(ratios: tuple[float, float], expected: list[str]) -> None:
    alerts = [alert for alert in found(calibration=spread(*ratios)) if alert.title == "Over-dispersion"]
    assert [alert.level for alert in alerts] == expected
    assert all("T-method (1.06 times)" in alert.text and "T(1)" not in alert.text for alert in alerts)


@pytest.mark.parametrize(("n", "expected"), [(29, "warn"), (30, "note"), (199, "note"), (200, "pass")])
def test_a_small_test_split_is_told_with_the_width_of_the_interval(n: int, expected: str) -> None:
    (alert,) = (a for a in found(metrics=metrics(n)) if "held-out" in a.title + a.text)
    assert alert.level == expected
    assert ("0.09 wide" in alert.text) == (expected == "note")


@pytest.mark.parametrize(("rejected", "expected"), [(9, []), (10, ["note"]), (99, ["note"]), (100, ["warn"])])
def test_many_rejected_rows_are_noted_or_warned_of(rejected: int, expected: list[str]) -> None:
    assert [level for level, _ in raised(prepared={**PREPARED, "rejected": rejected})] == expected


def test_empty_texts_are_noted() -> None:
    reasons = {"text empty or not a string": 1}
    (alert,) = (a for a in found(prepared={**PREPARED, "rejected_reasons": reasons}) if a.level != "pass")
    assert (alert.level, alert.text) == ("note", "1 row has no text and was left out: the first one stands under Data.")


@pytest.mark.parametrize(
    ("options", "noted"),
    [
        ({"data": "file", "scale": None}, True),
        ({"data": "file", "scale": "0..4"}, False),
        ({"data": "sample", "scale": None}, False),
        ({"data": "yelp", "scale": None}, False),
    ],
)
def test_a_scale_that_was_not_given_is_noted_for_files_only(options: dict[str, Any], noted: bool) -> None:
    assert (("note", "Scale not given") in raised(prepared={**PREPARED, "options": options})) == noted


def test_rounded_stars_are_noted() -> None:
    assert raised(prepared={**PREPARED, "rounded": True}) == [("note", "Stars rounded")]


def test_a_star_is_rare_below_a_quarter_of_an_even_share() -> None:
    def text(counts: dict[str, int], scale: Scale) -> str:
        alerts = found(prepared={**PREPARED, "stars": counts}, scale=scale)
        return "".join(alert.text for alert in alerts if alert.title == "Rare stars")

    assert text({"1": 50, "2": 50, "3": 300, "4": 300, "5": 300}, Scale(1, 5)) == ""
    assert text({"1": 49, "3": 300, "4": 300, "5": 351}, Scale(1, 5)).startswith(
        "Few reviews have the stars 1 (5%) and 2 (0%): collect more"
    )
    assert "0 (0%), 5 (0%), 10 (0%) and 17 more" in text({"100": 1000}, Scale(0, 100, 5))


def test_large_groups_of_one_text_are_noted_and_removed_copies_counted() -> None:
    many = {**PREPARED, "near_identical": {"reviews": 400, "largest": 200}}
    assert raised(prepared=many) == [("note", "Near-identical reviews")]
    reasons = {"nearly identical to a test review": 7}
    assert any(title.endswith("(7 removed)") for title in passed(prepared={**PREPARED, "rejected_reasons": reasons}))
    before = {name: value for name, value in PREPARED.items() if name != "near_identical"}
    assert "no near-identical reviews on both sides of the split" in passed(prepared=before)


@pytest.mark.parametrize(("share", "expected"), [(0.04, []), (0.06, ["note"]), (0.65, ["warn"])])
def test_unknown_foreign_and_cut_off_texts_are_told(share: float, expected: list[str]) -> None:
    unknown = {"bundled": {"tokens": share, "texts": 1.0}}
    for read in (
        {"unknown_tokens": unknown},
        {"poorly_read": share},
        {"cut_off": {"bundled": {"limit": 256, "texts": share}}},
    ):
        assert [level for level, _ in raised(read={**READ, **read})] == expected


def test_a_features_stage_of_before_has_counted_nothing_that_is_cut_off() -> None:
    before = {name: value for name, value in READ.items() if name != "cut_off"}
    assert not any("to their end" in title for title in passed(read=before))


def test_the_section_says_the_level_in_words_and_escapes() -> None:
    template = _environment().get_template("sections/alerts.html")
    alerts = [
        Alert("warn", "<b>new", "Bad & wrong."),
        Alert("note", "Few", "More."),
        Alert("pass", "a"),
        Alert("pass", "b"),
    ]
    shown = template.render(alerts=alerts)
    assert "! Warning: &lt;b&gt;new.</strong> Bad &amp; wrong." in shown
    assert "i Note: Few.</strong> More." in shown
    assert "✓ Passed:</strong> a; b." in shown
    assert "Passed" not in template.render(alerts=alerts[:2])

"""Every decimal number of README.md and docs/llm.md that is a result stands in docs/results, rounded."""

import json
import re
import runpy
import shutil
from collections.abc import Iterable
from functools import cache
from html import unescape
from pathlib import Path

import pandas as pd
import pytest
from claims import Sentence, Table, unclaimed, without_code, wrong
from project import ROOT

from pipeline import load_sample
from pipeline.errors import PipelineError
from pipeline.project.paths import DatasetPaths
from pipeline.project.tables import TABLES, read_table
from pipeline.report.headline import headline
from pipeline.report.results import Results

YELP = DatasetPaths.of_reports(ROOT / "docs/results/yelp-5000")
SAMPLE = DatasetPaths.of_reports(ROOT / "docs/results/sample")
N = len(load_sample())


@cache
def results(paths: DatasetPaths, name: str) -> pd.DataFrame:
    return read_table(paths, name)


def row(table: str, paths: DatasetPaths = YELP, **named: object) -> "pd.Series[float]":
    """Return the one row of a table in which columns have these values."""
    found = results(paths, table)
    for column, value in named.items():
        found = found[found[column] == value]
    assert len(found) == 1, (table, named, len(found))
    return found.iloc[0]


def interval(found: "pd.Series[float]", name: str = "qwk") -> tuple[float, ...]:
    """Return a number with its interval."""
    bounds = ("low", "high") if name == "difference" else (f"{name}_low", f"{name}_high")
    return tuple(float(found[column]) for column in (name, *bounds))


def ahead(a: str, b: str, table: str = "contrasts") -> pd.DataFrame:
    """Return the sizes at which the first side is shown to be ahead of the second."""
    found = results(YELP, table)
    return found[(found["a"] == a) & (found["b"] == b) & (found["p_holm"] < 0.05) & (found["difference"] > 0)]


def seconds(side: str) -> float:
    """Return the seconds from raw texts to the line of a side that is best on all held-out reviews."""
    best = results(YELP, "sides").query("side == @side").sort_values("n_train").iloc[-1]
    return float(row("costs", features=best["features"], model=best["model"])["total_seconds"])


# README.md ------------------------------------------------------------------------------------------------------------

CURVES = "| | 0 | 10 | 20 |"
# The beginning of a row's first cell: which tables hold its numbers and differences, and as which side.
ROWS = {
    "T-method with know-how": ("know_how", "know_how_contrasts", "T-method"),
    "T-method": ("sides", "contrasts", "T-method"),
    "other models": ("sides", "contrasts", "other models"),
    "attention": ("sides", "contrasts", "attention"),
}


def beginning(cell: str, names: Iterable[str]) -> str:
    return next(name for name in names if cell.startswith(name))


def by_training_reviews(cells: list[str], heading: str) -> list[float] | None:
    if not heading:
        return None
    table, _, side = ROWS[beginning(cells[0], ROWS)]
    found = results(YELP, table)
    return found[(found["side"] == side) & (found["n_train"] == int(heading.replace(",", "")))]["qwk"].tolist()


def span(values: list[float]) -> tuple[float, float]:
    return min(values), max(values)


def readme() -> list[Sentence | Table]:
    against = ahead("T-method", "attention")
    without = results(YELP, "know_how").query("n_train == 0").set_index("side")["qwk"]
    changes = results(YELP, "changes").query("side in ['T-method', 'attention']").set_index("change")
    losses = -changes["difference"]
    n_train, n_held_out = results(YELP, "metrics")[["n_train", "n_test"]].iloc[0]
    sizes = results(YELP, "sides")["n_train"]
    return [
        Table(CURVES, by_training_reviews),
        Sentence("true stars of {} held-out Yelp reviews", (n_held_out,)),
        Sentence("QWK on the {} held-out reviews of {} Yelp reviews", (n_held_out, n_train + n_held_out)),
        Sentence("Training on {} raw texts", (n_train,)),
        Sentence("one of the {} embedded ones, read by a T-method that learned from the other {}", (N, N - 1)),
        Sentence("From {} on neither is shown to be ahead", (sizes[sizes > against["n_train"].max()].min(),)),
        Sentence(
            "With {} to {} training reviews the T-method is ahead of attention", span(against["n_train"].tolist())
        ),
        Sentence(
            "With {} to {} training reviews it is ahead of attention, by up to {} (95% interval {} to {})",
            (*span(against["n_train"].tolist()), *interval(against.loc[against["difference"].idxmax()], "difference")),
        ),
        Sentence(
            "raw texts takes {} s for the T-method and {} s for attention", (seconds("T-method"), seconds("attention"))
        ),
        Sentence(
            "the T-method starts at {} without any training review, attention with the same reviews at {}",
            (without["T-method"], without["attention"]),
        ),
        Sentence("and needs no gradient: {} ({} to {})", interval(results(YELP, "metrics").iloc[0])),
        Sentence(
            "and missing punctuation cost either side at most {}; shuffled or halved texts cost {} to {}",
            (
                losses[["shouting", "typos", "no_punctuation"]].max(),
                *span(losses[["shuffled", "truncated"]].tolist()),
            ),
        ),
    ]


# Numbers that are no results.
README_APART = [
    "Python 3.11",
    '"great" have 1.3 stars more',  # printed above it by the code, which test_readme.py runs
]


def test_bold_numbers_of_the_readme_are_the_sizes_at_which_a_side_is_ahead_of_attention() -> None:
    page = without_code((ROOT / "README.md").read_text(encoding="utf-8"))
    heading, _, *lines = page[page.index(CURVES) :].partition("\n\n")[0].splitlines()
    sizes = [size.strip().replace(",", "") for size in heading.strip("|").split("|")][1:]
    for line in lines:
        first, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        _, contrasts, side = ROWS[beginning(first.strip("*"), ROWS)]
        bold = {int(size) for size, cell in zip(sizes, cells, strict=True) if cell.startswith("**")}
        assert bold == set(ahead(side, "attention", contrasts)["n_train"]), first


def test_at_no_size_is_attention_ahead_of_the_t_method() -> None:
    assert "At no size is attention shown to be ahead" in (ROOT / "README.md").read_text(encoding="utf-8")
    for table in ("contrasts", "know_how_contrasts"):
        found = results(YELP, table).query("a == 'T-method' and b == 'attention' and p_holm < 0.05")
        assert (found["difference"] > 0).all()


# docs/llm.md ----------------------------------------------------------------------------------------------------------

IN_LLM = {
    "T-method": "T-method",
    "attention": "attention",
    "the language model, no example": "LLM, no example",
    "the same with five sentences of rules": "LLM, rules",
    "the same with two examples": "LLM, 2 examples a star",
    "its probabilities read by Ta": "LLM read by the Taguchi family",
    "its probabilities read by Ridge": "LLM read by Ridge",
    "its probabilities beside the words": "LLM + T-method",
    "SetFit": "SetFit",
}


def of_llm(cells: list[str], heading: str) -> tuple[float, ...] | None:
    side = IN_LLM[beginning(cells[0], IN_LLM)]
    if heading.isdecimal():
        return interval(row("peer_sides", side=side, n_train=int(heading)))
    column = {"training with 100, s": "train_seconds", "a review, ms": "review_ms"}.get(heading)
    return (row("peer_costs", side=side, n_train=100)[column],) if column else None


def of_setfit(cells: list[str], heading: str) -> tuple[float, ...] | None:
    if not (heading.isdecimal() and cells[0].startswith("SetFit")) or [cells[0], heading] == ["SetFit", "10"]:
        return None
    models = cells[0], f"{cells[0]} (class)"
    return tuple(row("peers", model=model, n_train=int(heading))["qwk"] for model in models)


def llm() -> list[Sentence | Table]:
    qwk = results(YELP, "peer_sides").set_index(["side", "n_train"])["qwk"]
    contrasts = results(YELP, "peer_contrasts").set_index(["a", "b", "n_train"]).sort_index()
    plain = contrasts.loc["LLM read by the Taguchi family", "LLM, 2 examples a star"]
    prompts = contrasts[contrasts.index.get_level_values("b") == "LLM, no example"]
    setfit = contrasts.loc["T-method", "SetFit"]
    costs = results(YELP, "peer_costs").set_index(["side", "n_train"])
    return [
        Table("| | 10 | 20 | 30 | 50 | 100 | training with 100, s |", of_llm),
        Table("| | 10 | 20 | 30 | 50 | 100 | fit, s of one core |", of_setfit),
        Sentence("takes {} GB of memory", (costs["peak_mb"]["LLM, no example", 100] / 1000,)),
        Sentence(
            "QWK {}, with rules {}, with two examples a star {} ({} with 10 reviews",
            (
                *(qwk[side, 100] for side in ("LLM, no example", "LLM, rules", "LLM, 2 examples a star")),
                qwk["LLM, 2 examples a star", 10],
            ),
        ),
        Sentence("(Holm p {} and more)", (prompts["p_holm"].min(),)),
        Sentence(
            "reach {} to {}, ahead of the plain expectation at every size (by {} to {}, Holm p {})",
            (
                *span(qwk["LLM read by the Taguchi family"].tolist()),
                *span(plain["difference"].tolist()),
                plain["p_holm"].max(),
            ),
        ),
        Sentence(
            "at a hundredth of the cost**: {} to {}, in {} ms a review",
            (*span(qwk["T-method"].tolist()), costs["review_ms"]["T-method", 100]),
        ),
        Sentence("estimates with 50 and 100 reviews ({})", (qwk["LLM + T-method", 50],)),
        Sentence(
            "by {} with 10 reviews, {} with 20, {} with 30, {} with 50, and {} with 100",
            tuple(setfit["difference"]),
        ),
        Sentence("none is sure (the least p is {})", (setfit["p_holm"].min(),)),
    ]


# Measured once, each by itself; no stage writes these into a file.
LLM_APART = [
    "expected at 2.44 stars, the bundled model made 2.28",
    "and 2.49 with a made-up example",
    "−18.5, −9.2 | 9.3",
    "−9.7, −18.0 | 8.2",
    "−14.8, −12.9 | 1.9",
    "−12.9, −14.8 | 1.8",
    "−14.6, −13.1 | 1.4",
    "−13.2, −14.5 | 1.3",
    "12.7 dB from all factors, 11.2 dB from the three strongest",
    "four noise conditions: 11.0 dB",
    "rises from 0.10 to 0.60, a difference of 0.50 (95% interval 0.40 to 0.58)",
    "| default prompt | 0.10 | 0.46 |",
    "| tuned prompt | 0.07 | 0.60 |",
    "SetFit up to 1.7 GB",
    "| SetFit | 0.26 (0.01) |",
    "Spearman's correlation was 0.31 without, 0.57 with a sentence of rules, and 0.75",
    "a file of 2.5 GB",
    "| 0.26 (0.48) | 0.39 (0.51) | 0.43 (0.56) | 0.52 (0.61) | 0.58 (0.62) |",
    "QWK 0.70 with 500 reviews and 0.81 with all 3,750",
    "sentence embedding has 0.79",
    "take no gradient step, 0.87",
]

PAGES = {"README.md": (readme, README_APART), "docs/llm.md": (llm, LLM_APART)}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_says_what_the_results_say(name: str) -> None:
    claims, _ = PAGES[name]
    assert wrong((ROOT / name).read_text(encoding="utf-8"), claims()) == []


@pytest.mark.parametrize("name", PAGES)
def test_no_decimal_number_of_a_page_comes_from_nowhere(name: str) -> None:
    claims, apart = PAGES[name]
    page = (ROOT / name).read_text(encoding="utf-8")
    assert unclaimed(page, claims(), apart) == []
    assert [passage for passage in apart if " ".join(passage.split()) not in " ".join(page.split())] == []


# The rendered report of the sample -----------------------------------------------------------------------------------


def test_the_rendered_report_of_the_sample_says_what_its_tables_say() -> None:
    page = (ROOT / "docs/sample-report.html").read_text(encoding="utf-8")
    assert len(page.encode()) < 2_000_000
    assert "default-src 'none'" in page
    shown = " ".join(
        unescape(re.sub(r"<style.*?</style>|<script.*?</script>|<[^>]*>", "", page, flags=re.DOTALL)).split()
    )
    found = Results(SAMPLE)
    first = headline(found)
    assert [sentence for sentence in (first.sentence, *first.advice, *found.sentences) if sentence not in shown] == []
    assert first.sentence in SAMPLE.summary.read_text(encoding="utf-8")
    best = results(SAMPLE, "metrics").iloc[0]
    first_row = re.split(r"</tr>", page[page.index('id="leaderboard"') :])[1]
    assert best["model"] in first_row
    values = [float(value) for value in re.findall(r'data-value="([-+.\de]+)"', first_row)]
    assert values[1:4] == pytest.approx(interval(best), abs=1e-5)
    assert "{:.2f} ({:.2f} to {:.2f})".format(*interval(best)) in SAMPLE.summary.read_text(encoding="utf-8")


# The files ------------------------------------------------------------------------------------------------------------


def test_the_files_hold_numbers_alone_and_a_second_copy_is_equal(tmp_path: Path) -> None:
    renew = runpy.run_path(str(ROOT / "docs/results/renew.py"))
    tables = {table.file for name, table in TABLES.items() if name not in renew["LEFT_OUT"]}
    allowed = tables | {"summary.md", "curves/verdict.json", "manifest.json"}
    allowed |= {f"{stage}/manifest.json" for stage in renew["STAGES"]}
    for paths in (SAMPLE, YELP):
        files = {path.relative_to(paths.reports).as_posix() for path in paths.reports.rglob("*") if path.is_file()}
        assert files <= allowed
    assert not YELP.summary.exists()
    renew["main"](str(YELP.reports), str(tmp_path))
    for path in tmp_path.rglob("*.*"):
        assert path.read_bytes() == (YELP.reports / path.relative_to(tmp_path)).read_bytes()


def test_a_file_that_names_a_place_of_this_machine_is_refused(tmp_path: Path) -> None:
    renew = runpy.run_path(str(ROOT / "docs/results/renew.py"))
    (tmp_path / "manifest.json").write_text(json.dumps({"inputs": {"/" + "tmp/reviews.csv": "0"}}))
    shutil.copy(YELP.reports / "metrics.csv", tmp_path)
    with pytest.raises(PipelineError, match="a place of this machine: run the stage with relative paths"):
        renew["main"](str(tmp_path), str(tmp_path / "copy"), "score")

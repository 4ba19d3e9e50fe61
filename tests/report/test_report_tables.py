"""The tables of the sections hold the numbers of the results."""

import numpy as np
import pandas as pd
from report_data import SIDES

from pipeline.project.conf import ReportConfig
from pipeline.report.costs import frontier
from pipeline.report.curves import contrast_table, crossover_table, same_lines, sides_by_size
from pipeline.report.page import render
from pipeline.report.results import Results
from pipeline.report.robustness import change_table, slice_tables


def test_sides_by_size_has_a_row_a_size_and_a_column_a_side(results: Results) -> None:
    table = sides_by_size(results.sides)
    assert table.columns == ["training reviews", *SIDES]
    assert [row[0] for row in table.rows] == [str(size) for size in sorted(set(results.sides["n_train"]))]
    first = results.sides.iloc[0]
    assert table.rows[0][1] == f"{first.qwk:.2f} ({first.qwk_low:.2f} to {first.qwk_high:.2f})"


def test_curves_with_know_how_are_told_apart_and_start_with_no_review(results: Results, page: str) -> None:
    assert "<h3>With know-how from elsewhere</h3>" in page
    assert "which count as 30 reviews together" in page
    table = sides_by_size(results.know_how, ", each side with know-how,")
    assert [row[0] for row in table.rows] == ["0", "30"]
    assert "QWK (95% interval), each side with know-how, by number of training reviews" in page
    without = Results(results.paths)
    vars(without)["know_how"] = pd.DataFrame()
    assert "know-how" not in render("d", without, [], ReportConfig(n_plots=1, n_items=1, n_mistakes=1))


def test_every_contrast_has_its_interval_and_its_corrected_p_value(results: Results, page: str) -> None:
    table = contrast_table(results.contrasts, results.n_held_out)
    assert len(table.rows) == len(results.contrasts)
    for row, line in zip(table.rows, results.contrasts.itertuples(), strict=True):
        assert row[2] == f"{line.difference:+.3f} ({line.low:+.3f} to {line.high:+.3f})"
        assert row[3:5] == ["< 0.001", "0.031"]
        assert row[5] == (line.a if line.difference > 0 else line.b)
        assert row[2] in page


def test_what_is_sure_is_highlighted_and_named_in_every_table_of_contrasts(results: Results, page: str) -> None:
    unsure = results.contrasts.assign(p_holm=np.where(results.contrasts["n_train"] < 100, 0.01, 0.2))
    table = contrast_table(unsure, results.n_held_out)
    assert {row[1] for place, row in enumerate(table.rows) if place in table.sure} == {"10", "30"}
    assert all((row[-1] == "–") == (place not in table.sure) for place, row in enumerate(table.rows))
    too_few = contrast_table(unsure, n_held_out=12)
    assert not too_few.sure
    assert {row[-1] for row in too_few.rows} == {"–"}
    assert page.count('<tr class="sure">') == len(results.contrasts) + len(results.know_how_contrasts)


def test_a_change_of_the_lead_is_sure_only_where_both_leads_are(results: Results) -> None:
    ahead = np.where(results.contrasts["n_train"] < 3000, 0.1, -0.1)
    contrasts = results.contrasts.assign(difference=ahead)
    for p_holm, sure in ((0.01, "yes"), (0.2, "no")):
        with_all = contrasts.assign(p_holm=np.where(ahead < 0, p_holm, 0.01))
        assert [row[-1] for row in crossover_table(results.crossovers, with_all, 200).rows] == [sure, "–"]


def test_sides_with_one_best_line_are_told(results: Results) -> None:
    assert same_lines(results.final) == []
    alike = results.final.assign(features="text_stats", model="Ta")
    assert same_lines(alike) == ["T-method, attention and combined have the same best line: Ta on text_stats."]


def test_a_change_shows_what_it_takes_from_the_unchanged_reviews(results: Results) -> None:
    table = change_table(results.changes)
    assert table.columns == ["change", *SIDES]
    names = ["unchanged", "typos", "shouting", "truncated", "shuffled"]
    names += ["no punctuation", "British spelling", "boilerplate", "added sentence"]
    assert [row[0] for row in table.rows] == names
    typos = results.changes[results.changes["change"] == "typos"]
    shown = [cell.lstrip("▼ ").split()[0].lstrip("+-") for cell in table.rows[1][1:]]
    assert shown == [f"{abs(d):.2f}" for d in typos["difference"]]


def test_within_one_star_the_error_is_shown_and_not_the_agreement(results: Results) -> None:
    by_kind = {table.columns[0]: table for table in slice_tables(results.slices)}
    assert by_kind["length"].caption.startswith("QWK")
    assert by_kind["stars"].caption.startswith("MAE")
    assert len(by_kind["stars"].rows) == 5


def test_no_line_is_both_better_and_cheaper_than_one_on_the_frontier(results: Results) -> None:
    best = frontier(results.costs)
    assert len(best)
    for line in best.itertuples():
        cheaper = results.costs["total_seconds"] <= line.total_seconds
        assert results.costs[cheaper]["qwk"].max() == line.qwk

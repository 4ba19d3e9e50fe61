"""Which figures the report shows, of which lines, and what they say to those who do not see them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from pipeline.evaluation.metrics import round_to_stars
from pipeline.features import TextStats
from pipeline.files import file_name
from pipeline.project.conf import ReportConfig
from pipeline.report import curve_plots, plots
from pipeline.report.figure import drawing, to_svg
from pipeline.report.results import Results
from pipeline.report.tables import interval, number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DASHES = {"Taguchi": "-", "other": "--", "baseline": ":"}
Kind = Literal["sides", "models", "pareto", "predictions", "confusion", "calibration", "items"]


@dataclass(frozen=True)
class Picture:
    """A figure: where on the page it belongs, the name of its file, what it says in words, and its SVG."""

    kind: Kind
    file: str
    text: str
    svg: str


def draw(results: Results, config: ReportConfig) -> list[Picture]:
    """Draw every figure of the report."""
    with drawing():
        figures = [
            *_curves(results),
            *_predictions(results, config.n_plots),
            *_confusions(results),
            *_calibration(results),
            *_items(results, config.n_items),
        ]
        return [
            Picture(kind, f"{file_name(name)}.svg", text, to_svg(figure, text)) for kind, name, text, figure in figures
        ]


_Figures = Iterator[tuple[Kind, str, str, "Figure"]]


def _curves(results: Results) -> _Figures:
    ends = "; ".join(
        f"{line['side']} {interval(line['qwk'], line['qwk_low'], line['qwk_high'])}"
        for line in results.final.to_dict("records")
    )
    text = f"Learning curves of the sides with 95% bands. QWK with all training reviews: {ends}."
    yield "sides", "learning_curves", text, curve_plots.side_curves(results.sides, results.crossovers)

    curves = results.curves
    family = {line["model"]: line["family"] for line in results.lines}
    look_of = {
        model: look._replace(linestyle=_DASHES[family.get(model, "other")])
        for model, look in plots.looks(curves["model"].tolist()).items()
    }
    limits = (min(0.0, float(curves["qwk"].min())) - 0.02, float(curves["qwk"].max()) + 0.03)
    names = f"Which line is which model in the figures beside this one: {', '.join(look_of)}."
    yield "models", "models", names, curve_plots.legend(look_of)
    for features, own in curves.groupby("features", sort=False):
        last = own[own["n_train"] == own["n_train"].max()].dropna(subset="qwk").nlargest(1, "qwk")
        leader = "".join(f" With most reviews {best.model} leads, QWK {best.qwk:.2f}." for best in last.itertuples())
        text = f"Learning curves of {own['model'].nunique()} models on {features}.{leader}"
        yield "models", f"models_{features}", text, curve_plots.model_curves(own, look_of, limits, str(features))

    costs = results.costs
    best = curve_plots.frontier(costs)
    families = [results.families.get(f"{line.features} / {line.model}", "other") for line in costs.itertuples()]
    steps = "; ".join(
        f"{place}. {line.model} on {line.features}, {line.total_seconds:.3g} s, QWK {line.qwk:.2f}"
        for place, line in enumerate(best.itertuples(), start=1)
    )
    text = f"QWK against seconds of training for {len(costs)} lines. On the frontier: {steps or 'none'}."
    yield "pareto", "pareto", text, curve_plots.pareto(costs, families)


def _predictions(results: Results, n_plots: int) -> _Figures:
    for line in results.metrics.drop_duplicates("model").head(n_plots).to_dict("records"):
        text = (
            f"Predicted against true stars, {line['model']} on {line['features']}: "
            f"QWK {number(line['qwk'])}, MAE {number(line['mae'])} stars."
        )
        figure = plots.predicted_against_true(
            results.predictions["stars"], results.predictions[line["name"]], f"{line['model']}\n{line['features']}"
        )
        yield "predictions", f"predictions_{line['name']}", text, figure


def _confusions(results: Results) -> _Figures:
    stars = results.predictions["stars"]
    for line in results.final.to_dict("records"):
        rounded = round_to_stars(results.predictions[line["name"]])
        exact, near = (float((abs(rounded - stars) <= most).mean()) for most in (0, 1))
        text = (
            f"Confusion matrix of {line['side']}, {line['model']} on {line['features']}: "
            f"{exact:.0%} of the rounded stars are exact, {near:.0%} within one star."
        )
        title = f"{line['side']}: {exact:.0%} exact, {near:.0%} within 1"
        yield "confusion", f"confusion_{line['side']}", text, plots.confusion(stars, rounded, title)


def _calibration(results: Results) -> _Figures:
    spread = "; ".join(
        f"{line['side']} {number(line['slope_true'])}" for line in results.calibration.to_dict("records")
    )
    text = f"Mean true stars of reviews with about the same prediction. Slope of the truth on the prediction: {spread}."
    yield "calibration", "calibration", text, plots.calibration(results.calibration_bins)


def _items(results: Results, n_items: int) -> _Figures:
    for line, items in item_lines(results):
        lead = ", ".join(items["item"].head(3)) or "none"
        text = f"S/N ratio in dB of the strongest items of {line['model']} on {line['features']}; first come {lead}."
        figure = plots.strongest_items(items.head(n_items), f"{line['model']} on {line['features']}")
        yield "items", f"items_{line['name']}", text, figure


def item_lines(results: Results) -> list[tuple[dict[Any, Any], pd.DataFrame]]:
    """Return the items of the best T-method, and of the best one on text statistics, which are easiest to read.

    Returns
    -------
    list of (line of the leaderboard, its items sorted by S/N ratio)
    """
    t_methods = results.metrics[results.metrics["model"].isin(results.items["model"].unique())]
    plain = {name for name, config in results.feature_configs.items() if config["transformer"] == TextStats.__name__}
    parts = {line["name"]: set(line["parts"] or []) for line in results.lines}
    on_plain = [bool(parts.get(name)) and parts[name] <= plain for name in t_methods["name"]]
    chosen = pd.concat([t_methods.head(1), t_methods[on_plain].head(1)]).drop_duplicates("name")
    tables = []
    items = results.items
    for line in chosen.to_dict("records"):
        own = (items["features"] == line["features"]) & (items["model"] == line["model"]) & (items["eta"] > 0)
        tables.append((line, items[own].sort_values("eta", ascending=False)))
    return tables

"""Learning curves of sides and models, by how much the sides differ, and where the lead changes."""

from collections.abc import Iterator
from dataclasses import replace

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.evaluation.verdict import lead_surely_changes, surely_ahead
from pipeline.format import interval, listed, p_text, short
from pipeline.report.figure import (
    INK,
    Look,
    Picture,
    legend_below,
    looks,
    new_axes,
    new_figure,
    picture,
)
from pipeline.report.live import hint_bands, switchable
from pipeline.report.results import Results
from pipeline.report.table import LINE, QWK, Table, cell, long_table, wide_table

_TICKS = [base * 10**power for power in range(7) for base in (1, 3)]
_CONTRAST = "{a} against {b}".format_map
_MOST_BANDS = 7  # more of them would hide each other
_DASHES = {"Taguchi": "-", "other": "--", "baseline": ":"}


def draws_in_words(curves: pd.DataFrame) -> str:
    """Return how often the training reviews were drawn at which sizes.

    Examples
    --------
    >>> draws_in_words(pd.DataFrame({"n_train": [10, 20, 50, 384], "n_draws": [30, 30, 5, 1]}))
    '30 draws each of 10 to 20 reviews, 5 draws of 50, all 384 once'
    """
    sizes = curves.groupby("n_train")["n_draws"].max()
    *smaller, last = sizes.index
    parts: list[str] = []
    for n_draws, drawn in sizes.loc[smaller].groupby(sizes.loc[smaller], sort=False):
        draws = "one draw" if n_draws == 1 else f"{n_draws} draws"
        at = f"each of {drawn.index[0]} to {drawn.index[-1]}" if len(drawn) > 1 else f"of {drawn.index[0]}"
        parts.append(f"{draws} {at}" if parts else f"{draws} {at} reviews")
    return ", ".join([*parts, f"all {last} once"])


def sides_now(final: pd.DataFrame, costs: pd.DataFrame) -> Table:
    """Return the line of each side with all training reviews, its QWK, and its cost where that was measured."""
    line = ["features", "model"]
    measured = final.merge(costs[[*line, "total_seconds"]], how="left", on=line)
    cells = {
        "side": cell(str, "side"),
        "its best line on all of them": LINE,
        "QWK of the side (95%)": QWK,
        "training seconds": cell(short, "total_seconds"),
    }
    return long_table(f"The sides with all {final['n_train'].max()} training reviews", measured, cells, n_names=2)


def same_lines(final: pd.DataFrame) -> list[str]:
    """Return a sentence for each line that more than one side has chosen.

    Examples
    --------
    >>> final = pd.DataFrame({"side": ["combined", "T", "A"], "features": ["f", "g", "f"], "model": ["Ta", "Ta", "Ta"]})
    >>> same_lines(final)
    ['combined and A have the same best line: Ta on f.']
    """
    return [
        f"{listed(sides.tolist())} have the same best line: {model} on {features}."
        for (features, model), sides in final.groupby(["features", "model"], sort=False)["side"]
        if len(sides) > 1
    ]


def sides_by_size(sides: pd.DataFrame, beside: str = "") -> Table:
    """Return QWK with its interval: training reviews as rows, sides as columns; `beside` names what they have, too."""
    caption = f"QWK (95% interval){beside} by number of training reviews"
    table = sides.sort_values("n_train", kind="stable").rename(columns={"n_train": "training reviews"})
    return wide_table(caption, table, "training reviews", "side", QWK)


def contrast_table(contrasts: pd.DataFrame, n_held_out: int, beside: str = "") -> Table:
    """Return the QWK differences between sides, and who is surely ahead; `beside` names what they have, too."""
    ahead = [surely_ahead(row, n_held_out) or "–" for row in contrasts.to_dict("records")]
    cells = {
        "contrast": _CONTRAST,
        "training reviews": cell(str, "n_train"),
        "QWK difference (95%)": cell(interval, "difference", "low", "high", digits=3, sign=True),
        "p": cell(p_text, "p"),
        "p after Holm": cell(p_text, "p_holm"),
        "surely ahead": cell(str, "ahead"),
    }
    table = long_table(f"QWK of the first side minus the second{beside}", contrasts.assign(ahead=ahead), cells)
    return replace(table, sure={place for place, winner in enumerate(ahead) if winner != "–"})


def crossover_table(crossovers: pd.DataFrame, contrasts: pd.DataFrame, n_held_out: int) -> Table:
    """Return where the lead changes, in how many of the bootstrap resamples it does so, and whether that is sure."""
    at = cell(interval, "n", "n_low", "n_high", digits=0)
    cells = {
        "contrast": _CONTRAST,
        "ahead with few": cell(str, "ahead_small"),
        "ahead with all": cell(str, "ahead_large"),
        "lead changes at (95%)": lambda row: at(row) if pd.notna(row["n"]) else "none found",
        "resamples with a change": "{found:.0%}".format_map,
        "sure": cell(str, "sure"),
    }
    changes = crossovers.to_dict("records")
    sure = ["yes" if lead_surely_changes(change, contrasts, n_held_out) else "no" for change in changes]
    crossovers = crossovers.assign(sure=sure)
    crossovers.loc[crossovers["n"].isna(), "sure"] = "–"
    crossovers = crossovers.fillna({"ahead_small": "–", "ahead_large": "–"})
    return long_table("Training reviews at which the lead changes", crossovers, cells, n_names=3)


def pictures(results: Results) -> Iterator[Picture]:
    """Draw the sides, then a legend of models and the curves of all models on each feature set."""
    final = results.final
    ends = "; ".join(f"{line['side']} {QWK(line)}" for line in final.to_dict("records"))
    text = f"Learning curves of the sides with 95% bands. QWK with all training reviews: {ends}."
    yield picture("sides", "learning_curves", text, side_curves(results.sides, _sure_changes(results)))

    curves = results.curves
    families = {line.model: results.family(line) for line in results.lines}
    look_of = {
        model: look._replace(linestyle=_DASHES[families.get(model, "other")])
        for model, look in looks(curves["model"].tolist()).items()
    }
    limits = (min(0.0, float(curves["qwk"].min())) - 0.02, float(curves["qwk"].max()) + 0.03)
    names = f"Which line is which model in the figures beside this one: {', '.join(look_of)}."
    yield picture("models", "models", names, _legend(look_of))
    for features, of_features in curves.groupby("features", sort=False):
        last = of_features[of_features["n_train"] == of_features["n_train"].max()].dropna(subset="qwk")
        leads = " With most reviews {model} leads, QWK {qwk:.2f}.".format_map
        best = "".join(leads(line) for line in last.nlargest(1, "qwk").to_dict("records"))
        text = f"Learning curves of {of_features['model'].nunique()} models on {features}.{best}"
        yield picture("models", f"models_{features}", text, _model_curves(of_features, look_of, limits, str(features)))


def _sure_changes(results: Results) -> pd.DataFrame:
    """Return the changes of the lead with one side surely ahead before, and the other one surely ahead after."""
    changes, n_held_out = results.crossovers, results.n_held_out
    return changes[[lead_surely_changes(row, results.contrasts, n_held_out) for row in changes.to_dict("records")]]


def side_curves(sides: pd.DataFrame, crossovers: pd.DataFrame) -> Figure:
    """Draw the learning curve of each side, and below it where the lead changes; few sides have their 95% bands.

    On the page each size shows its values, and sides can be switched off.

    Parameters
    ----------
    sides : DataFrame with columns side, n_train, qwk, qwk_low, qwk_high
    crossovers : DataFrame with columns a, b, n, n_low, n_high, ahead_large
        Rows without `n` are left out: there the lead does not change.
    """
    found = crossovers[crossovers["n"].notna()]
    few = sides["side"].nunique() <= _MOST_BANDS
    strip = 0.55 * len(found)
    figure = new_figure(5.1, 3.6 + strip)
    heights = [4, strip] if len(found) else [4]
    axes, *below = figure.subplots(len(heights), sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for side, look in looks(sides["side"].tolist()).items():
        curve = sides[sides["side"] == side].sort_values("n_train")
        band = curve["n_train"], curve["qwk_low"], curve["qwk_high"]
        if few:
            switchable([axes.fill_between(*band, color=look.color, alpha=0.08, linewidth=0)], side)
        switchable(axes.plot(curve["n_train"], curve["qwk"], **look._asdict(), label=side, markersize=5), side)
    _reviews_axis(axes, sides["n_train"])
    axes.set(ylabel="QWK on held-out reviews")
    hint_bands(axes, *_values_by_size(sides))
    for strip_axes in below:
        _lead_changes(strip_axes, found)
    (below or [axes])[-1].set_xlabel("training reviews (log scale)")
    legend_below(figure, axes)
    (legend,) = figure.legends
    for handle, text in zip(legend.legend_handles, legend.get_texts(), strict=True):
        switchable([artist for artist in (handle, text) if artist], text.get_text())
    return figure


def _values_by_size(sides: pd.DataFrame) -> tuple[list[int], list[str]]:
    """Return the sizes, and for each the values of all sides, the highest first."""
    ordered = sides.sort_values(["n_train", "qwk"], ascending=[True, False])
    sizes = sorted(set(ordered["n_train"].tolist()))
    values = ordered.assign(value=[f"{row['side']}: {QWK(row)}" for row in ordered.to_dict("records")])
    at = [values.loc[values["n_train"] == size, "value"] for size in sizes]
    return sizes, ["\n".join([f"{size} training reviews", *of_size]) for size, of_size in zip(sizes, at, strict=True)]


def _lead_changes(axes: Axes, found: pd.DataFrame) -> None:
    for row, line in enumerate(found.to_dict("records")):
        behind = line["b"] if line["ahead_large"] == line["a"] else line["a"]
        axes.plot([line["n_low"], line["n_high"]], [row, row], color=INK, linewidth=2, alpha=0.5)
        axes.plot([line["n"]], [row], color=INK, marker="D", markersize=5)
        text = f"{line['ahead_large']} overtakes {behind} at about {line['n']:.0f}"
        axes.text(0.01, row - 0.4, text, transform=axes.get_yaxis_transform(), fontsize=9, va="center")
    axes.set(ylim=(len(found) - 0.6, -0.75), yticks=[])
    axes.spines["left"].set_visible(False)


def _model_curves(curves: pd.DataFrame, look_of: dict[str, Look], limits: tuple[float, float], title: str) -> Figure:
    """Draw the learning curve of each model on one feature set.

    Parameters
    ----------
    curves : DataFrame with columns model, n_train, qwk
    look_of : dict of str to Look
        For all models, so that a model looks alike on every feature set; see `_legend`.
    limits : (float, float)
        Ends of the QWK axis, equal for all feature sets.
    title : str
    """
    figure, axes = new_axes(4.2, 3.2, title)
    for model, curve in curves.sort_values("n_train").groupby("model", sort=False):
        axes.plot(curve["n_train"], curve["qwk"], **look_of[str(model)]._asdict(), markersize=4, linewidth=1.3)
    _reviews_axis(axes, curves["n_train"])
    axes.set(xlabel="training reviews (log scale)", ylabel="QWK", ylim=limits)
    return figure


def _legend(look_of: dict[str, Look]) -> Figure:
    """Draw which line is which, for figures that share their looks."""
    figure = new_figure(4.2, 0.3 + 0.22 * len(look_of))
    handles = [Line2D([], [], **look._asdict(), markersize=5, label=name) for name, look in look_of.items()]
    figure.legend(handles=handles, loc="center left", handlelength=4)
    return figure


def _reviews_axis(axes: Axes, sizes: "pd.Series[int]") -> None:
    """Make a log scale of training reviews with whole numbers on it."""
    low, high = float(sizes.min()) / 1.15, float(sizes.max()) * 1.15
    ticks = [tick for tick in _TICKS if low <= tick <= high] or [int(sizes.min())]
    axes.set(xscale="log", xlim=(low, high))
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set_xticks([], minor=True)

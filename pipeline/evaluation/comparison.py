"""Compare predictions of several models on equal rows, and say in a sentence what that shows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import pandas as pd

from pipeline.evaluation.inputs import check_names
from pipeline.evaluation.measured import Measured, measure, with_holm
from pipeline.evaluation.printed import Printed, shown_digits, too_few
from pipeline.format import number, p_text
from pipeline.scale import Scale

_SPELLED_OUT = 3  # models up to which the verdict speaks of every pair, and pairs that it gives the numbers of


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Printed):
    """What predictions show about their models; print it, or take its tables.

    Attributes
    ----------
    scores : DataFrame with columns name, score, low, high
        In the order of the predictions, with 95% intervals. Of sides also best, the line with the best score.
    differences : DataFrame with columns a, b, difference, low, high, p, p_holm, ahead
        Score of a minus score of b for every pair, in units of the metric. `p_holm` is `p` adjusted for the number
        of pairs; `ahead` is the better one where `p_holm` is below 0.05, else None.
    verdict : str
        What may be claimed, in a sentence or two.
    how : str
        How it was measured, in a sentence.
    """

    scores: pd.DataFrame
    differences: pd.DataFrame
    verdict: str
    how: str

    def _tables(self) -> list[pd.DataFrame]:
        return [self.scores, self.differences]


def compare(
    y: npt.ArrayLike,
    predictions: Mapping[Any, npt.ArrayLike],
    metric: str | Callable[[Any, Any], float] = "qwk",
    scale: Scale | None = None,
    *,
    greater_is_better: bool | None = None,
    sides: Mapping[Any, Sequence[Any]] | None = None,
    groups: npt.ArrayLike | None = None,
    n_resamples: int = 2000,
    random_state: int = 0,
) -> Comparison:
    """Compare predictions of two or more models on equal held-out rows.

    Rows are resampled by the paired bootstrap: all models are measured on the resampled rows together. Intervals are
    those of a t-distribution about the score, with the bootstrap's standard error, see
    `pipeline.evaluation.measured.spread`. p-values of all pairs are adjusted by Holm's method.

    Parameters
    ----------
    y : array-like of shape (n_rows,)
        Targets, of any kind that the metric takes.
    predictions : mapping of str to array-like of shape (n_rows,) or (n_draws, n_rows)
        By name. Several draws are predictions of one model trained several times, on other rows or with other seeds;
        the i-th draws of all models are a pair. The score is then the mean over the draws, and the interval holds for
        another draw, too.
    metric : {"qwk", "mae", "accuracy"} or callable, default="qwk"
        Quadratic weighted kappa, mean absolute error, or accuracy, which takes strings, too. A callable takes targets
        and predictions of some rows and returns a number, such as those of `sklearn.metrics`; it is called once for
        every resample, model and draw. Resamples that it is not defined for are left out, see `how`; where these are
        more than a tenth, nothing is claimed. It must be a mean or a smooth function of means, such as F1 or R²: the
        bootstrap knows nothing of an extreme such as ``max_error``, and tells equal models apart in one of four
        studies. Rare classes need many rows: by ROC AUC of 50 rows of which 15% are positive, equal models are told
        apart in about one of ten studies.
    scale : Scale, optional
        That of the targets. QWK and accuracy round predictions to it, the error clips them. By default predictions
        of whole numbers stay as they are, and QWK and accuracy round those of another model to whole numbers from the
        lowest to the highest target; the error takes all predictions as they are.
    greater_is_better : bool, optional
        Of a callable. By default a name that ends in ``_score`` is better where greater, one in ``_error``, ``_loss``
        or ``_deviance`` where smaller, unless it begins with ``neg_``.
    sides : mapping of str to list of str, optional
        Groups of predictions, by the name of the group. Sides are compared in place of single predictions: the
        line of a side is chosen on one half of the rows and measured on the other, both ways, so that a side with many
        lines is not flattered.
    groups : array-like of shape (n_rows,), optional
        The group of each row, where rows of one group are alike: of one person, say. Groups are resampled whole.
    n_resamples : int, default=2000
    random_state : int, default=0
        Seed of the resamples, and of the halves that sides are chosen on.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        If there are fewer than two models, an unknown metric, NaN, predictions of another length than `y`, inputs
        whose pandas indexes differ, or a metric that is not defined on all rows or in less than half of the resamples.

    References
    ----------
    B. Efron and R. Tibshirani, "An Introduction to the Bootstrap", Chapman & Hall, 1993, chapters 6 and 12.

    Examples
    --------
    >>> y = [1, 2, 3, 4, 5] * 20
    >>> comparison = compare(y, {"near": [1, 2, 3, 4, 4] * 20, "far": [3, 1, 2, 5, 3] * 20})
    >>> comparison.scores[["name", "score"]].round(2).to_numpy().tolist()
    [['near', 0.94], ['far', 0.42]]
    >>> comparison.differences["ahead"].tolist()
    ['near']
    """
    compared, what = (predictions, "predictions") if sides is None else (sides, "sides")
    check_names(compared, what)
    if len(compared) < 2:
        raise ValueError(f"Got {len(compared)} {what} to compare: give two or more.")
    options: dict[str, Any] = {"greater_is_better": greater_is_better, "sides": sides, "groups": groups}
    measured = measure(y, predictions, metric, scale, **options, n_resamples=n_resamples, random_state=random_state)
    differences = with_holm(measured.differences, measured.metric.greater_is_better, measured.n_units)
    scores = measured.scores
    verdict = _verdict(scores, differences, measured)
    return Comparison(scores, differences, verdict, how_measured(measured))


def how_measured(measured: Measured) -> str:
    """Say how scores were measured."""
    metric, (n_draws, n_resamples) = measured.metric, (measured.by_draw.shape[1], len(measured.resampled))
    units = f"{measured.n_rows:,} rows"
    if measured.n_units < measured.n_rows:
        units = f"{measured.n_units:,} groups ({units})"
    done = "clipped" if metric.name == "mean absolute error" else "rounded"
    of = f" of predictions {done} to the scale {metric.scale}" if metric.scale else ""
    of += "" if metric.greater_is_better else " (less is better)"
    draws = f", mean of {n_draws} draws" if n_draws > 1 else ""
    chosen = "; a side's line is chosen on one half of them and measured on the other" if measured.best else ""
    name, intervals = f"{metric.name[0].upper()}{metric.name[1:]}", "with 95% intervals from"
    left_out = ""
    if measured.undefined:
        share = f"{measured.undefined:.1%}" if measured.undefined >= 0.001 else "less than 0.1%"
        left_out = f"; {share} of the resamples are left out, since the metric is not defined there"
        left_out += "" if measured.is_surely_defined else ": too many to claim a difference"
    return f"{name}{of}{draws}, {intervals} {n_resamples:,} bootstrap resamples of {units}{chosen}{left_out}."


def _verdict(scores: pd.DataFrame, differences: pd.DataFrame, measured: Measured) -> str:
    if few := too_few(measured.n_units, measured.n_rows):
        return few
    metric, digits = measured.metric, shown_digits(differences)
    order = scores["score"].sort_values(ascending=not metric.greater_is_better, kind="stable").index
    names = scores["name"].loc[order].tolist()
    spelled, many = differences, len(names) > _SPELLED_OUT
    if many:
        spelled = differences[_is(differences["a"], names[0]) | _is(differences["b"], names[0])]
    parts = [_lead(name, spelled[_is(spelled["ahead"], name)], f"in {metric.name}", digits) for name in names]
    unsure = spelled[spelled["ahead"].isna()]
    if many and len(unsure) == len(spelled):
        parts = [f"{names[0]} scores best, and is shown to be ahead of none of the {len(unsure)} others"]
    elif many and len(unsure) > 1:
        parts.append(f"it is not shown to be ahead of the {len(unsure)} others")
    else:
        parts.append(_not_shown(unsure, digits))
    if len(others := differences.drop(spelled.index)):
        parts.append(f"{int(others['ahead'].notna().sum())} of the {len(others)} other pairs are shown to differ")
    groups = "" if measured.n_units == measured.n_rows else f" in {measured.n_units:,} groups"
    return f"On {measured.n_rows:,} rows{groups}, {'; '.join(part for part in parts if part)}."


def _is(column: "pd.Series[Any]", name: Any) -> "pd.Series[bool]":
    # A tuple is a name, too, where pandas would take it for several.
    return column.map(lambda each: each == name).astype(bool)


def _lead(name: Any, wins: pd.DataFrame, of_metric: str, digits: int) -> str:
    many = len(wins) > _SPELLED_OUT
    shown = wins.loc[[wins["difference"].abs().idxmin()]] if many else wins
    parts: list[str] = []
    for _, row in shown.iterrows():
        low, high = sorted((abs(row["low"]), abs(row["high"])))
        loser, by = row["b"] if row["a"] == name else row["a"], number(abs(row["difference"]), digits)
        interval = f"95% interval {number(low, digits)} to {number(high, digits)}, Holm p {p_text(row['p_holm'])}"
        parts.append(f"of {loser} by {by} {'' if parts else f'{of_metric} '}({interval})")
    nearest = f"of {len(wins)} others, and " if many else ""
    return f"{name} is ahead {nearest}{' and '.join(parts)}{', the nearest of them' if many else ''}" if parts else ""


def _not_shown(pairs: pd.DataFrame, digits: int) -> str:
    parts = []
    for _, row in pairs.iterrows():
        difference, low, high = (number(row[key], digits, sign=True) for key in ("difference", "low", "high"))
        interval = f"{difference}, 95% interval {low} to {high}, Holm p {p_text(row['p_holm'])}"
        parts.append(f"whether {row['a']} differs from {row['b']} is not shown ({interval})")
    return "; ".join(parts)

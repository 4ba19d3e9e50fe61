"""Taguchi's parameter design: the levels of factors that make a system's output robust, from a few runs."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.errors import needs_extra
from pipeline.taguchi.base import Array
from pipeline.taguchi.factors import Factors, Settings, check_factors, conditions_of, level_numbers, settings_of
from pipeline.taguchi.orthogonal_arrays import ArrayName
from pipeline.taguchi.output_sn_ratio import Kind, OutputSN, check_signal, output_sn_ratio

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Run = Callable[[Settings, Any], npt.ArrayLike]
_RESULTS = ["sn_ratio", "sensitivity"]


@dataclass(frozen=True)
class ParameterDesign:
    """The result of `parameter_design`.

    Attributes
    ----------
    factors : dict of str to list
        The control factors and their levels.
    array : str
        Name of the inner orthogonal array.
    runs : DataFrame of shape (n_runs, n_factors + 2)
        The level of each factor in each run, `sn_ratio` in dB, and `sensitivity`: the slope (dynamic) or the mean
        output (static). The index counts from 1.
    level_means : DataFrame
        A row for each level of each factor: `factor`, `level`, `n_runs` at that level, and the means of `sn_ratio` and
        `sensitivity` over them.
    effects : DataFrame
        A row for each factor, the strongest first: `range`, the highest less the lowest level mean in dB, and `share`,
        the part of the sum of squares of the S/N ratios that lies between its levels. What is missing to a sum of 1
        lies on columns without a factor: interactions and error.
    optimum : dict
        The level with the highest mean S/N ratio of each factor; of equal ones the first.
    default : dict
        The settings to compare with.
    noise : list
        The noise conditions.
    sn : {"dynamic", "linear", "larger", "smaller", "nominal"}
        Which S/N ratio.
    signal : ndarray or None
        The signal of a dynamic one.
    """

    factors: Factors
    array: ArrayName
    runs: pd.DataFrame
    level_means: pd.DataFrame
    effects: pd.DataFrame
    optimum: Settings
    default: Settings
    noise: list[Any]
    sn: Kind
    signal: Array | None

    def predict(self, settings: Mapping[str, Any], n_strong: int | None = None) -> float:
        """Return the S/N ratio that the additive model predicts.

        It is the mean over all runs, and for each factor the mean at its level less the mean over all runs. That is
        right as far as the effects of the factors add up in dB.

        Parameters
        ----------
        settings : mapping of str to level
            A level of each factor.
        n_strong : int, optional
            How many factors, the strongest first, count. Default: all. Of a weak factor the best level is best by
            chance, so all factors together promise too much at the optimum; Taguchi counts about half of them.

        Returns
        -------
        float
            In dB.

        Raises
        ------
        ValueError
            If a factor is missing or unknown, a value is no level, or `n_strong` is out of its range.
        """
        _check_settings(self.factors, settings, "settings")
        if n_strong is not None and not 0 <= n_strong <= len(self.factors):
            raise ValueError(f"n_strong must be from 0 to the {len(self.factors)} factors, got {n_strong!r}.")
        mean = float(self.runs["sn_ratio"].mean())
        at_level = [self._means(name)[self.factors[name].index(settings[name])] for name in self.effects.index]
        return mean + float(sum(each - mean for each in at_level[:n_strong]))

    def confirm(
        self, run: Run, *, noise: Any = None, signal: npt.ArrayLike | None = None, n_strong: int | None = None
    ) -> pd.DataFrame:
        """Run the default settings and the optimum, and compare with what was predicted.

        A confirmed gain far from the predicted one means that the effects do not add up (interactions between the
        factors), or that the runs do not repeat. Data that the design has not seen make it an honest measurement. Where
        the default carries no signal it has the floor of `output_sn_ratio`, which is lower for more outputs: then the
        gain is how far the optimum stands above what could be told from no signal.

        Parameters
        ----------
        run : callable
            As in `parameter_design`; one that uses other data, where there are any.
        noise, signal : optional
            Those of the other data, as in `parameter_design`. Default: those of the design.
        n_strong : int, optional
            As in `predict`.

        Returns
        -------
        DataFrame
            Rows `default`, `optimum` and `gain`, columns `predicted` and `confirmed`, all in dB.

        Raises
        ------
        ValueError
            As in `parameter_design`.
        """
        conditions = self.noise if noise is None else conditions_of(noise)
        M = self.signal if signal is None else check_signal(self.sn, signal)
        rows = {"default": self.default, "optimum": self.optimum}
        measured = [_measured(run, settings, conditions, self.sn, M, name) for name, settings in rows.items()]
        _warn_of_floor(measured)
        table = pd.DataFrame(
            {
                "predicted": [self.predict(settings, n_strong) for settings in rows.values()],
                "confirmed": [each.sn_ratio for each in measured],
            },
            index=list(rows),
        )
        table.loc["gain"] = table.loc["optimum"] - table.loc["default"]
        return table

    @needs_extra("effect_chart", "workbench")
    def effect_chart(self) -> "Figure":
        """Draw the factorial effect chart: the mean S/N ratio at each level of each factor, and the mean of all runs.

        Returns
        -------
        Figure
            Of matplotlib, without any global state; `pipeline.taguchi.plots.EffectChartDisplay` draws into axes.

        Raises
        ------
        ImportError
            If the extra `workbench` is not installed.
        """
        from matplotlib.figure import Figure

        from pipeline.taguchi.plots.effect_chart import EffectChartDisplay, chart_size

        figure = Figure(figsize=chart_size(self.level_means["factor"]), layout="constrained")
        EffectChartDisplay.from_design(self, ax=figure.subplots())
        return figure

    def _means(self, factor: str) -> Array:
        """Return the mean S/N ratio at each level of a factor."""
        return self.level_means.loc[self.level_means["factor"] == factor, "sn_ratio"].to_numpy(dtype=np.float64)


def parameter_design(
    run: Run,
    factors: Mapping[str, Sequence[Any]],
    *,
    noise: Any = None,
    signal: npt.ArrayLike | None = None,
    sn: Kind = "dynamic",
    array: ArrayName | None = None,
    default: Mapping[str, Any] | None = None,
) -> ParameterDesign:
    """Find the levels of control factors that give the highest S/N ratio, from the runs of an orthogonal array.

    Each row of the inner array sets all factors. It is run under every noise condition (the outer array), and its
    outputs give one S/N ratio, see `output_sn_ratio`. The mean over the runs at a level shows the effect of that level,
    since all levels of the other factors come equally often among them. Seven factors of two levels take 8 or 16 runs
    in place of 128.

    Parameters
    ----------
    run : callable
        ``run(settings, condition)`` returns the outputs, a number or an array-like: `settings` maps each factor to its
        level, `condition` is an element of `noise`, or None. With a signal, one output for each of its values.
    factors : mapping of str to sequence
        The 2 or 3 levels of each control factor; any objects.
    noise : sequence, or mapping of str to sequence, optional
        A list of noise conditions; or noise factors and their levels, then a condition is a dict as `settings` is: all
        combinations, or the smallest orthogonal array where that has fewer runs.
    signal : array-like of shape (n_outputs,), optional
        The signal M, for the dynamic S/N ratios.
    sn : {"dynamic", "linear", "larger", "smaller", "nominal"}, default="dynamic"
        Which S/N ratio: of outputs that follow a signal from zero (`dynamic`) or from its mean (`linear`), that are to
        be large, small, or near a value.
    array : {"L4", "L8", "L9", "L12", "L16", "L18"}, optional
        The inner array. Default: the smallest that holds the factors. Where it is full, interactions of two factors
        fall on other factors; up to 4 factors in L8 and up to 8 in L16 are free of them.
    default : mapping of str to level, optional
        The settings in use, to compare the optimum with. Default: the first level of each factor.

    Returns
    -------
    ParameterDesign
        Runs, level means, effects, optimum; it predicts, confirms, and draws the effect chart.

    Raises
    ------
    ValueError
        If the factors are not as said or do not fit the array, `default` is no setting of theirs, or a run does not
        return finite outputs of the right number.

    Warns
    -----
    UserWarning
        If runs carry no signal, so that their S/N ratio is the lowest there is.

    References
    ----------
    G. Taguchi, S. Chowdhury, Y. Wu, "Taguchi's Quality Engineering Handbook", Wiley, 2005.
    M. S. Phadke, "Quality Engineering Using Robust Design", Prentice Hall, 1989.

    Examples
    --------
    A spring balance, read at two temperatures:

    >>> def run(settings, temperature):
    ...     drift = 0.1 if settings["steel"] == "plain" else 0.02
    ...     return [weight * (1 + drift * temperature) + 1 / settings["turns"] for weight in (1, 2, 3)]
    >>> factors = {"steel": ["plain", "invar"], "turns": [5, 10, 20]}
    >>> design = parameter_design(run, factors, noise=[-1, 1], signal=[1, 2, 3])
    >>> design.optimum
    {'steel': 'invar', 'turns': 20}
    >>> design.confirm(run).round(1)
             predicted  confirmed
    default       11.8       12.7
    optimum       24.5       25.9
    gain          12.7       13.2
    """
    levels = check_factors(factors)
    if clash := [name for name in _RESULTS if name in levels]:
        raise ValueError(f"A factor must not be called {clash[0]!r}: that is a column of the runs.")
    conditions = conditions_of(noise)
    current = {name: values[0] for name, values in levels.items()} if default is None else dict(default)
    _check_settings(levels, current, "default")
    M = check_signal(sn, signal)
    name, numbers = level_numbers(levels, array)
    settings = settings_of(levels, numbers)
    measured = [_measured(run, each, conditions, sn, M, f"run {i}") for i, each in enumerate(settings, start=1)]
    _warn_of_floor(measured)
    runs = pd.DataFrame({factor: pd.Series([each[factor] for each in settings], dtype=object) for factor in levels})
    runs = runs.assign(**{result: [getattr(each, result) for each in measured] for result in _RESULTS})
    runs.index += 1
    means = _level_means(levels, numbers, runs)
    best = {factor: levels[factor][int(rows["sn_ratio"].to_numpy().argmax())] for factor, rows in _by_factor(means)}
    effects = _effects(means, runs["sn_ratio"].to_numpy())
    return ParameterDesign(levels, name, runs, means, effects, best, current, conditions, sn, M)


def _measured(run: Run, settings: Settings, conditions: list[Any], sn: Kind, M: Array | None, name: str) -> OutputSN:
    """Return the S/N ratio of the outputs under all conditions."""
    try:
        outputs = [np.ravel(np.asarray(run(dict(settings), condition), dtype=np.float64)) for condition in conditions]
        if len({len(each) for each in outputs}) > 1:
            raise ValueError(f"Under each noise condition as many outputs are needed, got {[*map(len, outputs)]}.")
        return output_sn_ratio(outputs, sn, M)
    except ValueError as error:
        raise ValueError(f"{name[0].upper()}{name[1:]} {settings}: {error}") from error


def _warn_of_floor(measured: list[OutputSN]) -> None:
    if low := [each.sn_ratio for each in measured if each.at_floor]:
        warnings.warn(
            f"{len(low)} of {len(measured)} settings carry no signal above their error: "
            f"their S/N ratio is taken as the lowest, {low[0]:.1f} dB.",
            UserWarning,
            stacklevel=3,
        )


def _level_means(factors: Factors, numbers: npt.NDArray[np.int8], runs: pd.DataFrame) -> pd.DataFrame:
    rows = [
        {"factor": factor, "level": level, "n_runs": int(chosen.sum()), **runs.loc[chosen, _RESULTS].mean()}
        for (factor, levels), column in zip(factors.items(), numbers.T, strict=True)
        for level, chosen in ((level, column == i) for i, level in enumerate(levels))
    ]
    return pd.DataFrame(rows).astype({"level": object})


def _by_factor(means: pd.DataFrame) -> Any:
    return means.groupby("factor", sort=False)


def _effects(means: pd.DataFrame, sn_ratios: Array) -> pd.DataFrame:
    """Return range and share of each factor, the strongest first."""
    total = float(((sn_ratios - sn_ratios.mean()) ** 2).sum())
    rows = {}
    for factor, each in _by_factor(means):
        between = float(each["n_runs"] @ (each["sn_ratio"] - sn_ratios.mean()) ** 2)
        rows[factor] = {"range": np.ptp(each["sn_ratio"]), "share": between / total if total else 0.0}
    return pd.DataFrame.from_dict(rows, orient="index").sort_values("share", ascending=False, kind="stable")


def _check_settings(factors: Factors, settings: Mapping[str, Any], name: str) -> None:
    if set(settings) != set(factors):
        raise ValueError(f"{name} must have a level of each factor ({', '.join(factors)}), got {dict(settings)}.")
    for factor, levels in factors.items():
        if settings[factor] not in levels:
            raise ValueError(f"{name}: {factor} must be one of its levels {levels}, got {settings[factor]!r}.")

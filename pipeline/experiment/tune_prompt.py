"""The prompt of a language model by parameter design: a few runs, an effect chart, a gain in dB that is confirmed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import clone

from pipeline.deal import deal_folds, stratified
from pipeline.evaluation import CHANGES, FIVE_STARS, Scale, change_all, qwk, qwk_difference
from pipeline.llm.prompts import written
from pipeline.progress import progress_bar
from pipeline.taguchi import ParameterDesign, TMethodRegressor, parameter_design
from pipeline.taguchi.base import Array
from pipeline.taguchi.factors import check_factors, level_numbers
from pipeline.taguchi.orthogonal_arrays import ArrayName
from pipeline.text import check_texts

# Factors that are no parameters of the language model.
A_STAR, READING = "examples_a_star", "reading"
# From the highest to the lowest value of a scale.
_RULES = (
    "is praise without a complaint",
    "is praise with a small complaint",
    "is as much good as bad",
    "is a disappointment with something good",
    "is nothing good",
)
NOISE = (None, "typos", "shouting", "truncated")
_FOLDS = 5


class ConfirmedPrompt(NamedTuple):
    """What a tuned prompt gains on reviews that it was not tuned on.

    Attributes
    ----------
    gain : DataFrame
        Rows `default`, `optimum` and `gain`: S/N ratios in dB under all noise conditions, `predicted` and `confirmed`.
    qwk_default, qwk_tuned : float
        Quadratic weighted kappa of both prompts, on the reviews as they are.
    qwk_difference, low, high : float
        Tuned less default, with its 95% paired bootstrap interval.
    """

    gain: pd.DataFrame
    qwk_default: float
    qwk_tuned: float
    qwk_difference: float
    low: float
    high: float


@dataclass(frozen=True)
class _Ratings:
    """Rates reviews with any setting of the prompt.

    The T-method learns from the columns of the reviews that tune the prompt, without noise; these themselves are read
    by what the other folds teach.
    """

    llm: Any
    examples: tuple[list[str], Array]
    tuning: tuple[list[str], Array]
    random_state: int
    scale: Scale
    _clean: dict[str, Array] = field(default_factory=dict, repr=False)

    def fitted(self, settings: Mapping[str, Any]) -> Any:
        """Return the language model with these settings, fitted to the texts that are examples."""
        options = {name: value for name, value in settings.items() if name not in (A_STAR, READING)}
        llm = clone(self.llm).set_params(**options)
        if A_STAR in settings:
            n_stars = len(self.scale.values) if llm.examples == "nearest" else 1
            llm.set_params(n_examples=settings[A_STAR] * n_stars)
        return llm.fit(*self.examples)

    def of(self, texts: list[str] | None = None) -> Callable[[dict[str, Any], str | None], Array]:
        """Return the function that rates these reviews with a setting under a noise condition.

        Without texts it rates those that tune the prompt.
        """

        def rate(settings: dict[str, Any], change: str | None) -> Array:
            llm = self.fitted(settings)
            rated = self.tuning[0] if texts is None else texts
            changed = rated if change is None else change_all(rated, change, self.random_state)
            columns = llm.transform(changed)
            if settings.get(READING, "expectation") == "expectation":
                return columns[:, list(llm.get_feature_names_out()).index("expected")]
            key = repr(sorted(settings.items()))
            if key not in self._clean:
                self._clean[key] = columns if changed is self.tuning[0] else llm.transform(self.tuning[0])
            return self._read(self._clean[key], columns, inside=texts is None)

        return rate

    def _read(self, clean: Array, columns: Array, inside: bool) -> Array:
        """Return the T-method's reading of the columns."""
        stars, reader = self.tuning[1], TMethodRegressor("all", clip="range")
        if not inside:
            return np.asarray(reader.fit(clean, stars).predict(columns), dtype=np.float64)
        folds = deal_folds(stars, _FOLDS, self.random_state)
        ratings = np.empty(len(stars))
        for here in (folds == fold for fold in range(_FOLDS)):
            ratings[here] = reader.fit(clean[~here], stars[~here]).predict(columns[here])
        return ratings


@dataclass(frozen=True)
class TunedPrompt:
    """The result of `tune_prompt`.

    Attributes
    ----------
    design : ParameterDesign
        Runs, level means, effects, default, optimum and effect chart.
    llm : transformer
        The language model with the settings of the optimum, fitted to the texts that were left for examples.
    reading : {"expectation", "T-method"}
        How ratings are best read off its columns.
    """

    design: ParameterDesign
    llm: Any
    reading: str
    _ratings: _Ratings = field(repr=False)

    def confirm(
        self, texts: Any, stars: npt.ArrayLike, *, n_strong: int | None = None, n_resamples: int = 2000, seed: int = 0
    ) -> ConfirmedPrompt:
        """Rate held-out reviews with the default and with the tuned prompt.

        Parameters
        ----------
        texts : sequence of str
            Reviews that were not given to `tune_prompt`.
        stars : array-like of shape (n_texts,)
        n_strong : int, optional
            As in `ParameterDesign.predict`.
        n_resamples, seed : int
            Of the bootstrap.

        Returns
        -------
        ConfirmedPrompt
            The gain under all noise conditions, and the difference in QWK without noise.

        Raises
        ------
        ValueError
            If a star is no value of the scale, or as in `ParameterDesign.confirm`.
        """
        scale, rate = self._ratings.scale, self._ratings.of(check_texts(texts))
        y = scale.check(stars, "stars")
        gain = self.design.confirm(rate, signal=y, n_strong=n_strong)
        default, tuned = (rate(settings, None) for settings in (self.design.default, self.design.optimum))
        before, after = (float(qwk(y, scale.round(ratings), scale=scale)) for ratings in (default, tuned))
        return ConfirmedPrompt(gain, before, after, *qwk_difference(y, tuned, default, n_resamples, seed, scale))


def tune_prompt(
    llm: Any,
    texts: Any,
    stars: npt.ArrayLike,
    factors: Mapping[str, Sequence[Any]] | None = None,
    *,
    noise: Sequence[str | None] = NOISE,
    n_rated: int = 100,
    array: ArrayName | None = "L16",
    random_state: int = 0,
) -> TunedPrompt:
    """Tune the prompt of a language model, so that its ratings follow the stars whatever happens to the text.

    Some of the reviews are rated in each run of an orthogonal array, as they are and changed. The run's response is the
    S/N ratio `linear` of `output_sn_ratio`: ratings and stars are both measured from their means. Examples come from
    the other reviews, so that no review is rated with its stars in the prompt.

    Parameters
    ----------
    llm : LocalLLM
        Its settings are the default prompt. With a cache, a prompt that several runs have in common is asked once, and
        a tuning that was killed goes on where it stood.
    texts : sequence of str
        Training reviews.
    stars : array-like of shape (n_texts,)
    factors : mapping of str to sequence, optional
        2 or 3 levels of parameters of `llm`; of `examples_a_star`, how many examples there are for each value of the
        scale, whether balanced or nearest; and of `reading`: `expectation` is the column `expected`, `T-method` reads
        all columns by Ta, learned from the rated reviews in the other folds. Default: `prompt_factors`. The default
        prompt has the first level where its setting is none of them.
    noise : sequence of str or None
        Changes of `pipeline.evaluation.CHANGES`; None leaves the reviews as they are.
    n_rated : int, default=100
        Reviews that each run rates under each condition, from 10 to half of the reviews.
    array : str or None, default="L16"
        As in `parameter_design`.
    random_state : int, default=0
        Decides which reviews are rated, their folds, and the random changes.

    Returns
    -------
    TunedPrompt

    Raises
    ------
    ValueError
        If a star is no value of the scale, a factor is no parameter, there is no such change, `n_rated` is out of its
        range, or as in `parameter_design` and `LocalLLM`.
    OSError, ImportError
        As in `LocalLLM`.
    """
    texts, scale = check_texts(texts), llm.scale or FIVE_STARS
    y = scale.check(stars, "stars")
    if not 2 * _FOLDS <= n_rated <= len(texts) / 2:
        raise ValueError(f"n_rated must be from {2 * _FOLDS} to half of the {len(texts)} reviews, got {n_rated!r}.")
    factors = check_factors(prompt_factors(llm) if factors is None else factors)
    default = _default(llm, factors, len(scale.values))
    for change in noise:
        if change is not None and change not in CHANGES:
            raise ValueError(f"noise must be of None, {', '.join(CHANGES)}, got {change!r}.")
    rated = stratified(y, n_rated, np.random.default_rng(random_state))
    examples, tuning = (([texts[row] for row in np.flatnonzero(part)], y[part]) for part in (~rated, rated))
    ratings = _Ratings(llm, examples, tuning, random_state, scale)
    rate, n_runs = ratings.of(), len(level_numbers(factors, array)[1])
    with progress_bar(n_runs * len(noise), "tuning the prompt", "rating") as bar:

        def run(settings: dict[str, Any], change: str | None) -> Array:
            result = rate(settings, change)
            bar.update(1)
            return result

        design = parameter_design(
            run, factors, noise=list(noise), signal=tuning[1], sn="linear", array=array, default=default
        )
    return TunedPrompt(design, ratings.fitted(design.optimum), design.optimum.get(READING, "expectation"), ratings)


def prompt_factors(llm: Any) -> dict[str, list[Any]]:
    """Return seven factors of a prompt with two levels each, the first of which is the default of `LocalLLM`.

    No examples or two a star, balanced or nearest, their order, the words of the review, rules in front or not, the
    reading; and the chat template or the plain one. A model without a chat template has the words of an example
    there.

    Parameters
    ----------
    llm : LocalLLM
        Its rules are tried, where it has any.

    Raises
    ------
    ValueError, OSError, ImportError
        As in `LocalLLM.fit`.
    """
    chats = clone(llm).set_params(template="auto", n_examples=0).fit(["a text"]).chat_
    return {
        A_STAR: [0, 2],
        "examples": ["balanced", "nearest"],
        "order": ["mixed", "by star"],
        "n_words": [150, 60],
        **({"template": ["auto", "plain"]} if chats else {"n_example_words": [60, 30]}),
        "know_how": [None, llm.know_how or _rules(llm.scale or FIVE_STARS)],
        READING: ["expectation", "T-method"],
    }


def _rules(scale: Scale) -> str:
    """Return what five values of a scale, or its two ends where it has fewer, say of a review.

    Examples
    --------
    >>> _rules(Scale(0, 1))
    '1 is praise without a complaint, 0 is nothing good.'
    """
    n = len(scale.values)
    rules = _RULES if n >= len(_RULES) else (_RULES[0], _RULES[-1])
    places = np.linspace(n - 1, 0, len(rules)).astype(int)
    return ", ".join(f"{written(scale.values[place])} {rule}" for place, rule in zip(places, rules, strict=True)) + "."


def _default(llm: Any, factors: Mapping[str, Sequence[Any]], n_stars: int) -> dict[str, Any]:
    """Return the levels of the settings that the language model has."""
    current = llm.get_params() | {READING: "expectation"}
    current[A_STAR] = llm.n_examples // (n_stars if llm.examples == "nearest" else 1)
    if unknown := [name for name in factors if name not in current]:
        raise ValueError(
            f"{unknown[0]!r} is no factor of a prompt: take {A_STAR}, {READING} or a parameter of the model."
        )
    return {name: current[name] if current[name] in levels else levels[0] for name, levels in factors.items()}

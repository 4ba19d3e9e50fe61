"""The command predict: the star of one text, how likely each star is, and the words that made it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.errors import PipelineError, first_line
from pipeline.evaluation.word_contributions import WordContributions, word_contributions
from pipeline.experiment.bounded import Ratings
from pipeline.experiment.champion import find_model, load_model
from pipeline.experiment.transformers import without_warning_of_sentiment
from pipeline.experiment.unescape import unescape
from pipeline.format import counted, cut, number, printable
from pipeline.scale import Scale

_WIDTH = 40
_MOST_WORDS, _WORD_WIDTH = 20, 24
_LEAST = 0.005  # stars, which are shown as more than 0.00
UNKNOWN = "no word of it is in the training reviews: the star is their mean"


def run(text: str, dataset: str | None = None, model: Path | None = None, explain: bool = False) -> str:
    """Return the star of a text with the model behind it.

    Parameters
    ----------
    text : str
    dataset, model
        As in `find_model`.
    explain : bool, default=False
        Whether to tell what each word adds.

    Raises
    ------
    PipelineError
        If the text is empty or none, or the model is not to be had.
    """
    if not text.strip():
        raise PipelineError("the text is empty: give a review, in quotes")
    saved = find_model(dataset, model)
    regressor = load_model(saved)
    with reading_texts(saved.about):
        ratings = regressor.rate([text])
        # The words that the model reads: no amp of &amp; and no br of <br>.
        found = word_contributions(regressor.predict, unescape(text)[0]) if explain else None
    scale = Scale.parse(regressor.scale)
    lines = [f"{saved.about} · scale {scale}", *_bars(ratings, scale), _star(ratings, scale)]
    if found is not None:
        lines += ["", *_explained(found)]
    return printable("\n".join(lines))


@contextmanager
def reading_texts(about: str) -> Iterator[None]:
    """Tell in one line what a model cannot read, a model of another version say.

    Raises
    ------
    PipelineError
    """
    try:
        with without_warning_of_sentiment():
            yield
    except ValueError as error:
        raise PipelineError(printable(first_line(error))) from None
    except Exception as error:
        raise PipelineError(
            f"the model {about} cannot read this ({type(error).__name__}: {printable(first_line(error))}): "
            "run the score stage again"
        ) from None


def by_word(words: pd.DataFrame) -> "pd.Series[float]":
    """Return what each word adds, wherever it stands and in whatever letters; the strongest first.

    Examples
    --------
    >>> words = pd.DataFrame({"word": ["Good", "bad", "good"], "contribution": [0.5, -0.7, 0.5]})
    >>> by_word(words).to_dict()
    {'good': 1.0, 'bad': -0.7}
    """
    sums = words["contribution"].groupby(words["word"].str.lower(), sort=False).sum()
    return sums.sort_values(key=np.abs, ascending=False, kind="stable")


def _star(ratings: Ratings, scale: Scale) -> str:
    star = float(ratings.stars[0])
    said = f"star {number(star, 1)}, rounded {float(scale.round(star)):g}"
    return said if ratings.known[0] else f"{said}; {UNKNOWN}"


def _bars(ratings: Ratings, scale: Scale) -> list[str]:
    """Return a bar for each star; none where the model does not say how likely stars are."""
    if ratings.probabilities is None or not ratings.known[0]:
        return []
    shown = [f"{value:g}" for value in scale.values]
    width = max(map(len, shown))
    rows = zip(shown, ratings.probabilities[0], strict=True)
    return [f"{value:>{width}}  {p:.3f}  {'█' * round(_WIDTH * p)}".rstrip() for value, p in rows]


def _explained(found: WordContributions) -> list[str]:
    """Return the base and the words, up and down, which add up to the star."""
    from wcwidth import wcswidth

    words = by_word(found.words)
    n_shown = min(int((words.abs() >= _LEAST).sum()), _MOST_WORDS)
    shown, rest = words[:n_shown].sort_values(ascending=False), words[n_shown:]
    longest = float(shown.abs().max()) if len(shown) else 0.0
    lines = ["The words that made it, in stars:", f"{number(found.base):>6}  (without a word)"]
    for word, added in shown.items():
        name = cut(printable(str(word)), _WORD_WIDTH)
        bar = "█" * round(_WIDTH / 2 * abs(added) / longest)
        gap = " " * (_WORD_WIDTH - wcswidth(name))
        lines.append(f"{number(added, 2, sign=True):>6}  {name}{gap}  {bar}".rstrip())
    if len(rest):
        lines.append(f"{number(rest.sum(), 2, sign=True):>6}  ({counted(len(rest), 'more word')})")
    return [*lines, f"{number(found.prediction):>6}  (the star)"]

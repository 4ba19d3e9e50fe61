"""A model that answers within the scale, and with the training mean where it knows nothing of a text."""

from collections.abc import Iterable
from typing import Any, NamedTuple, Self
from zlib import crc32

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from pipeline.experiment.explanation import explain, only_base
from pipeline.experiment.unescape import unescape
from pipeline.scale import Scale
from pipeline.text import check_texts, words

Array = npt.NDArray[np.float64]


class Ratings(NamedTuple):
    """What a model says of some texts.

    Attributes
    ----------
    stars : ndarray of shape (n_texts,), float64
        As `BoundedRegressor.predict` returns them.
    probabilities : ndarray of shape (n_texts, n_values), float64, or None
        Of each value of the scale; NaN for a text without a known word. None where the model gives no probabilities.
    known : ndarray of shape (n_texts,), bool
        Whether a text holds a word of the training texts.
    """

    stars: Array
    probabilities: Array | None
    known: npt.NDArray[np.bool_]


class BoundedRegressor(RegressorMixin, BaseEstimator):
    """Predict stars from raw texts, within a scale; a text without a word of the training texts gets their mean star.

    Whatever the inner model makes of an empty text, of emoji or of a language that it has never seen is an accident of
    its columns. The mean says that nothing is known.

    Parameters
    ----------
    estimator : estimator
        Takes a list of str, predicts numbers.
    scale : str, default="1..5"
        As `pipeline.scale.Scale.parse` reads it.

    Attributes
    ----------
    estimator_ : estimator
        Fitted.
    mean_ : float
        Of the training stars.
    known_words_ : ndarray of shape (n_words,), uint32
        Checksums of the lower-case words of the training texts, sorted.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import CountVectorizer
    >>> from sklearn.linear_model import LinearRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> model = BoundedRegressor(make_pipeline(CountVectorizer(), LinearRegression()))
    >>> model = model.fit(["bad", "good", "so so"], [1, 5, 2])
    >>> model.predict(["good good good", "Bad!", "味は最高", ""]).round(1).tolist()
    [5.0, 1.0, 2.7, 2.7]
    """

    def __init__(self, estimator: Any, scale: str = "1..5"):
        self.estimator = estimator
        self.scale = scale

    def fit(self, X: Any, y: npt.ArrayLike) -> Self:
        """Fit the inner model, and remember the words and the mean.

        Parameters
        ----------
        X : sequence of str
        y : array-like of shape (n_texts,)
            Stars.

        Raises
        ------
        ValueError
            If `X` holds what is no text, or `scale` is none.
        """
        Scale.parse(self.scale)
        texts = check_texts(X)
        self.estimator_ = clone(self.estimator).fit(np.array(texts, dtype=object), y)
        self.mean_ = float(np.mean(np.asarray(y, dtype=np.float64)))
        self.known_words_ = known_words(texts)
        return self

    @classmethod
    def of_fitted(cls, estimator: Any, scale: Scale, mean: float, known: npt.NDArray[np.uint32]) -> Self:
        """Return the model around a fitted estimator.

        Parameters
        ----------
        estimator : fitted estimator
        scale : Scale
        mean : float
            Of the stars that it was fitted on.
        known : ndarray of shape (n_words,), uint32
            What `known_words` returns for the texts that it was fitted on.
        """
        model = cls(estimator, scale.written)
        model.estimator_, model.mean_, model.known_words_ = estimator, mean, known
        return model

    def predict(self, X: Any) -> Array:
        """Return the stars.

        Parameters
        ----------
        X : sequence of str

        Returns
        -------
        ndarray of shape (n_texts,), float64

        Raises
        ------
        ValueError
            If there is no text, or something that is none.
        """
        texts, known = self._read(X)
        predictions = np.full(len(texts), self.mean_)
        if known.any():
            predictions[known] = Scale.parse(self.scale).clip(self.estimator_.predict(texts[known])).reshape(-1)
        return predictions

    def rate(self, X: Any) -> Ratings:
        """Return the stars with their probabilities, where the inner model ends in a reader of a classifier.

        Parameters
        ----------
        X : sequence of str

        Returns
        -------
        Ratings

        Raises
        ------
        ValueError
            As in `predict`.

        Examples
        --------
        >>> from sklearn.feature_extraction.text import CountVectorizer
        >>> from sklearn.naive_bayes import MultinomialNB
        >>> from sklearn.pipeline import make_pipeline
        >>> from pipeline.evaluation import ExpectedStarRegressor
        >>> model = BoundedRegressor(make_pipeline(CountVectorizer(), ExpectedStarRegressor(MultinomialNB())))
        >>> stars, probabilities, known = model.fit(["bad", "good", "so so"], [1, 5, 2]).rate(["Good!", "?"])
        >>> probabilities.round(2).tolist()
        [[0.26, 0.21, 0.0, 0.0, 0.53], [nan, nan, nan, nan, nan]]
        >>> known.tolist(), stars.round(2).tolist()
        ([True, False], [3.32, 2.67])
        """
        texts, known = self._read(X)
        scale = Scale.parse(self.scale)
        stars = np.full(len(texts), self.mean_)
        model, steps = _last_step(self.estimator_)
        probabilities = np.full((len(texts), len(scale.values)), np.nan) if self.gives_probabilities else None
        if not known.any():
            return Ratings(stars, probabilities, known)
        # One reading of the texts for both.
        columns: Any = texts[known]
        for step in steps:
            columns = step.transform(columns)
        stars[known] = scale.clip(model.predict(columns)).reshape(-1)
        if probabilities is not None:
            probabilities[known] = 0.0
            places = np.ix_(np.flatnonzero(known), scale.position(model.stars_))
            probabilities[places] = model.star_probabilities(columns)
        return Ratings(stars, probabilities, known)

    @property
    def gives_probabilities(self) -> bool:
        """Whether the inner model says how likely each star is."""
        return hasattr(_last_step(self.estimator_)[0], "star_probabilities")

    def _read(self, X: Any) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.bool_]]:
        """Return the texts as the inner model reads them, and which hold a known word."""
        check_is_fitted(self, "known_words_")
        # As in training, where prepare has undone what exports leave.
        texts: npt.NDArray[np.object_] = np.array([unescape(text)[0] for text in check_texts(X)], dtype=object)
        if not len(texts):
            raise ValueError("Expected at least one text, got none.")
        return texts, np.array([holds_known_word(text, self.known_words_) for text in texts])

    def explain(self, text: str) -> pd.DataFrame:
        """Explain the stars of one text: what each word and each column adds.

        Parameters
        ----------
        text : str

        Returns
        -------
        DataFrame
            As `pipeline.experiment.explanation.explain` returns it. The contributions sum up to the prediction. A text
            without a word of the training texts has the base alone, their mean star.

        Raises
        ------
        ValueError
            If the inner model is no T-method and no unit spaces on features, or if the text is none.
        """
        check_is_fitted(self, "known_words_")
        text = unescape(check_texts([text])[0])[0]
        if not holds_known_word(text, self.known_words_):
            return only_base(self.mean_)
        return explain(self.estimator_, text, Scale.parse(self.scale))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags


def _last_step(estimator: Any) -> tuple[Any, list[Any]]:
    """Return the model that a pipeline ends in, perhaps a pipeline too, and the steps before it."""
    if not isinstance(estimator, Pipeline):
        return estimator, []
    model, steps = _last_step(estimator[-1])
    return model, [step for _, step in estimator.steps[:-1]] + steps


def known_words(texts: Iterable[str]) -> npt.NDArray[np.uint32]:
    """Return the checksums of all lower-case words of some texts, sorted.

    Examples
    --------
    >>> known_words(["Good food", "good!"]).size
    2
    """
    return np.array(sorted(set().union(*map(_checksums, texts))), dtype=np.uint32)


def holds_known_word(text: str, known: npt.NDArray[np.uint32]) -> bool:
    """Return whether a text holds one of the words that `known_words` has found.

    Examples
    --------
    >>> known = known_words(["Good food"])
    >>> holds_known_word("good!", known), holds_known_word("bad", known)
    (True, False)
    """
    sums = np.array(list(_checksums(text)), dtype=np.uint32)
    places = np.searchsorted(known, sums)
    inside = places < len(known)
    return bool((known[places[inside]] == sums[inside]).any())


def _checksums(text: str) -> set[int]:
    # A surrogate that stands alone has no other bytes.
    return {crc32(word.encode("utf-8", "surrogatepass")) for word in words(text.lower())}

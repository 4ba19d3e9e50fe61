"""A model that answers within the scale, and with the training mean where it knows nothing of a text."""

from collections.abc import Iterable
from typing import Any, Self
from zlib import crc32

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.utils.validation import check_is_fitted

from pipeline.experiment.explanation import explain, only_base
from pipeline.experiment.unescape import unescape
from pipeline.scale import Scale
from pipeline.text import check_texts, words

Array = npt.NDArray[np.float64]


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
        check_is_fitted(self, "known_words_")
        # As in training, where prepare has undone what exports leave.
        texts = [unescape(text)[0] for text in check_texts(X)]
        if not texts:
            raise ValueError("Expected at least one text, got none.")
        known = np.array([self._knows(text) for text in texts])
        predictions = np.full(len(texts), self.mean_)
        if known.any():
            read: npt.NDArray[np.object_] = np.array(texts, dtype=object)[known]
            predictions[known] = Scale.parse(self.scale).clip(self.estimator_.predict(read)).reshape(-1)
        return predictions

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
        return explain(self.estimator_, text, Scale.parse(self.scale)) if self._knows(text) else only_base(self.mean_)

    def _knows(self, text: str) -> bool:
        sums = np.array(list(_checksums(text)), dtype=np.uint32)
        places = np.searchsorted(self.known_words_, sums)
        inside = places < len(self.known_words_)
        return bool((self.known_words_[places[inside]] == sums[inside]).any())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags


def known_words(texts: Iterable[str]) -> npt.NDArray[np.uint32]:
    """Return the checksums of all lower-case words of some texts, sorted.

    Examples
    --------
    >>> known_words(["Good food", "good!"]).size
    2
    """
    return np.array(sorted(set().union(*map(_checksums, texts))), dtype=np.uint32)


def _checksums(text: str) -> set[int]:
    # A surrogate that stands alone has no other bytes.
    return {crc32(word.encode("utf-8", "surrogatepass")) for word in words(text.lower())}

"""A classifier of stars read by its most probable class."""

from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.evaluation.ordinal import ExpectedStarRegressor
from pipeline.taguchi.contributions import Contributions


class MostLikelyStarRegressor(ExpectedStarRegressor):
    """A classifier of stars, read as a regressor: it predicts the most probable star, as the classifier would.

    Parameters
    ----------
    classifier : estimator with predict_proba
        As in `ExpectedStarRegressor`.

    Attributes
    ----------
    classifier_, classes_per_star_
        As in `ExpectedStarRegressor`.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> model = MostLikelyStarRegressor(LogisticRegression()).fit([[0.0], [1.0], [2.0], [3.0]], [1, 1, 5, 5])
    >>> model.predict([[0.7], [2.8]]).tolist()
    [1.0, 5.0]
    """

    def predict(self, X: Any) -> npt.NDArray[np.float64]:
        """Return the star with the largest probability for each row, the lowest of equals."""
        return self.stars_[self.star_probabilities(X).argmax(axis=1)]

    def contributions(self, X: Any) -> Contributions:
        """Return what each item adds to the expected star; the rest is the step from there to the most likely star.

        Raises
        ------
        ValueError
            As in `ExpectedStarRegressor`.
        """
        return super().contributions(X).up_to(self.predict(X))

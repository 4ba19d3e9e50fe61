"""An integrated estimate of integrated estimates: the mean of several."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.ensemble import VotingRegressor
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted

from pipeline.taguchi.contributions import Contributions


class MeanRegressor(VotingRegressor):
    """The mean of several estimates of one target, such as the T-method's and the expected star of unit spaces.

    A T-method spreads its estimates too far, an expected star too little; their mean does neither. It is
    `sklearn.ensemble.VotingRegressor`, and says what each item adds.

    Parameters
    ----------
    estimators : list of (str, estimator)
        Regressors with their names.
    weights : array-like of shape (n_estimators,), default=None
        How much each counts; None: all alike.

    Examples
    --------
    >>> from pipeline.taguchi import TMethodRegressor
    >>> X, y = [[1.0], [2.0], [4.0]], [1.0, 2.0, 4.5]
    >>> model = MeanRegressor([("T(1)", TMethodRegressor()), ("Ta", TMethodRegressor("all"))]).fit(X, y)
    >>> parts = model.contributions(X)
    >>> abs(parts.total - model.predict(X)).max() < 1e-12
    np.True_
    """

    def take_fitted(self, estimators: Sequence[Any]) -> Self:
        """Take estimators that are fitted already, in place of `fit`.

        Parameters
        ----------
        estimators : sequence of fitted estimators
            Those of the parameter `estimators`, in its order.
        """
        self.estimators_ = list(estimators)
        self.named_estimators_ = Bunch(**dict(zip((name for name, _ in self.estimators), estimators, strict=True)))
        return self

    def contributions(self, X: Any) -> Contributions:
        """Return what each item adds to the mean: the mean of what it adds to each estimate.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        Contributions

        Raises
        ------
        ValueError
            If one of the estimators does not say what its items add.
        """
        check_is_fitted(self)
        for estimator in self.estimators_:
            if not hasattr(estimator, "contributions"):
                raise ValueError(f"{type(estimator).__name__} does not say what its items add.")
        parts = zip(*(estimator.contributions(X) for estimator in self.estimators_), strict=True)
        weights = self._weights_not_none
        return Contributions(*(np.average(np.stack(part), axis=0, weights=weights) for part in parts))

"""Ridge regression whose penalty is chosen by left-out rows, from the products of the columns."""

from typing import Any, Self

import numpy as np
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.utils.validation import validate_data


class GramRidgeCV(RidgeCV):
    r"""`sklearn.linear_model.RidgeCV` in less time where rows outnumber columns.

    There `RidgeCV` decomposes the whole table. One eigendecomposition of the products of its columns gives the error of
    every left-out row as well: with :math:`X'X = V W V'` and :math:`U = X V W^{-1/2}` the hat matrix of a penalty
    :math:`\alpha` is :math:`U \frac{W}{W + \alpha} U'`, beside 1/n for the intercept. With weights, or fewer rows than
    columns, it is `RidgeCV` itself.

    Parameters
    ----------
    alphas : array-like
        The candidates; each is larger than 0.

    Examples
    --------
    >>> X, y = [[0.0], [1.0], [2.0], [4.0]], [1.0, 2.0, 3.0, 5.0]
    >>> GramRidgeCV(alphas=[0.1, 10.0]).fit(X, y).alpha_
    0.1
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None, **params: Any) -> Self:
        """Choose the penalty by the mean squared error of left-out rows, and fit on all rows.

        Raises
        ------
        ValueError
            As `RidgeCV` does.
        """
        shape = np.shape(X)
        if sample_weight is not None or shape[0] <= shape[1]:
            return super().fit(X, y, sample_weight, **params)
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        rows, target = X - X.mean(axis=0), y - y.mean()
        squares, axes = np.linalg.eigh(rows.T @ rows)
        kept = squares > squares.max(initial=0) * len(squares) * np.finfo(np.float64).eps
        squares, turned = squares[kept], rows @ axes[:, kept] / np.sqrt(squares[kept])
        alphas = np.atleast_1d(np.asarray(self.alphas, dtype=np.float64))
        shares = squares[:, None] / (squares[:, None] + alphas)
        missed = target[:, None] - turned @ (shares * (turned.T @ target)[:, None])
        left_out = missed / (1 - 1 / len(rows) - turned**2 @ shares)
        self.alpha_ = float(alphas[(left_out**2).mean(axis=0).argmin()])
        chosen = Ridge(self.alpha_).fit(X, y)
        self.coef_, self.intercept_ = chosen.coef_, chosen.intercept_
        return self

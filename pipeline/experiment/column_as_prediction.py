"""A column that is a prediction already."""

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data


class ColumnAsPrediction(RegressorMixin, BaseEstimator):
    """Predict a column as it is: the expected star that a language model gives, say.

    Parameters
    ----------
    column : int
        Its position; -1 is the last one.

    Examples
    --------
    >>> ColumnAsPrediction(-1).fit([[7.0, 1.0], [8.0, 5.0]], [1, 5]).predict([[9.0, 2.5]]).tolist()
    [2.5]
    """

    def __init__(self, column: int):
        self.column = column

    def fit(self, X: Any, y: Any) -> Self:
        """Check that there is such a column.

        Raises
        ------
        ValueError
            If there is none.
        """
        X, _ = validate_data(self, X, y, y_numeric=True)
        if not -X.shape[1] <= self.column < X.shape[1]:
            raise ValueError(f"There is no column {self.column} among {X.shape[1]}: give a position that exists.")
        self.fitted_ = True
        return self

    def predict(self, X: Any) -> npt.NDArray[np.float64]:
        """Return the column."""
        check_is_fitted(self)
        return np.asarray(validate_data(self, X, reset=False)[:, self.column], dtype=np.float64)

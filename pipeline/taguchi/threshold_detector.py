"""Distances from a unit space, a threshold, and what they say of a row."""

import copy
import warnings
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import OutlierMixin
from sklearn.model_selection import KFold

from pipeline.taguchi.base import Array, Floating, ItemEstimator, Mask, by_block
from pipeline.taguchi.constant_items import ConstantItems, describe
from pipeline.taguchi.distance_contributions import check_squares
from pipeline.taguchi.thresholds import Threshold, quantile_threshold, rates, roc_threshold

_FOLDS = 20


class ThresholdDetector(OutlierMixin, ItemEstimator, ABC):
    """Distances, scores and labels of a unit space that has a threshold.

    A row that differs in what is constant in the unit space has no distance in that direction: it is an outlier
    whatever the others say.
    """

    threshold: Threshold
    false_alarm_rate: float
    threshold_: float
    operating_characteristic_: pd.DataFrame | None
    _constant: ConstantItems

    @abstractmethod
    def _learn(self, X: Any) -> None:
        """Learn the unit space from checked rows, all but the threshold."""

    @abstractmethod
    def _normal_threshold(self) -> float:
        """Return the threshold of the normal model."""

    @abstractmethod
    def _measured(self, X: Any) -> tuple[Floating, Mask]:
        """Return the distance of each checked row, and where it differs in each of the constant items."""

    @abstractmethod
    def _constant_names(self) -> list[str]:
        """Return what is constant, in the order of `_measured`."""

    @abstractmethod
    def _terms(self, X: Any) -> tuple[Array, Array]:
        """Return parts of the squared distance of checked rows, and what to multiply each row by, twice."""

    @abstractmethod
    def _term_names(self) -> npt.NDArray[np.object_]:
        """Return the names of the columns of `_terms`."""

    @property
    def offset_(self) -> float:
        """Minus the threshold: ``decision_function(X) = score_samples(X) - offset_``."""
        return -self.threshold_

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Before there were rules for the threshold, offset_ was an attribute, and the groups were none.
        if "offset_" in state:
            raise ValueError(f"This {type(self).__name__} was saved by an earlier version: fit it again.")
        super().__setstate__(state)

    def _fit(self, X: Any, abnormal: Any, **checks: Any) -> None:
        """Learn all or nothing: a fit that fails leaves no threshold of one unit space beside the centre of another."""
        self._validate_params()
        # The number of items, too: scikit-learn takes a model that has it for fitted.
        for name in [name for name in vars(self) if name.endswith("_")]:
            delattr(self, name)
        fitted = copy.copy(self)
        X = fitted._check_items(X, ensure_min_samples=2, reset=True, **checks)
        abnormal = None if abnormal is None else fitted._check_abnormal(abnormal)
        fitted._learn(X)
        fitted._decide(X, abnormal)
        self.__dict__.update(fitted.__dict__)

    def _check_abnormal(self, abnormal: Any) -> Any:
        """Return abnormal rows, checked against those of the fit."""
        try:
            return self._check_items(abnormal)
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"abnormal: {str(error).splitlines()[0]}") from error

    def _decide(self, X: Any, abnormal: Any) -> None:
        """Learn the threshold from the checked rows of the unit space and from checked abnormal rows."""
        detected = None if abnormal is None else self._of_new(abnormal)
        left_out = self._left_out(X) if detected is not None or self.threshold == "quantile" else np.empty(0)
        if self.threshold == "quantile":
            self.threshold_ = quantile_threshold(left_out, self.false_alarm_rate)
        elif self.threshold == "f":
            self.threshold_ = self._normal_threshold()
        elif self.threshold != "roc":
            self.threshold_ = float(self.threshold)
        elif detected is None:
            raise ValueError("threshold='roc' needs rows known to be abnormal: call fit(X, abnormal=...).")
        else:
            self.threshold_ = roc_threshold(left_out, detected)
        self.operating_characteristic_ = None if detected is None else rates(left_out, detected, self.threshold_)

    def _of_new(self, X: Any) -> Floating:
        """Return the distances of checked rows, infinite where one differs in what is constant."""
        distance, differs = self._measured(X)
        distance[differs.any(axis=1)] = np.inf
        return distance

    def _left_out(self, X: Any) -> Floating:
        """Return each row's distance from a unit space that was learned without it: 20 fixed folds, or row by row."""
        if len(X) < 3:
            raise ValueError(
                f"Distances without a row's part in them need 3 or more rows of the unit space, got {len(X)}: give "
                "more rows, or a number as threshold and no abnormal rows."
            )
        part, rows, found = copy.copy(self), [], []
        for train, test in KFold(min(len(X), _FOLDS), shuffle=True, random_state=0).split(X):
            try:
                part._learn(X[train])
            except ValueError as error:
                raise ValueError(
                    f"Each row of the unit space is measured by the others, and they do not suffice: {error}"
                ) from error
            rows.append(test)
            found.append(part._of_new(X[test]))
        return np.concatenate(found)[np.argsort(np.concatenate(rows))]

    def operating_characteristic(self, X: Any, abnormal: Any) -> pd.DataFrame:
        """Return false alarm and detection rates at all thresholds, of rows that had no part in the fit.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Ordinary rows, others than those of the fit, whose distances are too small.
        abnormal : array-like of shape (n_abnormal, n_features)
            Rows known to be abnormal.

        Returns
        -------
        DataFrame
            Columns `threshold` (0, each distance that occurs, and `threshold_`; ascending), `false_alarm_rate` and
            `detection_rate` (shares of the ordinary and of the abnormal rows with a larger distance; a row that
            differs in what is constant in the unit space counts at each threshold), `chosen` (True at `threshold_`).
        """
        ordinary = self._of_new(self._new_items(X))
        return rates(ordinary, self._of_new(self._check_abnormal(abnormal)), self.threshold_)

    def distance(self, X: Any) -> Floating:
        """Return the distance from the unit space.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The items.

        Returns
        -------
        distance : ndarray of shape (n_samples,)
            Not squared. What is constant in the unit space does not count; a `UserWarning` tells where a row differs
            in it, and `predict` calls that row an outlier.
        """
        return self._measured_with_warning(X)[0]

    def score_samples(self, X: Any) -> Floating:
        """Return minus the distance: the higher, the more ordinary.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The items.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            ``-distance(X)``, and the lowest number there is where a row differs in what is constant in the unit space.
        """
        distance, differs = self._measured_with_warning(X)
        return np.where(differs.any(axis=1), np.finfo(distance.dtype).min, -distance)

    def decision_function(self, X: Any) -> Floating:
        """Return the threshold minus the distance: negative for an outlier.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The items.

        Returns
        -------
        decision : ndarray of shape (n_samples,)
            ``score_samples(X) - offset_``.
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> npt.NDArray[np.int64]:
        """Say of each row whether it is ordinary.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The items.

        Returns
        -------
        labels : ndarray of shape (n_samples,), int
            1 where the distance is at most the threshold (an inlier), -1 where it is more, or where the row differs in
            what is constant in the unit space (an outlier).
        """
        return np.where(self.decision_function(X) >= 0, 1, -1)

    def diagnosis(self, X: Any) -> pd.DataFrame:
        """Return why each row is ordinary or not.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The items.

        Returns
        -------
        DataFrame
            One row for each row of X, with its index: `distance`; `md`, its square, the MD of the books;
            `differs_in`, the names of what is constant in the unit space and not so in this row, separated by commas;
            `ordinary`, whether the distance is within the threshold and nothing differs; `most`, the name of the
            largest term of the squared distance, see `explain`, or the first name in `differs_in` where only that
            makes the row an outlier.
        """
        items = self._new_items(X)
        distance, differs = self._measured(items)
        names = np.array(self._constant_names(), dtype=object)
        differs_in = [", ".join(names[row]) for row in differs]
        near, apart = distance <= self.threshold_, differs.any(axis=1)
        most = self._term_names()[by_block(lambda rows: self._terms(rows)[0].argmax(axis=1), items)]
        if apart.any():
            most = np.where(near & apart, names[differs.argmax(axis=1)], most)
        with np.errstate(over="ignore"):
            md = distance**2
        columns = {
            "distance": distance,
            "md": md,
            "differs_in": differs_in,
            "ordinary": near & ~apart,
            "most": most,
        }
        return pd.DataFrame(columns, index=X.index if isinstance(X, pd.DataFrame) else None)

    def explain(self, X: Any) -> pd.DataFrame:
        """Return the terms of the squared distance as a table; those of a row sum up to it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The items.

        Returns
        -------
        DataFrame
            One row for each row of X, with its index, and a column for each term: those of `contributions`.

        Raises
        ------
        ValueError
            If the square of a distance exceeds float64's range, or is below it.
        """
        terms = self._squared_terms(self._new_items(X))
        return pd.DataFrame(terms, index=X.index if isinstance(X, pd.DataFrame) else None, columns=self._term_names())

    def _squared_terms(self, X: Any) -> Array:
        """Return the terms of the squared distance of checked rows."""
        check_squares(self._measured(X)[0])
        parts, scale = self._terms(X)
        return parts * scale[:, None] * scale[:, None]

    def _measured_with_warning(self, X: Any) -> tuple[Floating, Mask]:
        """Return what `_measured` returns, and warn of rows that differ."""
        distance, differs = self._measured(self._new_items(X))
        if differs.any():
            found = describe(differs, self._constant_names())
            warnings.warn(f"{found}: outliers whatever their distance. See diagnosis(X).", UserWarning, stacklevel=3)
        return distance, differs

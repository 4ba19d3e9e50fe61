"""Distances from one unit space per class, as items."""

import warnings
from typing import Any, Self

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, MetaEstimatorMixin, TransformerMixin, clone
from sklearn.model_selection import StratifiedKFold
from sklearn.utils import Tags

from pipeline.taguchi.base import AnyArray, Floating, ItemEstimator


class UnitSpaceItems(ClassNamePrefixFeaturesOutMixin, MetaEstimatorMixin, TransformerMixin, ItemEstimator):
    """One unit space per star, each with a clone of the detector; a row becomes its distances from all unit spaces.

    With a detector that transforms (`RTMethod`) its columns stand in place of the distance. Like scikit-learn's
    `TargetEncoder`, `fit_transform` measures each training row against unit spaces that were made without it, since a
    row looks nearer to a space that it helped to make; `transform` uses the spaces of all rows.

    A distance leaves out the items that are constant in the star's rows: that rows of another star differ in them is
    no matter for a warning here. What the detectors warn of in the fit is told once.

    Parameters
    ----------
    detector : estimator with `fit` on the rows of a unit space, and with `transform` or else `distance`
        It is cloned for each star.
    cv : int, default=5
        Parts into which `fit_transform` cuts the rows; fewer where a star has fewer rows.

    Attributes
    ----------
    detectors_ : list
        The fitted clones, one for each star in ascending order.

    Examples
    --------
    >>> from pipeline.taguchi import MahalanobisTaguchi
    >>> X = [[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]]
    >>> items = UnitSpaceItems(MahalanobisTaguchi(), cv=3).fit(X, [1, 1, 1, 5, 5, 5])
    >>> items.transform([[1.0], [12.0]]).tolist()
    [[0.0, 10.0], [11.0, 1.0]]
    """

    def __init__(self, detector: Any, cv: int = 5):
        self.detector = detector
        self.cv = cv

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags

    def fit(self, X: Any, y: Any) -> Self:
        """Fit one clone of the detector to the rows of each star.

        Raises
        ------
        ValueError
            If a star has fewer than two rows.
        """
        X, y = self._check_items(X, y, reset=True)
        self.detectors_, told = self._detectors(X, y)
        if told:
            stars = ", ".join(map(str, dict.fromkeys(star for star, _ in told)))
            warnings.warn(f"Of star {stars}: {told[0][1]}", UserWarning, stacklevel=2)
        self._n_features_out = self._read(self.detectors_, X[:1]).shape[1]
        return self

    def transform(self, X: Any) -> Floating:
        """Return the columns of all detectors side by side."""
        return self._read(self.detectors_, self._new_items(X))

    def fit_transform(self, X: Any, y: Any) -> Floating:
        """Fit, and return for each row the columns of detectors that were fitted without it."""
        self.fit(X, y)
        X, y = self._check_items(X, y)
        # Numbers of the stars: scikit-learn deals no half stars.
        _, codes, counts = np.unique(y, return_inverse=True, return_counts=True)
        n_parts = min(self.cv, counts.min())
        if n_parts < 2:
            return self._read(self.detectors_, X)
        items = np.empty((len(X), self._n_features_out))
        for train, test in StratifiedKFold(n_parts, shuffle=True, random_state=0).split(X, codes):
            items[test] = self._read(self._detectors(X[train], y[train])[0], X[test])
        return items

    def _detectors(self, X: AnyArray, y: AnyArray) -> tuple[list[Any], list[tuple[Any, str]]]:
        """Return the fitted detectors, and the stars and words of what they warned of."""
        detectors, told = [], []
        for star in np.unique(y):
            rows = X[y == star]
            if len(rows) < 2:
                raise ValueError(f"The unit space of star {star} has {len(rows)} training row; 2 or more are needed.")
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                detectors.append(clone(self.detector).fit(rows))
            told += [(star, str(each.message)) for each in caught]
        return detectors, told

    @staticmethod
    def _read(detectors: list[Any], X: AnyArray) -> Floating:
        with warnings.catch_warnings(action="ignore", category=UserWarning):
            return np.column_stack([m.transform(X) if hasattr(m, "transform") else m.distance(X) for m in detectors])

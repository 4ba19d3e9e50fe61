"""MT, MTA and SVP: how far a row is from one group of ordinary rows, the unit space."""

import copy
from collections.abc import Iterator
from typing import Any, Self, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from pipeline.taguchi.base import Array, Floating, Indices, Mask, by_block, words
from pipeline.taguchi.constant_items import distinct, find_constant, item_name
from pipeline.taguchi.distance_contributions import By, check_squares, leaving_out, terms, variance_inflation
from pipeline.taguchi.item_groups import (
    GROUPS,
    Groups,
    ItemGroup,
    comparable,
    exact_limit,
    measured_groups,
    read_groups,
)
from pipeline.taguchi.leave_one_out import check_enough_rows, has_closed_form
from pipeline.taguchi.shrinkage import SHRINKAGE, Shrinkage, warn_of_few_rows
from pipeline.taguchi.threshold_detector import ThresholdDetector
from pipeline.taguchi.thresholds import FALSE_ALARM_RATE, THRESHOLD, Threshold
from pipeline.taguchi.unit_space_metric import Method, unit_space_moments, varies


class MahalanobisTaguchi(ThresholdDetector):
    r"""The Mahalanobis-Taguchi method: how far a row is from the unit space, all items taken together.

    Every row given to `fit` belongs to the unit space. With z the items, standardised by the unit space's means and
    standard deviations (n - 1), and R their correlation matrix,

    .. math:: D = \sqrt{z' A z / p}

    with :math:`A = R^{-1}` (MT), :math:`A = \mathrm{adj}(R)` (MTA) or :math:`A = I` (SVP). Over the unit space the
    mean of MT's and SVP's squared distance is (n - 1)/n, so an ordinary row is at about 1, whatever the items' units.

    Parameters
    ----------
    method : {"mt", "mta", "svp"}, default="mt"
        The matrix A. "mt": the inverse correlation matrix. "mta": its adjoint, which exists where one item is a
        combination of the others and then measures how far a row breaks that rule; otherwise its distance is that of
        MT times :math:`\sqrt{\det R}`, and so has no fixed size. "svp" (standardised variation pressure): no
        correlations.
    threshold : float, "quantile", "f" or "roc", default=4.0
        The largest distance of an inlier. A number is in units of the method's distance D; the MD of many books is
        its square: 4 here is an MD of 16, which few rows exceed that are abnormal in one or two of many items.

        - "quantile": what a new ordinary row exceeds with probability `false_alarm_rate`, whatever its distribution:
          a quantile of the unit space's distances, each measured without its row (see `quantile_threshold`). It needs
          1 / `false_alarm_rate` - 1 rows or more, and for "mt" and "mta" without shrinkage two rows more than items.
          With few rows more than that the rate is below the promised one: for 5% it is 1% with 30 items and 35 rows,
          and 4% with 60.
        - "f": what a new row exceeds with that probability if the items are normal (see `normal_limit`), from two rows
          more than items on. "mt", and "mta" without a collinearity, without shrinkage; any method for groups of
          single items.
        - "roc": the largest detection rate less false alarm rate, between the unit space's distances, each measured
          without its row, and those of the abnormal rows given to `fit`.
    shrinkage : "auto" or float in [0, 1], default=0.0
        How far R is shrunk to the identity, as in `UnitSpaceClassifier`: :math:`(1 - \lambda) R + \lambda I`. "auto"
        takes it from `oas_shrinkage`. Few rows for the items need it: without, the distances of new ordinary rows come
        out too large. "svp" has no correlations to shrink.
    false_alarm_rate : float, default=0.05
        Share of new ordinary rows that "quantile" and "f" call outliers, on average over unit spaces. With `groups` it
        also changes the distances themselves: their common scale is that of this rate.
    groups : "items", or list of "all", "items" and lists of item names or numbers, default=None
        Measure each group of items alone, and take the largest distance: one item that is 5 standard deviations off
        among 50 ordinary ones hardly changes D. "items": each item is a group. "all": all items together. Groups may
        overlap; one that is given twice counts once. The distance of a group is multiplied by a factor that makes its
        limit that of a single item, which a normal row exceeds with probability `false_alarm_rate` divided by the
        number of groups (Bonferroni): the distance is in standard deviations of one item, and one threshold suits all
        groups.

    Attributes
    ----------
    center_ : ndarray of shape (n_features_in_,)
        Mean of each item.
    scale_ : ndarray of shape (n_features_in_,)
        Standard deviation of each item; 1 where it is constant.
    root_ : ndarray of shape (n_features_in_, n_directions)
        ``root_ @ root_.T`` is A / p. Not there with `groups`.
    matrix_ : ndarray of shape (n_features_in_, n_features_in_)
        A; zero in the rows and columns of constant items. Not there with `groups`.
    constant_items_ : ndarray of int of shape (n_constant_items,)
        Columns of the items that are constant in the unit space.
    shrinkage_ : float, or ndarray of shape (n_groups,) with `groups`
        The shrinkage that was used; 0 for "svp".
    threshold_ : float
        The largest distance of an inlier.
    operating_characteristic_ : DataFrame or None
        With `abnormal` rows in `fit`: false alarm and detection rates at all thresholds, as
        `operating_characteristic` gives them, the unit space's distances each measured without its row.
    offset_ : float
        Minus the threshold: ``decision_function(X) = score_samples(X) - offset_``.
    n_features_in_ : int
        Number of items.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the items, where `X` has column names.

    Notes
    -----
    An item that is constant in the unit space has no standard deviation: it gets no weight and does not count in p. A
    row that differs in it is an outlier; `diagnosis` names the items.
    Where R is singular (collinear items, more items than rows), "mt" measures within the directions in which the unit
    space varies, by the pseudo-inverse, and p is their number: a duplicated item changes nothing. With few more rows
    than items the distances of the unit space's rows are too small and those of new ordinary rows too large: their
    squares have the mean :math:`(n^2 - 1) / (n (n - p - 2))` for normal items. A `UserWarning` tells where there are
    no more than 2 p rows; a shrinkage or "svp" is the choice then. The adjoint of
    hundreds of correlated items is a product of that many small numbers; distances are right down to 1e-308.

    A row of the unit space is measured without itself by a closed form, see `left_out_distance`. With a shrinkage there
    is none: the rows are dealt to 20 fixed folds, each measured by the others. The determinant in MTA's distance is
    that of all rows: each further row makes it larger.
    Without shrinkage, fewer than two rows more than items are refused there: each further row adds a direction, or
    makes the distances much larger, so that the rows measured by the others do not tell how far a new row is. With 30
    items and 31 rows 38% of the new ordinary rows would be flagged where 5% are promised.

    A threshold of 4 on D suits few items. With 200 normal rows of 50 independent items it calls under 1% of the rows
    outliers that have one item shifted by 5 standard deviations; "f" at 1% false alarms calls 31%, and 88% with
    ``groups=["all", "items"]``. "f" is right for normal items only: of breast cancer's skewed items it calls 17% of the
    ordinary rows outliers where 5% are promised, and "quantile" 4%.

    References
    ----------
    G. Taguchi, R. Jugulum, "The Mahalanobis-Taguchi Strategy", Wiley, 2002. Values agree with the R package
    MTSYS 1.2.0 (functions ``MT`` and ``MTA``).

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[1.0, 2.1], [2.0, 3.9], [3.0, 6.2], [4.0, 7.8], [5.0, 10.0]])
    >>> model = MahalanobisTaguchi().fit(X)
    >>> model.predict([[3.0, 6.0], [3.0, 9.0]]).tolist()
    [1, -1]
    >>> model = MahalanobisTaguchi().fit(np.column_stack([X, np.zeros(5)]))
    >>> model.constant_items_.tolist(), model.diagnosis([[3.0, 6.0, 0.0], [3.0, 6.0, 0.5]])["differs_in"].tolist()
    ([2], ['', 'x2'])

    Fifty items, one of them 5 standard deviations off:

    >>> rng = np.random.default_rng(0)
    >>> X, row = rng.normal(size=(200, 50)), np.zeros((1, 50))
    >>> row[0, 7] = 5
    >>> MahalanobisTaguchi().fit(X).predict(row).tolist()
    [1]
    >>> model = MahalanobisTaguchi(threshold="f", groups=["all", "items"]).fit(X)
    >>> model.predict(row).tolist(), model.diagnosis(row)["most"].tolist()
    ([-1], ['x7'])
    """

    _parameter_constraints = {  # noqa: RUF012 - scikit-learn's form
        "method": [words(Method)],
        "threshold": THRESHOLD,
        "shrinkage": SHRINKAGE,
        "false_alarm_rate": FALSE_ALARM_RATE,
        "groups": [StrOptions({"items"}), *GROUPS],
    }

    center_: Array
    scale_: Array
    root_: Array
    shrinkage_: float | Array

    def __init__(
        self,
        method: Method = "mt",
        threshold: Threshold = 4.0,
        shrinkage: Shrinkage = 0.0,
        false_alarm_rate: float = 0.05,
        groups: Groups = None,
    ):
        self.method = method
        self.threshold = threshold
        self.shrinkage = shrinkage
        self.false_alarm_rate = false_alarm_rate
        self.groups = groups

    @property
    def constant_items_(self) -> Indices:
        """Columns of the items that are constant in the unit space."""
        return self._constant.items

    @property
    def matrix_(self) -> Array:
        """The matrix A of the quadratic form."""
        # MT's p is the number of directions, which `root_` has as columns with every method.
        return self.root_.shape[1] * self.root_ @ self.root_.T

    def fit(self, X: Any, y: Any = None, abnormal: Any = None) -> Self:
        """Learn the unit space.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The items of two or more ordinary rows.
        y : None
            Ignored.
        abnormal : array-like of shape (n_abnormal, n_features), default=None
            Rows known to be abnormal, for "roc" and `operating_characteristic_`. They are no part of the unit space.
            In a scikit-learn pipeline: ``set_fit_request(abnormal=True)``, and ``transform_input=["abnormal"]``.

        Returns
        -------
        self : MahalanobisTaguchi

        Raises
        ------
        ValueError
            If all items are constant, if the adjoint is zero ("mta" with two or more collinearities), if the threshold
            needs more rows, abnormal rows or another method, or if a group names an unknown item. The model is then
            not fitted, whatever it was before.
        """
        self._fit(X, abnormal)
        largest = max((group.metric for group in self._groups), key=lambda metric: metric.root.shape[1])
        if self.method != "svp" and largest.shrinkage == 0:
            n = self._moments.n
            warn_of_few_rows(n, n - 1, largest.root.shape[1], " or method='svp'")
        return self

    def _learn(self, X: Any) -> None:
        moments = unit_space_moments(X, np.arange(len(X)))
        n, self.center_, scatter = moments
        carries = varies(scatter.diagonal(), n, self.center_)
        self.scale_ = np.where(carries, np.sqrt(scatter.diagonal() / (n - 1)), 1.0)
        names = self._term_names().tolist()
        columns = read_groups(self.groups, len(names), names if hasattr(self, "feature_names_in_") else None)
        groups = measured_groups(moments, columns, names, self.method, self.shrinkage)
        self._tail = self.false_alarm_rate / len(groups)
        self._groups = groups if self.groups is None else comparable(groups, moments, self._tail)
        shrinkage = [group.metric.shrinkage for group in groups]
        if self.groups is None:
            self.root_, self.shrinkage_ = groups[0].metric.root, shrinkage[0]
        else:
            self.shrinkage_ = np.array(shrinkage)
        self._moments = moments
        self._constant = find_constant(X, ~carries, self.center_)

    def _normal_threshold(self) -> float:
        limits = [exact_limit(group, self._moments, self._tail) for group in self._groups]
        for group, limit in zip(self._groups, limits, strict=True):
            if limit is not None:
                continue
            n, p = self._moments.n, group.metric.root.shape[1]
            p = p if n - 1 > p else group.metric.n_items
            if n < p + 2:
                raise ValueError(
                    f"threshold='f' needs {p + 2} or more rows of the unit space for {p} items, got {n:g}: give more "
                    "rows or fewer items, or use groups='items'."
                )
            raise ValueError(
                f"threshold='f' knows no distribution of method={self.method!r} with "
                f"shrinkage={group.metric.shrinkage:g} for {group.metric.n_items} items together: use "
                "threshold='quantile', groups='items', or method='mt' without shrinkage."
            )
        return max(group.factor * limit for group, limit in zip(self._groups, limits, strict=True) if limit is not None)

    def _left_out(self, X: Any) -> Floating:
        n, method = len(X), self.method
        if method == "mta":
            return self._left_out_of_adjoint(X)
        for group in self._groups:
            check_enough_rows(n, group.metric, method)
        if not all(has_closed_form(n, group.metric, method) for group in self._groups):
            return super()._left_out(X)

        def farthest(rows: Any) -> Array:
            z = self._standardised(rows)
            return np.max([group.left_out_distance(z, n, method) for group in self._groups], axis=0)

        distance = by_block(farthest, X)
        for row in np.flatnonzero(np.isnan(distance)):
            distance[row] = self._refitted_distance(X, int(row))
        return distance

    def _left_out_of_adjoint(self, X: Any) -> Floating:
        """Return MT's distances, multiplied by what the adjoint of all rows multiplies them by.

        The determinant grows with each row. Adjoints of fewer rows would make the distances too small.
        """
        inverse = copy.copy(self).set_params(method="mt")
        inverse._learn(X)
        # With groups each distance is divided by its limit, and the determinant with it.
        if self.groups is not None:
            return inverse._left_out(X)
        metric = inverse._groups[0].metric
        if metric.root.shape[1] < metric.n_items:
            check_enough_rows(len(X), metric, "mta")
            return super()._left_out(X)
        return np.abs(self.root_).max() / np.abs(inverse.root_).max() * inverse._left_out(X)

    def _refitted_distance(self, X: Any, row: int) -> float:
        others = copy.copy(self)
        try:
            others._learn(np.delete(X, row, axis=0))
        except ValueError:
            # The others are all alike: no distance is large enough for the row that is not.
            return np.inf
        return float(others._of_new(X[[row]])[0])

    def _standardised(self, X: Any) -> Array:
        with np.errstate(over="ignore"):
            return (X - self.center_) / self.scale_

    def _by_group(self, X: Any) -> Array:
        z = self._standardised(X)
        return np.column_stack([group.distance(z) for group in self._groups])

    def _measured(self, X: Any) -> tuple[Array, Mask]:
        return by_block(lambda rows: self._by_group(rows).max(axis=1), X), self._constant.differs(X)

    def group_distances(self, X: Any) -> pd.DataFrame:
        """Return the distance of each group of items, on one scale.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The items.

        Returns
        -------
        DataFrame
            One row for each row of X, with its index, and one column for each group in which the unit space varies,
            named by its items ("all" for all of them), and by its number where two names are alike. The largest of a
            row is its distance.
        """
        distances = by_block(self._by_group, self._new_items(X))
        names = distinct([group.name for group in self._groups])
        return pd.DataFrame(distances, columns=names, index=X.index if isinstance(X, pd.DataFrame) else None)

    def contributions(self, X: Any, by: By = "terms") -> Array:
        """Return what each item adds to the squared distance.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The items.
        by : {"terms", "leaving_out"}, default="terms"
            "terms": :math:`z_j (A z)_j / p`, which sum up to the squared distance; one may be negative. "leaving_out":
            the squared distance less that of the other items alone, with their correlations and their number, at the
            shrinkage that was used; negative where the distance is larger without the item. Where items are collinear
            that costs one decomposition of a matrix for each item.

        Returns
        -------
        contributions : ndarray of shape (n_samples, n_features)
            0 for constant items. With `groups`: to the squared distance of the farthest group, 0 for other items.

        Raises
        ------
        ValueError
            If `by` is another word, or if the square of a distance exceeds float64's range or is below it.
        """
        X = self._new_items(X)
        if by not in get_args(By):
            raise ValueError(f"by={by!r} is not known: use 'terms' or 'leaving_out'.")
        if by == "terms":
            return self._squared_terms(X)
        check_squares(self._measured(X)[0])
        result = np.zeros(X.shape)
        for group, rows in self._by_farthest_group(X):
            z = self._standardised(X[rows])[:, group.items]
            moments = self._moments.part(group.items)
            result[np.ix_(rows, group.items)] = leaving_out(z, group.metric, moments, self.method, group.factor)
        return result

    def _by_farthest_group(self, X: Any) -> Iterator[tuple[ItemGroup, Indices]]:
        """Yield each group with the rows that are farthest in it."""
        farthest = by_block(lambda rows: self._by_group(rows).argmax(axis=1), X)
        for number, group in enumerate(self._groups):
            rows = np.flatnonzero(farthest == number)
            if len(rows):
                yield group, rows

    def items_table(self) -> pd.DataFrame:
        """Return the items of the unit space.

        Returns
        -------
        DataFrame
            Indexed by the items' names: `mean` and `sd` (n - 1; 0 for a constant item), in units of the item; `vif`,
            the variance inflation factor, the diagonal of the inverse correlation matrix: 1 for an item that no other
            one tells of, from about 10 on the others tell it, inf for a collinear one, NaN for a constant one.
        """
        check_is_fitted(self)
        sd = np.where(np.isin(np.arange(len(self.scale_)), self.constant_items_), 0, self.scale_)
        columns = {"mean": self.center_, "sd": sd, "vif": variance_inflation(self._moments)}
        return pd.DataFrame(columns, index=pd.Index(self._term_names(), name="item"))

    def _terms(self, X: Any) -> tuple[Array, Array]:
        parts, scale = np.zeros(X.shape), np.ones(len(X))
        for group, rows in self._by_farthest_group(X):
            z = self._standardised(X[rows])[:, group.items]
            parts[np.ix_(rows, group.items)], scale[rows] = terms(z, group.factor * group.metric.root)
        return parts, scale

    def _term_names(self) -> npt.NDArray[np.object_]:
        return np.array([item_name(self, item) for item in range(self.n_features_in_)], dtype=object)

    def _constant_names(self) -> list[str]:
        return [item_name(self, item) for item in self.constant_items_]

"""One unit space per class, the shrinkage chosen by cross-validation at the price of one eigendecomposition a fold."""

from collections.abc import Iterator
from numbers import Integral
from typing import Any, NamedTuple, Self

import numpy as np
from scipy.special import softmax, stdtrit
from sklearn.model_selection import KFold, check_cv

from pipeline.taguchi.base import OVERFLOW, AnyArray, Array, Indices, Mask
from pipeline.taguchi.class_moments import ClassMoments
from pipeline.taguchi.constant_items import ConstantItems
from pipeline.taguchi.unit_space_base import (
    BaseUnitSpaces,
    ClassRows,
    ClassSpaces,
    class_spaces,
    constant_in_rows,
    within_range,
)
from pipeline.taguchi.unit_space_sums import constant_items, spaces_of, sums_of

# Of the t distribution, up to which a difference may be chance.
_QUANTILE = 0.975


class _Correlation(NamedTuple):
    """The correlation matrix within the classes, before it is shrunk: `eigenvalues` along `vectors`, 0 across them.

    `sd` holds the standard deviations, infinite for an item that is constant. `apart` marks items that vary between
    the classes only: they correlate with nothing.
    """

    sd: Array
    apart: Mask
    eigenvalues: Array
    vectors: Array

    def power(self, Z: Array, shrinkage: float, exponent: float) -> Array:
        """Multiply rows by a power of the shrunk matrix: shrinking moves eigenvalues and leaves eigenvectors."""
        across = np.where(self.apart, 1, shrinkage**exponent)
        gain = ((1 - shrinkage) * self.eigenvalues + shrinkage) ** exponent - shrinkage**exponent
        return Z * across + (Z @ self.vectors * gain) @ self.vectors.T

    def log_det(self, shrinkage: float) -> float:
        """Return the logarithm of the determinant of the shrunk covariance matrix."""
        varies = np.isfinite(self.sd)
        n_across = (varies & ~self.apart).sum() - len(self.eigenvalues)
        along = np.log((1 - shrinkage) * self.eigenvalues + shrinkage).sum()
        return float(along + n_across * np.log(shrinkage) + 2 * np.log(self.sd[varies]).sum())


def _deviations(data: ClassRows) -> tuple[ClassSpaces, Array]:
    """Return the unit spaces, and the rows measured from the means of their classes.

    The deviations have shape (n_rows, n_items) and are multiplied by the roots of the weights: their products add up to
    the scatters.

    Raises
    ------
    ValueError
        If X holds values whose squares overflow.
    """
    X, weight = data.X[data.rows], data.weight
    n = np.bincount(data.codes, weight).astype(np.float64)
    means = np.array([np.average(part.X[part.rows], axis=0, weights=part.weight) for part in data.by_class()])
    center = np.average(X, axis=0, weights=weight)
    root = 1 if weight is None else np.sqrt(weight)[:, None]
    deviation, from_center = (X - means[data.codes]) * root, (X - center) * root
    with np.errstate(over="ignore", invalid="ignore"):
        total = (from_center**2).sum(axis=0)
    if not np.isfinite(total.sum()):
        raise ValueError(OVERFLOW)
    # The mean of a constant item may be off by more than a rounding.
    total[(X[0] == X).all(axis=0)] = 0
    return class_spaces(n, means, center, total, np.einsum("ij,ij->j", deviation, deviation)), deviation


def _scales(spaces: ClassSpaces) -> tuple[Array, Mask]:
    """Return `sd` and `apart` of the correlations."""
    sd = np.sqrt(np.where(spaces.carries, spaces.variance, np.inf))
    return sd, spaces.carries & (spaces.variance <= spaces.lowest)


def _fitted(data: ClassRows) -> tuple[ClassSpaces, _Correlation]:
    """Return the unit spaces of rows and the correlations within them."""
    spaces, rows = _deviations(data)
    sd, apart = _scales(spaces)
    rows /= sd
    rows[:, apart] = 0
    n_rows, n_items = rows.shape
    if n_rows >= n_items:
        return spaces, _Correlation(sd, apart, *np.linalg.eigh(rows.T @ rows / spaces.freedom))
    # Fewer rows than items: the eigenvectors follow from the products of rows.
    eigenvalues, left = np.linalg.eigh(rows @ rows.T / spaces.freedom)
    kept = eigenvalues > n_rows * np.finfo(np.float64).eps * eigenvalues.max(initial=0)
    eigenvalues, vectors = eigenvalues[kept], rows.T @ left[:, kept]
    vectors /= np.sqrt(spaces.freedom * eigenvalues)
    return spaces, _Correlation(sd, apart, eigenvalues, vectors)


def _fitted_sums(sums: ClassMoments) -> tuple[ClassSpaces, _Correlation]:
    """Return the unit spaces of sums and the correlations within them."""
    spaces, within = spaces_of(sums)
    sd, apart = _scales(spaces)
    R = within / spaces.freedom / sd / sd[:, None]
    R[apart], R[:, apart] = 0, 0
    return spaces, _Correlation(sd, apart, *np.linalg.eigh(R))


def _fitted_fold(
    data: ClassRows, classes: AnyArray, known: ClassMoments | None
) -> tuple[Indices, ClassSpaces, _Correlation]:
    """Return the codes of the classes in training rows and know-how together, and what `_fitted` returns of both."""
    if known is None:
        seen, codes = np.unique(data.codes, return_inverse=True)
        return seen, *_fitted(data._replace(codes=codes))
    sums = sums_of(data, classes) + known
    return np.searchsorted(classes, sums.classes), *_fitted_sums(sums)


def _held_out_errors(
    held_out: ClassRows,
    fitted: tuple[Indices, ClassSpaces, _Correlation],
    n_classes: int,
    shrinkages: Array,
) -> Array:
    """Return, for each shrinkage and held-out row, the sum of the squared errors of the probabilities."""
    seen, spaces, correlation = fitted
    Z = (held_out.X[held_out.rows] - spaces.center) / correlation.sd
    centers = (spaces.means - spaces.center) / correlation.sd
    truth = np.eye(n_classes)[held_out.codes]
    # A class without a training row keeps the probability 0.
    probability, errors = np.zeros_like(truth), np.zeros((len(shrinkages), len(truth)))
    for i, shrinkage in enumerate(shrinkages):
        directions = correlation.power(centers, shrinkage, -1)
        at_center = np.log(spaces.n / spaces.n.sum()) - (directions * centers).sum(axis=1) / 2
        probability[:, seen] = softmax(within_range(Z @ directions.T + at_center), axis=1)
        errors[i] = ((probability - truth) ** 2).sum(axis=1)
    return errors


def _largest_as_good(shrinkages: Array, errors: Array, weight: Array) -> float:
    """Return the largest shrinkage whose errors exceed the smallest ones by no more than chance.

    Parameters
    ----------
    shrinkages : ndarray of shape (n_shrinkages,)
    errors : ndarray of shape (n_shrinkages, n_held_out)
    weight : ndarray of shape (n_held_out,)
    """
    n = len(weight)
    if n < 2:
        return float(shrinkages.max())
    share = weight / weight.sum()
    worse = errors - errors[(errors @ share).argmin()]
    mean = worse @ share
    standard_error = np.sqrt((worse - mean[:, None]) ** 2 @ share**2 * n / (n - 1))
    chance = stdtrit(n - 1, _QUANTILE) * standard_error
    return float(shrinkages[mean <= chance + 1e-9 * (errors @ share).min()].max())


def _folds(cv: Any, data: ClassRows, y: Any) -> Iterator[Any]:
    """Yield the places of training and held-out rows among the rows that count."""
    if cv is None or isinstance(cv, Integral):
        n_folds = min(5 if cv is None else int(cv), len(data.rows))
        yield from KFold(n_folds, shuffle=True, random_state=0).split(data.rows) if n_folds > 1 else ()
    else:
        for split in check_cv(cv).split(data.X, y):
            yield [np.flatnonzero(np.isin(data.rows, part)) for part in split]


class UnitSpaceClassifierCV(BaseUnitSpaces):
    r"""`UnitSpaceClassifier` with the shrinkage of its covariance chosen by cross-validation.

    Shrinking a correlation matrix to the identity moves its eigenvalues and leaves its eigenvectors, so that one
    eigendecomposition per fold serves all candidates; with fewer rows than items it is one of the rows' products. The
    candidate with the smallest Brier score, the mean squared error of the probabilities, is taken; of equals the larger
    one. It is to `UnitSpaceClassifier` as `sklearn.linear_model.RidgeCV` is to `Ridge`: the automatic rule counts rows
    and shrinks too little where hundreds of items go together.

    Parameters
    ----------
    shrinkages : sequence of float in (0, 1], default=(0.03, 0.1, 0.3, 0.5, 0.7, 1.0)
        The candidates; 1 takes the items as uncorrelated.
    cv : int, splitter or iterable of splits, default=5
        With a number: that many folds of shuffled rows, fewer where there are fewer rows. None means 5.
    know_how : ClassMoments, default=None
        Sums over rows from elsewhere, added to those of the rows, as in `UnitSpaceClassifier`. They are part of the
        training data of every fold. Held-out rows choose the shrinkage, since what the items have in common elsewhere
        need not hold here: the largest candidate is taken whose Brier score is not above the lowest by more than
        chance (t test of the rows' differences, 5% two-sided). With fewer than two rows it is the largest of all.
    limit_items : bool, default=False
        As in `UnitSpaceClassifier`.

    Attributes
    ----------
    shrinkage_ : float
        The chosen one.
    scores_ : ndarray of shape (n_shrinkages,)
        Brier score of each candidate; NaN where there is know-how and fewer than two rows.
    classes_, class_prior_, means_, scale_, log_det_, coef_, intercept_, center_, constant_items_, item_limits_
        As in `UnitSpaceClassifier` with the default covariance and prior.
    root_ : ndarray of shape (1, n_features_in_, n_items)
        As in `UnitSpaceClassifier`, the symmetric root; made anew at each access, so that a fit stays fast.
    n_features_in_ : int
        Number of items.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the items, where `X` has column names.

    See Also
    --------
    UnitSpaceClassifier : A shrinkage that is given, or follows from the number of rows.

    Notes
    -----
    A sample weight stands for repeated rows that are held out together. Distances and probabilities are float64 for
    float32 items too.

    References
    ----------
    G. W. Brier, "Verification of Forecasts Expressed in Terms of Probability", Monthly Weather Review 78, 1950.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[1.0], [2.0], [3.0], [7.0], [8.0], [9.0]])
    >>> model = UnitSpaceClassifierCV(cv=3).fit(X, [1, 1, 1, 5, 5, 5])
    >>> model.predict([[2.5], [6.0]]).tolist(), model.shrinkage_
    ([1, 5], 1.0)
    """

    _parameter_constraints = {  # noqa: RUF012 - scikit-learn's form
        "shrinkages": ["array-like"],
        "cv": ["cv_object"],
        "limit_items": ["boolean"],
        "know_how": [None, ClassMoments],
    }
    _dtypes = np.float64

    scores_: Array

    def __init__(
        self,
        shrinkages: Any = (0.03, 0.1, 0.3, 0.5, 0.7, 1.0),
        cv: Any = 5,
        know_how: ClassMoments | None = None,
        limit_items: bool = False,
    ):
        self.shrinkages = shrinkages
        self.cv = cv
        self.know_how = know_how
        self.limit_items = limit_items

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Choose the shrinkage, and learn the unit space of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The items.
        y : array-like of shape (n_samples,)
            The classes.
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts; a row of weight 0 counts as absent.

        Returns
        -------
        self : UnitSpaceClassifierCV

        Raises
        ------
        ValueError
            If `y` holds no classes but a continuous target, if a shrinkage is not in (0, 1], or if a weight is negative
            or all of them are 0; with `know_how` also if the classes are no numbers or the items are others.
        """
        self._validate_params()
        data = self._class_rows(X, y, sample_weight)
        known = self.know_how
        if known is not None:
            data = self._known_classes(data, known)
        shrinkages = self._candidates()
        weight = np.ones(len(data.rows)) if data.weight is None else data.weight
        rows, per_row = np.zeros(0, dtype=np.intp), np.zeros((len(shrinkages), 0))
        for train, test in _folds(self.cv, data, y):
            fitted = _fitted_fold(data.part(train), self.classes_, known)
            held_out = _held_out_errors(data.part(test), fitted, len(self.classes_), shrinkages)
            rows, per_row = np.append(rows, test), np.hstack([per_row, held_out])
        errors = per_row @ weight[rows]
        self.scores_ = errors / weight.sum()
        if known is not None:
            if len(rows) < 2:
                self.scores_ = np.full(len(shrinkages), np.nan)
            self.shrinkage_ = _largest_as_good(shrinkages, per_row, weight[rows])
            return self._learn_sums(sums_of(data, self.classes_) + known)
        self.shrinkage_ = float(shrinkages[np.isclose(errors, errors.min(), rtol=1e-9, atol=0)].max())
        spaces, correlation = _fitted(data)
        return self._learn(spaces, correlation, constant_in_rows(data, spaces))

    def fit_moments(self, moments: ClassMoments) -> Self:
        """Learn from sums that were made elsewhere, without a row; the shrinkage is the largest candidate.

        Parameters
        ----------
        moments : ClassMoments
            From `class_moments`, added up.

        Returns
        -------
        self : UnitSpaceClassifierCV

        Raises
        ------
        ValueError
            If they are of another kind, or if there is `know_how`, which is part of the total here.
        """
        self._validate_params()
        shrinkages = self._candidates()
        self._take_sums(moments, self.know_how)
        self.scores_, self.shrinkage_ = np.full(len(shrinkages), np.nan), float(shrinkages.max())
        return self._learn_sums(moments)

    def _candidates(self) -> Array:
        """Return the checked candidates."""
        shrinkages = np.asarray(self.shrinkages, dtype=np.float64)
        if shrinkages.ndim != 1 or not len(shrinkages) or not ((shrinkages > 0) & (shrinkages <= 1)).all():
            raise ValueError(f"Got shrinkages={self.shrinkages!r}, expected numbers above 0 and up to 1.")
        return shrinkages

    def _learn_sums(self, sums: ClassMoments) -> Self:
        """Store what follows from the sums of all classes and the chosen shrinkage."""
        spaces, correlation = _fitted_sums(sums)
        return self._learn(spaces, correlation, constant_items(sums, spaces))

    def _learn(self, spaces: ClassSpaces, correlation: _Correlation, constant: ConstantItems) -> Self:
        """Store the unit spaces with the chosen shrinkage, and what follows from them."""
        self._store_spaces(spaces, constant)
        self._correlation: tuple[Any, ...] = tuple(correlation)
        self.scale_ = np.where(spaces.carries, correlation.sd, 1)[None]
        self.log_det_ = np.array([correlation.log_det(self.shrinkage_)])
        centers = (spaces.means - spaces.center) / correlation.sd
        directions = correlation.power(centers, self.shrinkage_, -1)
        self._store_weights(directions / correlation.sd, (directions * centers).sum(axis=1))
        return self

    @property
    def root_(self) -> Array:
        """Symmetric root of the inverse correlation matrix."""
        correlation = _Correlation(*self._correlation)
        varies = np.isfinite(correlation.sd)
        return correlation.power(np.diag(varies.astype(np.float64)), self.shrinkage_, -0.5)[None, :, varies]

"""One unit space per class, the shrinkage chosen by cross-validation at the price of one eigendecomposition a fold."""

from copy import copy
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from pipeline.taguchi.base import Array
from pipeline.taguchi.class_moments import ClassMoments
from pipeline.taguchi.constant_items import ConstantItems
from pipeline.taguchi.unit_space_base import BaseUnitSpaces
from pipeline.taguchi.unit_space_choice import Choice, Folds, choose, folds_of
from pipeline.taguchi.unit_space_correlation import Correlation, Linear, fitted, fitted_sums
from pipeline.taguchi.unit_space_rows import ClassRows, ClassSpaces, constant_in_rows
from pipeline.taguchi.unit_space_sums import constant_items, sums_of


class UnitSpaceClassifierCV(BaseUnitSpaces):
    r"""`UnitSpaceClassifier` with the shrinkage of its covariance chosen by cross-validation.

    Shrinking a correlation matrix to the identity moves its eigenvalues and leaves its eigenvectors, so that one
    eigendecomposition per fold serves all candidates; with fewer rows than items it is one of the rows' products. Few
    rows choose badly, so the largest candidate is taken that held-out rows do not speak against: the one whose Brier
    score, the mean squared error of the probabilities, is not above the lowest by more than chance (t test of the rows'
    differences, 5% two-sided). With fewer than two held-out rows it is the largest of all. The class is to
    `UnitSpaceClassifier` as `sklearn.linear_model.RidgeCV` is to `Ridge`: the automatic rule counts rows and shrinks
    too little where hundreds of items go together.

    Parameters
    ----------
    shrinkages : sequence of float in (0, 1], default=(0.03, 0.1, 0.3, 0.5, 0.7, 1.0)
        The candidates; 1 takes the items as uncorrelated.
    cv : int, splitter or iterable of splits, default=5
        With a number: that many folds of shuffled rows, fewer where there are fewer rows. None means 5. A row that is
        held out several times counts once, with its mean error.
    know_how : ClassMoments, default=None
        Sums over rows from elsewhere, added to those of the rows, as in `UnitSpaceClassifier`. They are part of the
        training data of every fold; only rows are held out, since what the items have in common elsewhere need not
        hold here.
    recalibrate : bool, default=False
        Whether a second unit space of each class reads the probabilities of the first, see the notes. It repairs
        probabilities that are too certain; with fewer than about 100 rows the order of the rows suffers.
    limit_items : bool, default=False
        As in `UnitSpaceClassifier`.

    Attributes
    ----------
    shrinkage_ : float
        The chosen one.
    scores_ : ndarray of shape (n_shrinkages,)
        Brier score of each candidate; NaN where no row can be held out.
    classes_, class_prior_, means_, scale_, log_det_, coef_, intercept_, center_, constant_items_, item_limits_
        As in `UnitSpaceClassifier` with the default covariance and prior. With `recalibrate`, `coef_` and `intercept_`
        are those of both stages together, all others those of the first, and so is `distance`.
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
    The items of the second stage (``recalibrate=True``) are the logarithms of the first one's probabilities, measured
    from their mean over the classes, with P the probabilities of held-out rows:

    .. math:: u_c = \log P(c | x) - \frac{1}{C} \sum_k \log P(k | x)

    The logarithm of the sum that makes probabilities add up to 1 cancels, so that u is linear in x, and so is the
    second stage that reads it: the model is as large and as fast as without.

    A sample weight stands for repeated rows that are held out together, and counts so in the t test. Distances and
    probabilities are float64 for float32 items too.

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
        "recalibrate": ["boolean"],
    }
    _dtypes = np.float64

    scores_: Array

    def __init__(
        self,
        shrinkages: Any = (0.03, 0.1, 0.3, 0.5, 0.7, 1.0),
        cv: Any = 5,
        know_how: ClassMoments | None = None,
        recalibrate: bool = False,
        limit_items: bool = False,
    ):
        self.shrinkages = shrinkages
        self.cv = cv
        self.know_how = know_how
        self.recalibrate = recalibrate
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
            or all of them are 0; with `know_how` also if the classes are no numbers, the items are others or to be
            limited; with `recalibrate` also if there is know-how or if `cv` never holds out some row.
        """
        self._validate_params()
        data = self._class_rows(X, y, sample_weight)
        known = self.know_how
        if known is not None:
            self._refuse_recalibration("know_how")
            data = self._known_classes(data, known)
        shrinkages = self._candidates()
        folds = folds_of(self.cv, data, y)
        choice = choose(data, folds, self.classes_, shrinkages, known)
        self.scores_, self.shrinkage_ = choice.scores, choice.shrinkage
        if known is not None:
            return self._learn_sums(sums_of(data, self.classes_) + known)
        spaces, correlation = fitted(data)
        second = self._second_stage(data, folds, choice) if self.recalibrate else None
        return self._learn(spaces, correlation, constant_in_rows(data, spaces), second)

    def _second_stage(self, data: ClassRows, folds: Folds, choice: Choice) -> Linear:
        """Return the unit spaces that read the log-posteriors of held-out rows."""
        # A single row cannot be held out; it needs nothing else either.
        if len(data.rows) > 1 and not choice.held_out.all():
            raise ValueError(
                f"recalibrate=True needs a cv that holds out every row, got one that never holds out "
                f"{(~choice.held_out).sum()} of {len(data.rows)}: give a number of folds."
            )
        second = data._replace(X=choice.log_posterior, rows=np.arange(len(data.rows)))
        shrinkage = choose(second, folds, self.classes_, self._candidates()).shrinkage
        spaces, correlation = fitted(second)
        return correlation.linear(spaces, shrinkage)

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
            If they are of another kind, if there is `know_how`, which is part of the total here, or with `recalibrate`.
        """
        self._validate_params()
        shrinkages = self._candidates()
        self._take_sums(moments, self.know_how)
        self._refuse_recalibration("fit_moments")
        self.scores_, self.shrinkage_ = np.full(len(shrinkages), np.nan), float(shrinkages.max())
        return self._learn_sums(moments)

    def _candidates(self) -> Array:
        """Return the checked candidates."""
        shrinkages = np.asarray(self.shrinkages, dtype=np.float64)
        if shrinkages.ndim != 1 or not len(shrinkages) or not ((shrinkages > 0) & (shrinkages <= 1)).all():
            raise ValueError(f"Got shrinkages={self.shrinkages!r}, expected numbers above 0 and up to 1.")
        return shrinkages

    def _refuse_recalibration(self, sums: str) -> None:
        """Refuse `recalibrate` where the model rests on sums."""
        if self.recalibrate:
            raise ValueError(f"recalibrate=True needs the rows, and {sums} has sums in their place: set it to False.")

    def _learn_sums(self, sums: ClassMoments) -> Self:
        """Store what follows from the sums of all classes and the chosen shrinkage."""
        spaces, correlation = fitted_sums(sums)
        return self._learn(spaces, correlation, constant_items(sums, spaces))

    def _learn(
        self, spaces: ClassSpaces, correlation: Correlation, constant: ConstantItems, second: Linear | None = None
    ) -> Self:
        """Store the unit spaces with the chosen shrinkage, and what follows from them and from the second stage."""
        self._store_spaces(spaces, constant)
        self._correlation: tuple[Any, ...] = tuple(correlation)
        self.scale_ = np.where(spaces.carries, correlation.sd, 1)[None]
        self.log_det_ = np.array([correlation.log_det(self.shrinkage_)])
        first = correlation.linear(spaces, self.shrinkage_)
        self._first: tuple[Any, ...] = tuple(first)
        linear = first if second is None else first.read_by(second)
        self._store_weights(linear.coef, linear.at_center)
        return self

    def first_stage(self) -> Self:
        """Return the model that a fit without `recalibrate` gives, at no cost.

        Returns
        -------
        UnitSpaceClassifierCV
            A fitted one that shares arrays with this one.
        """
        check_is_fitted(self)
        model = copy(self).set_params(recalibrate=False)
        coef, at_center, _ = self._first
        model._store_weights(coef, at_center)
        return model

    @property
    def root_(self) -> Array:
        """Symmetric root of the inverse correlation matrix."""
        correlation = Correlation(*self._correlation)
        varies = np.isfinite(correlation.sd)
        return correlation.power(np.diag(varies.astype(np.float64)), self.shrinkage_, -0.5)[None, :, varies]

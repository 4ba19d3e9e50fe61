"""The choice of items of MTS: an orthogonal array of item sets, and how far abnormal rows stand off with each."""

from typing import Any, Literal, NamedTuple, Self

import numpy as np

from pipeline.taguchi.base import EPS, OVERFLOW, Array, Indices, words
from pipeline.taguchi.item_selection import SELECTION, ItemSelector, fold_gains, response_in_db, splits, splitter
from pipeline.taguchi.orthogonal_arrays import orthogonal_array
from pipeline.taguchi.shrinkage import SHRINKAGE, Shrinkage
from pipeline.taguchi.target import as_numbers
from pipeline.taguchi.unit_space_metric import UnitSpaceMoments, unit_space_metric, unit_space_moments, varies

_Method = Literal["mt", "svp"]
_SN = Literal["larger", "dynamic"]


class MahalanobisTaguchiSelector(ItemSelector):
    r"""Keep the items with which abnormal rows stand off from the unit space.

    Each run of a two-level orthogonal array measures MT distances with about half of the items, of rows that were held
    out: cross-validation inside the training data, where the normal rows of a fold's training part are its unit space.
    With D the distance of `MahalanobisTaguchi`, whose square is the MD of the books, the response of a run is

    .. math:: h = -10 \log_{10} \Bigl(\frac{1}{n_a} \sum_{abnormal} \frac{1}{D^2}\Bigr)
                  - 10 \log_{10} \Bigl(\frac{1}{n_o} \sum_{normal} D^2\Bigr)

    for `sn` = "larger". The first term is the larger-the-better S/N ratio of MTS: the abnormal rows ought to be far.
    The second one is the smaller-the-better S/N ratio of normal rows that are not in the unit space. MTS leaves it out:
    there normal rows have a mean :math:`D^2` of 1, whatever the items. That is true inside the unit space only. With
    few rows for the items all new rows are far, the normal ones too, and the first term alone rewards it.

    Where the states of the abnormal rows are known, `sn` = "dynamic" takes the target as the signal M and D as the
    output, a line through zero: :math:`h = 10 \log_{10} \frac{S_\beta}{r V_e}` from :math:`r = \sum M^2`,
    :math:`L = \sum M D` and :math:`S_T = \sum D^2` over the held-out abnormal rows, as in `OrthogonalArraySelector`.

    The gain of an item is the mean response of the runs that use it less the mean response of those that do not; an
    item is kept if its gain is greater than `threshold`. Where that is true of none, the item with the greatest gain is
    kept alone. `MahalanobisTaguchi` then gets the chosen items of the normal rows, see the example. Do not put both
    into one pipeline: every row that it is fitted to would be in the unit space, the abnormal ones too.

    In every run and fold the correlations of about half of the items are decomposed, so that the time grows with the
    fourth power of n_items: eight seconds for 400 items.

    Parameters
    ----------
    method : {"mt", "svp"}, default="mt"
        The distance, as in `MahalanobisTaguchi`. "mta" would give the gains of "mt": its distance differs from that of
        MT by a factor that is common to normal and abnormal rows.
    shrinkage : "auto" or float in [0, 1], default=0.0
        As in `MahalanobisTaguchi`.
    sn : {"larger", "dynamic"}, default="larger"
        The S/N ratio. "dynamic" needs two or more different states above 0 in y.
    cv : int, splitter or iterable of splits, default=5
        With a number k, the rows are sorted by the target and dealt out to k folds, so that each fold has its part of
        the normal rows and of every state. None means 5.
    threshold : float, default=0.0
        Gain in dB that an item has to exceed.
    fold_over : bool, default=False
        Whether the array follows once more with its levels exchanged, as in `OrthogonalArraySelector`.

    Attributes
    ----------
    item_gains_ : ndarray of shape (n_features_in_,)
        Gain of each item in dB; exactly 0 for an item that is constant in every unit space.
    orthogonal_array_ : ndarray of shape (n_runs, n_features_in_), int8
        1: the run uses the item, 2: it does not; see `orthogonal_array`.
    run_sn_ratios_ : ndarray of shape (n_runs,)
        Response h of each run in dB; the first run uses all items. A run without items that vary has the distance 1
        everywhere. With `fold_over` the run without items has the response that the gains predict (of a single item:
        that of the distance 1).
    n_features_in_ : int
        Number of items.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the items, where `X` has column names.

    See Also
    --------
    OrthogonalArraySelector : The selection for T-methods, by the S/N ratio of an estimate.

    Notes
    -----
    The books take all normal rows as the unit space, and the first term alone. Their output is D, the root of the MD,
    so that the mean is that of 1/MD. That response of one run is
    ``output_sn_ratio(MahalanobisTaguchi().fit(normal).distance(abnormal), "larger").sn_ratio`` with the columns of its
    items.
    The mean of :math:`1/D^2` belongs to the abnormal rows that are nearest to the centre. In MT an item can matter by
    its correlation with others alone, so that its gain depends on the items that a run happens to hold.
    An item that is constant among the normal rows has no part in D, however much it tells.

    References
    ----------
    G. Taguchi and R. Jugulum, "The Mahalanobis-Taguchi Strategy", Wiley, 2002. W. H. Woodall et al., "A Review and
    Analysis of the Mahalanobis-Taguchi System", Technometrics 45(1), 2003.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat([0, 1], [60, 20])
    >>> X = rng.normal(size=(80, 4)) + 4 * np.outer(y, [1, 0, 1, 0])
    >>> selector = MahalanobisTaguchiSelector(fold_over=True, threshold=1.0).fit(X, y)
    >>> selector.get_support().tolist()
    [True, False, True, False]
    >>> from pipeline.taguchi import MahalanobisTaguchi
    >>> model = MahalanobisTaguchi().fit(selector.transform(X[y == 0]))
    >>> D = model.distance(selector.transform(X))
    >>> bool(D[y == 1].min() > D[y == 0].mean())
    True
    """

    _parameter_constraints = {  # noqa: RUF012 - scikit-learn's own form
        "method": [words(_Method)],
        "shrinkage": SHRINKAGE,
        "sn": [words(_SN)],
        **SELECTION,
    }

    def __init__(
        self,
        method: _Method = "mt",
        shrinkage: Shrinkage = 0.0,
        sn: _SN = "larger",
        cv: Any = 5,
        threshold: float = 0.0,
        fold_over: bool = False,
    ) -> None:
        self.method = method
        self.shrinkage = shrinkage
        self.sn = sn
        self.cv = cv
        self.threshold = threshold
        self.fold_over = fold_over

    def fit(self, X: Any, y: Any) -> Self:
        """Learn the gain of each item.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The items of normal and abnormal rows; no missing values, not sparse.
        y : array-like of shape (n_samples,)
            0 for the normal rows, which make the unit spaces; above 0 for abnormal rows: 1, or their state.

        Returns
        -------
        self : MahalanobisTaguchiSelector

        Raises
        ------
        ValueError
            If y is not of numbers or has values below 0, no row that is 0 or none above 0, or for "dynamic" a single
            state; if there are fewer rows than folds, a fold has fewer than two normal training rows, none is held out
            in any or for "dynamic" a single abnormal one, or if squares of items overflow.
        """
        self._validate_params()
        X, y = self._check_items(X, _as_states(y), y_numeric=True, ensure_min_samples=2, reset=True)
        self._forget()
        _check_states(y, self.sn)
        array = orthogonal_array(X.shape[1], self.fold_over)
        use = array == 1
        total, carries = _Sums(*np.zeros((7, len(array)))), np.zeros(X.shape[1], dtype=bool)
        for fold, (train, test) in enumerate(splits(X, y, splitter(self.cv)), start=1):
            normal = np.asarray(train)[y[train] == 0]
            if len(normal) < 2:
                raise ValueError(
                    f"Training rows of fold {fold}: a unit space needs 2 or more rows with y == 0, got {len(normal)}. "
                    "Give more of them, or a smaller cv."
                )
            moments, held_out = unit_space_moments(X, normal), X[test]
            live = varies(moments.scatter.diagonal(), moments.n, moments.mean)
            carries |= live
            states = y[test] / y.max()
            runs = [_sums(self._squared(held_out, moments, np.flatnonzero(items & live)), states) for items in use]
            total = _Sums(*(sums + each for sums, each in zip(total, np.transpose(runs), strict=True)))
        self.orthogonal_array_ = array
        self.run_sn_ratios_, gains = fold_gains(array, total.response(self.sn, float(y.max())), self.fold_over)
        # Without this, the interactions of others would give a gain to an item that is in no distance.
        self.item_gains_ = np.where(carries, gains, 0.0)
        return self

    def _squared(self, X: Any, moments: UnitSpaceMoments, items: Indices) -> Array:
        """Return the squared distance of each row, with these items only."""
        if not len(items):
            return np.ones(len(X))
        part = moments.part(items)
        metric = unit_space_metric(part, self.method, self.shrinkage)
        # An overflow shows in the sums, which are checked.
        with np.errstate(over="ignore", invalid="ignore"):
            squared = metric.distance((X[:, items] - part.mean) / metric.scale) ** 2
        # The distance is in standard deviations: below this is rounding, and a row at the very centre has no dB.
        return np.maximum(squared, EPS)


class _Sums(NamedTuple):
    """Sums over held-out rows, of each run: what both kinds of S/N ratio need."""

    normal: Array
    normal_squares: Array
    abnormal: Array
    abnormal_inverse: Array
    r: Array
    L: Array
    S_T: Array

    def response(self, sn: _SN, size: float) -> Array:
        """Return the S/N ratio of each run in dB; the states were divided by `size`."""
        n_abnormal = int(self.abnormal[0])
        if not n_abnormal or not self.normal[0]:
            raise ValueError("cv holds out no row with y == 0, or none above 0: give splits that hold out both.")
        if not np.isfinite(self).all():
            raise ValueError(OVERFLOW)
        if sn == "dynamic":
            if n_abnormal < 2:
                raise ValueError(
                    f"sn='dynamic' needs 2 or more held-out rows above 0, got {n_abnormal}: give splits that hold out "
                    "more, or take sn='larger'."
                )
            return response_in_db(float(self.r[0]), self.L, self.S_T, n_abnormal, size)
        far, near = self.abnormal_inverse / self.abnormal, self.normal_squares / self.normal
        return -10 * np.log10(far) - 10 * np.log10(near)


def _sums(squared: Array, y: Array) -> Array:
    """Return the sums of one run over the held-out rows of one fold."""
    abnormal = y > 0
    M, D2 = y[abnormal], squared[abnormal]
    ordinary = squared[~abnormal]
    sums = len(ordinary), ordinary.sum(), len(D2), (1 / D2).sum(), M @ M, M @ np.sqrt(D2), D2.sum()
    return np.array(sums, dtype=np.float64)


def _as_states(y: Any) -> Any:
    """Return states as numbers; labels are refused, since nothing says which of them is abnormal."""
    if y is None:
        return None
    try:
        return as_numbers(y, MahalanobisTaguchiSelector.__name__)
    except ValueError as error:
        problem = str(error).partition(": give ")[0]
        raise ValueError(f"{problem}: give y == label, with the label of the abnormal rows.") from None


def _check_states(y: Array, sn: _SN) -> None:
    """Refuse a target that does not say which rows are normal."""
    if y.min() < 0:
        raise ValueError(
            f"y must be 0 for normal rows and above 0 for abnormal ones, got {y.min():g}: give `labels == -1` of "
            "scikit-learn's detectors."
        )
    if y.min() > 0 or y.max() == 0:
        raise ValueError(f"y must have normal rows (0) and abnormal ones (above 0), all {len(y)} are {_kind(y)}.")
    if sn == "dynamic" and len(np.unique(y)) < 3:
        raise ValueError(
            f"sn='dynamic' needs two or more states of abnormal rows, got only y = {y.max():g}: take sn='larger'."
        )


def _kind(y: Array) -> str:
    return "above 0" if y.min() > 0 else "0"

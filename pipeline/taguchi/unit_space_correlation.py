"""The common covariance of unit spaces, decomposed once for every shrinkage of its correlations."""

from typing import NamedTuple, Self

import numpy as np

from pipeline.taguchi.base import OVERFLOW, AnyArray, Array, Mask
from pipeline.taguchi.class_moments import ClassMoments
from pipeline.taguchi.unit_space_rows import ClassRows, ClassSpaces, class_spaces, within_range
from pipeline.taguchi.unit_space_sums import spaces_of


class Linear(NamedTuple):
    """Logarithms of the classes' probabilities, up to one constant for each row: ``at_center + coef @ (x - center)``.

    Parameters
    ----------
    coef : ndarray of shape (n_classes, n_items)
    at_center : ndarray of shape (n_classes,)
    center : ndarray of shape (n_items,)
    """

    coef: Array
    at_center: Array
    center: Array

    def __call__(self, X: AnyArray) -> Array:
        """Return the logarithms, of shape (n_rows, n_classes)."""
        return within_range((X - self.center) @ self.coef.T + self.at_center)

    def read_by(self, second: Self) -> Self:
        """Return what `second` makes of each row's logarithms, measured from their mean over the classes."""
        # The mean is taken off by the weights: it is linear too.
        coef = second.coef - second.coef.mean(axis=1, keepdims=True)
        at_center = second.at_center + coef @ (self.at_center - second.center)
        return self._replace(coef=coef @ self.coef, at_center=at_center)


class Correlation(NamedTuple):
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

    def linear(self, spaces: ClassSpaces, shrinkage: float) -> Linear:
        """Return the logarithms of the probabilities; a class's prior is its share of the rows."""
        centers = (spaces.means - spaces.center) / self.sd
        directions = self.power(centers, shrinkage, -1)
        at_center = np.log(spaces.n / spaces.n.sum()) - (directions * centers).sum(axis=1) / 2
        return Linear(directions / self.sd, at_center, spaces.center)

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


def fitted(data: ClassRows) -> tuple[ClassSpaces, Correlation]:
    """Return the unit spaces of rows and the correlations within them."""
    spaces, rows = _deviations(data)
    sd, apart = _scales(spaces)
    rows /= sd
    rows[:, apart] = 0
    n_rows, n_items = rows.shape
    if n_rows >= n_items:
        return spaces, Correlation(sd, apart, *np.linalg.eigh(rows.T @ rows / spaces.freedom))
    # Fewer rows than items: the eigenvectors follow from the products of rows.
    eigenvalues, left = np.linalg.eigh(rows @ rows.T / spaces.freedom)
    kept = eigenvalues > n_rows * np.finfo(np.float64).eps * eigenvalues.max(initial=0)
    eigenvalues, vectors = eigenvalues[kept], rows.T @ left[:, kept]
    vectors /= np.sqrt(spaces.freedom * eigenvalues)
    return spaces, Correlation(sd, apart, eigenvalues, vectors)


def fitted_sums(sums: ClassMoments) -> tuple[ClassSpaces, Correlation]:
    """Return the unit spaces of sums and the correlations within them."""
    spaces, within = spaces_of(sums)
    sd, apart = _scales(spaces)
    R = within / spaces.freedom / sd / sd[:, None]
    R[apart], R[:, apart] = 0, 0
    return spaces, Correlation(sd, apart, *np.linalg.eigh(R))

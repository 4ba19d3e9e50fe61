"""The adjoint matrix, also of a singular matrix."""

import numpy as np
import numpy.typing as npt
from sklearn.utils import check_array

from pipeline.taguchi.base import Array


def adjugate(matrix: npt.ArrayLike) -> Array:
    r"""Return the adjoint (transposed cofactor) matrix, also of a singular matrix.

    With the singular value decomposition :math:`M = U S V'`,

    .. math:: \mathrm{adj}(M) = \det(U)\det(V)\, V \,\mathrm{diag}\Bigl(\prod_{k \ne i} s_k\Bigr)\, U'

    so that ``adjugate(M) @ M = det(M) I`` at the cost of one decomposition. The products are taken as sums of
    logarithms; a product below float64's range becomes 0.

    Parameters
    ----------
    matrix : array-like of shape (n, n)
        A square matrix of real numbers.

    Returns
    -------
    adjoint : ndarray of shape (n, n)
        In units of the (n - 1)th power of the matrix.

    Raises
    ------
    ValueError
        If the matrix is not square or holds values that are not finite.
    OverflowError
        If the adjoint exceeds float64's range.

    Examples
    --------
    >>> adjugate([[1.0, 2.0], [3.0, 4.0]]).round(6).tolist()
    [[4.0, -2.0], [-3.0, 1.0]]
    """
    M: Array = check_array(matrix, dtype=np.float64, input_name="matrix")
    if M.shape[0] != M.shape[1]:
        raise ValueError(f"adjugate needs a square matrix, got shape {M.shape}.")
    U, s, Vt = np.linalg.svd(M)
    with np.errstate(over="ignore"):
        products = np.exp(log_products_of_others(s))
    if not np.isfinite(products).all():
        raise OverflowError(
            f"The adjoint of this {len(s)} x {len(s)} matrix exceeds float64: divide the matrix by {s[0]:g} first."
        )
    sign = np.linalg.slogdet(U)[0] * np.linalg.slogdet(Vt)[0]
    return sign * (Vt.T * products) @ U.T


def log_products_of_others(values: Array) -> Array:
    """Return, for each value, the logarithm of the product of all others; -inf where one of them is 0."""
    with np.errstate(divide="ignore"):
        logs = np.log(values)
    # Sums from both ends: subtracting a logarithm from the total fails where a value is zero.
    before = np.concatenate([[0], np.cumsum(logs[:-1])])
    after = np.concatenate([[0], np.cumsum(logs[:0:-1])])[::-1]
    return before + after

"""S/N ratios of a system's outputs: static ones, and dynamic ones of outputs that follow a signal."""

from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike

from pipeline.taguchi.base import Array
from pipeline.taguchi.decomposition import sensitivity_and_sn_ratio

Kind = Literal["dynamic", "linear", "larger", "smaller", "nominal"]


class OutputSN(NamedTuple):
    """S/N ratio and sensitivity of the outputs of one setting.

    Attributes
    ----------
    sn_ratio : float
        In dB; always finite, higher is better.
    sensitivity : float
        Dynamic: the slope beta, in units of the output per unit of the signal. Static: the mean output.
    at_floor : bool
        Whether no signal stands above the error, so that `sn_ratio` is its lowest value, see `output_sn_ratio`.
    """

    sn_ratio: float
    sensitivity: float
    at_floor: bool = False


def output_sn_ratio(outputs: ArrayLike, sn: Kind, signal: ArrayLike | None = None) -> OutputSN:
    r"""Return the S/N ratio of a system's outputs, in dB.

    ===========  ====================================================================================
    ``sn``       S/N ratio, over the outputs y of all noise conditions
    ===========  ====================================================================================
    `larger`     :math:`-10 \log_{10} \frac{1}{n} \sum 1/y^2`, for outputs above 0
    `smaller`    :math:`-10 \log_{10} \frac{1}{n} \sum y^2`
    `nominal`    :math:`10 \log_{10} \frac{S_m - V_e}{n V_e}` with :math:`S_m = (\sum y)^2/n`,
                 :math:`V_e = (\sum y^2 - S_m)/(n - 1)`
    `dynamic`    :math:`10 \log_{10} \frac{S_\beta - V_e}{r V_e}` with :math:`r = \sum M^2`,
                 :math:`L = \sum M y`, :math:`S_\beta = L^2/r`, :math:`V_e = (\sum y^2 - S_\beta)/(n - 1)`: the line
                 y = beta M through zero
    `linear`     as `dynamic`, for the line :math:`y = \bar y + \beta (M - \bar M)`; the mean takes one
                 more degree of freedom: :math:`V_e` has the divisor n - 2
    ===========  ====================================================================================

    The last three have no dB where the mean or the slope is lost in the error (S <= V_e), and close to that the ratio
    falls without limit. One such setting would decide every mean over settings. So the ratio is never taken below
    1 / r (1 / n for `nominal`), its value where S is 2 V_e: what lies below differs from no signal by less than its
    error. `OrthogonalArraySelector` has the same floor. A slope below 0 is no signal either, however steep.

    Parameters
    ----------
    outputs : array-like of shape (n_conditions, n_outputs) or (n_outputs,)
        Two or more outputs; for a signal, one for each of its values, under each noise condition.
    sn : {"dynamic", "linear", "larger", "smaller", "nominal"}
    signal : array-like of shape (n_outputs,), optional
        The signal M, for `dynamic` and `linear` only.

    Returns
    -------
    OutputSN
        `sn_ratio`, `sensitivity` and `at_floor`. Of a setting without any error the ratio is large, not infinite.

    Raises
    ------
    ValueError
        If there is no such kind, the signal is missing, superfluous, constant or of another length, a value is not
        finite, there are too few outputs, an output of `larger` is not above 0, or all outputs of `smaller` are 0.

    References
    ----------
    G. Taguchi, S. Chowdhury, Y. Wu, "Taguchi's Quality Engineering Handbook", Wiley, 2005.
    M. S. Phadke, "Quality Engineering Using Robust Design", Prentice Hall, 1989.

    Examples
    --------
    >>> round(output_sn_ratio([2.0, 4.0, 5.0], "smaller").sn_ratio, 2)
    -11.76
    >>> output_sn_ratio([[2.0, 4.0], [2.5, 4.5]], "dynamic", signal=[1, 2]).sensitivity
    2.15
    """
    M = check_signal(sn, signal)
    y = np.atleast_2d(np.asarray(outputs, dtype=np.float64))
    if not y.size:
        raise ValueError("There must be an output, got none.")
    if not np.isfinite(y).all():
        raise ValueError("The outputs must be finite, got NaN or infinity.")
    if M is None:
        return _STATIC[sn](y.ravel())
    if y.shape[1] != len(M):
        raise ValueError(f"There must be an output for each of the {len(M)} values of the signal, got {y.shape[1]}.")
    if sn == "linear":
        return _line(np.tile(M - M.mean(), len(y)), (y - y.mean()).ravel(), y.size - 1)
    return _line(np.tile(M, len(y)), y.ravel(), y.size)


def check_signal(sn: Kind, signal: ArrayLike | None) -> Array | None:
    """Return the signal that a kind of S/N ratio needs as floats, or None for the static kinds.

    Raises
    ------
    ValueError
        If there is no such kind, or the signal is missing, superfluous, constant, or not one-dimensional and finite.
    """
    if sn not in get_args(Kind):
        raise ValueError(f"sn must be one of {', '.join(get_args(Kind))}, got {sn!r}.")
    if sn in _STATIC and signal is not None:
        raise ValueError(f"sn={sn!r} has no signal: leave signal out, or take sn='dynamic' or 'linear'.")
    if sn in _STATIC:
        return None
    if signal is None:
        raise ValueError(f"sn={sn!r} needs the signal: give signal=, one value for each output.")
    M = np.asarray(signal, dtype=np.float64)
    if M.ndim != 1 or not np.isfinite(M).all():
        raise ValueError(f"The signal must be finite numbers in one dimension, got the shape {M.shape}.")
    if len(np.unique(M)) < 2:
        raise ValueError(f"The signal must have two or more different values, got {np.unique(M).tolist()}.")
    return M


def _line(M: Array, y: Array, n: int) -> OutputSN:
    """Return the S/N ratio of the line through zero, its error with n - 1 degrees of freedom."""
    if n < 2:
        raise ValueError(f"The S/N ratio of {len(y)} outputs has no error: give more outputs or noise conditions.")
    # Squares of very large or small numbers are no floats.
    size_M, size_y = float(np.abs(M).max()), float(np.abs(y).max()) or 1.0
    M, y = M / size_M, y / size_y
    r = float(M @ M)
    beta, eta = sensitivity_and_sn_ratio(r, M @ y, y @ y, n)
    above = bool(beta > 0 and eta >= 1 / r)
    ratio = 10 * np.log10(eta if above else 1 / r) - 20 * np.log10(size_M)
    return OutputSN(float(ratio), float(beta * size_y / size_M), not above)


def _nominal(y: Array) -> OutputSN:
    """Return the S/N ratio of the mean: of the line with a signal of 1."""
    mean = float(y.mean())
    return _line(np.ones(len(y)), y if mean >= 0 else -y, len(y))._replace(sensitivity=mean)


def _larger(y: Array) -> OutputSN:
    if not y.min() > 0:
        raise ValueError(f"sn='larger' needs outputs above 0, got {y.min():g}.")
    least = y.min()
    return OutputSN(float(20 * np.log10(least) - 10 * np.log10(np.mean((least / y) ** 2))), float(y.mean()))


def _smaller(y: Array) -> OutputSN:
    if not y.any():
        raise ValueError("sn='smaller' has no S/N ratio where all outputs are 0.")
    most = np.abs(y).max()
    return OutputSN(float(-20 * np.log10(most) - 10 * np.log10(np.mean((y / most) ** 2))), float(y.mean()))


_STATIC: dict[str, Callable[[Array], OutputSN]] = {"larger": _larger, "smaller": _smaller, "nominal": _nominal}
